/** Models of TensorFlow.js, saved to a folder as its own tools save them, and served. The oracle is the library's own predict. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImportSpec, ModelFile } from '@millrace/protocol';
import { getBackend, io, memory, type Tensor, tensor2d } from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defineModel } from '../src/model-file.ts';
import { openNet } from '../src/open-net.ts';
import { openTfjsBackend } from '../src/tfjs-backends.ts';
import { importingModel } from './importing-model.ts';

/** Two, so that where a net's bytes are split is no matter of tensors. */
const shards = ['group1-shard1of2.bin', 'group1-shard2of2.bin'] as const;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-nets-'));
  await openTfjsBackend.wasm();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const read = (file: string) => readFile(join(directory, file));

interface Saved {
  readonly file: string;
  readonly sha256: string;
}

/** model.json and its weights in a folder of their own. */
async function save(
  name: string,
  { modelTopology, weightSpecs, weightData }: io.ModelArtifacts,
): Promise<Saved> {
  const bytes = Buffer.from(weightData as ArrayBuffer);
  const parts = [bytes.subarray(0, 10), bytes.subarray(10)];
  const model = { modelTopology, weightsManifest: [{ paths: shards, weights: weightSpecs }] };
  const json = Buffer.from(JSON.stringify(model));
  await mkdir(join(directory, name));
  await writeFile(join(directory, name, 'model.json'), json);
  for (const [i, part] of parts.entries()) await writeFile(join(directory, name, shards[i]), part);
  const sha256 = createHash('sha256').update(json).update(bytes).digest('hex');
  return { file: `${name}/model.json`, sha256 };
}

async function artifactsOf(model: layers.LayersModel): Promise<io.ModelArtifacts> {
  let saved: io.ModelArtifacts | undefined;
  const keep = async (artifacts: io.ModelArtifacts): Promise<io.SaveResult> => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  };
  await model.save(io.withSaveHandler(keep));
  return saved as io.ModelArtifacts;
}

/** Two inputs: [price] and the user's two floats; batch normalisation and dropout, which only training sees. */
function twoInputs(): layers.LayersModel {
  const price = layers.input({ shape: [1], name: 'price' });
  const user = layers.input({ shape: [2], name: 'user' });
  const joined = layers.layers.concatenate().apply([price, user]) as layers.SymbolicTensor;
  const hidden = layers.layers
    .dense({ units: 5, activation: 'relu', biasInitializer: 'randomNormal' })
    .apply(layers.layers.batchNormalization().apply(joined)) as layers.SymbolicTensor;
  const dropped = layers.layers.dropout({ rate: 0.5 }).apply(hidden) as layers.SymbolicTensor;
  const score = layers.layers.dense({ units: 1, activation: 'sigmoid', name: 'score' }).apply(dropped);
  return layers.model({ inputs: [price, user], outputs: score as layers.SymbolicTensor });
}

function modelOf(saved: Saved, change: Partial<ImportSpec> = {}): ModelFile {
  return importingModel({
    format: 'tfjs-layers',
    ...saved,
    inputs: [
      { name: 'user', fields: ['user'] },
      { name: 'price', fields: ['price'] },
    ],
    output: { name: 'score', gives: 'probability' },
    ...change,
  });
}

const open = (file: ModelFile, readNet = read) => openNet(file, { wanted: 'auto', onSkip() {}, readNet });
/** 40 rows, more than the library's own batches of 32. */
const rows = 40;
const input = {
  rows,
  wide: new Float32Array(rows),
  embeddings: Float32Array.from({ length: 2 * rows }, (_, i) => Math.sin(i)),
  dense: Float32Array.from({ length: rows }, (_, i) => Math.cos(3 * i)),
  lengths: new Int32Array(0),
};

async function logitsOf(file: ModelFile): Promise<Float32Array> {
  const net = await open(file);
  const logits = new Float32Array(rows);
  await net.program.forward(net.versions.current.loaded, input, logits);
  expect([net.engine.name, net.choice.reason]).toEqual(['wasm', 'imported']);
  net.dispose();
  return logits;
}

test('imported tfjs: a layers model from a folder scores what predict gives', async () => {
  const model = twoInputs();
  const file = defineModel(modelOf(await save('layers', await artifactsOf(model))));
  const predicted = model.predict([
    tensor2d(input.dense, [rows, 1]),
    tensor2d(input.embeddings, [rows, 2]),
  ]) as Tensor;
  const wanted = predicted.dataSync();
  const logits = await logitsOf(file);
  expect(new Set(wanted).size).toBeGreaterThan(rows / 2);
  logits.forEach((logit, b) => {
    expect(1 / (1 + Math.exp(-logit))).toBeCloseTo(wanted[b], 5);
  });
});

test('imported tfjs: a sequential model is fed by the name of its first layer, and leaves no tensor behind', async () => {
  const model = layers.sequential();
  model.add(layers.layers.dense({ units: 3, activation: 'tanh', inputShape: [3], name: 'first' }));
  model.add(layers.layers.dense({ units: 1, name: 'score', biasInitializer: 'ones' }));
  const saved = await save('sequential', await artifactsOf(model));
  const predicted = model.predict(
    tensor2d(
      Array.from({ length: rows }, (_, b) => [
        ...input.embeddings.subarray(2 * b, 2 * b + 2),
        input.dense[b],
      ]),
    ),
  ) as Tensor;
  const wanted = predicted.dataSync();
  const file = modelOf(saved, {
    inputs: [{ name: 'first_input', fields: ['user', 'price'] }],
    output: { name: 'score', gives: 'logit' },
  });
  await logitsOf(file);
  const before = memory().numTensors;
  const logits = await logitsOf(file);
  expect(memory().numTensors).toBe(before);
  logits.forEach((logit, b) => {
    expect(logit).toBeCloseTo(wanted[b], 5);
  });
});

/** x·w + b as a graph, as the converter writes it: tensors' values are in the weights alone. */
const weights = [2, -1, 0.25, 0.5];
const constant = (name: string, sizes: readonly number[]) => ({
  name,
  op: 'Const',
  attr: {
    dtype: { type: 'DT_FLOAT' },
    value: {
      tensor: { dtype: 'DT_FLOAT', tensorShape: { dim: sizes.map((size) => ({ size: String(size) })) } },
    },
  },
});
function graph(op = 'BiasAdd'): io.ModelArtifacts {
  const float = { T: { type: 'DT_FLOAT' } };
  const shape = { dim: [{ size: '-1' }, { size: '3' }] };
  const no = { b: false };
  return {
    modelTopology: {
      node: [
        { name: 'x', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape } } },
        constant('w', [3, 1]),
        constant('b', [1]),
        {
          name: 'product',
          op: 'MatMul',
          input: ['x', 'w'],
          attr: { ...float, transpose_a: no, transpose_b: no },
        },
        { name: 'y', op, input: ['product', 'b'], attr: { ...float, data_format: { s: 'TkhXQw==' } } },
      ],
      library: {},
      versions: { producer: 1 },
    },
    weightSpecs: [
      { name: 'w', shape: [3, 1], dtype: 'float32' },
      { name: 'b', shape: [1], dtype: 'float32' },
    ],
    weightData: Float32Array.from(weights).buffer,
  };
}
const graphImport: Partial<ImportSpec> = {
  format: 'tfjs-graph',
  inputs: [{ name: 'x', fields: ['price', 'user'] }],
  output: { name: 'y', gives: 'logit' },
};

test('imported tfjs: a graph model from a folder scores what its graph says', async () => {
  const logits = await logitsOf(modelOf(await save('graph', graph()), graphImport));
  logits.forEach((logit, b) => {
    const [first, second] = input.embeddings.subarray(2 * b);
    expect(logit).toBeCloseTo(2 * input.dense[b] - first + 0.25 * second + 0.5, 5);
  });
});

test('imported tfjs: an engine opened later has its backend, and the net scores on by its own', async () => {
  const net = await open(modelOf(await save('beside', graph()), graphImport));
  const [alone, beside] = [new Float32Array(rows), new Float32Array(rows)];
  await net.program.forward(net.versions.current.loaded, input, alone);
  await openTfjsBackend.cpu();
  await net.program.forward(net.versions.current.loaded, input, beside);
  expect(getBackend()).toBe('cpu');
  expect(beside).toEqual(alone);
  net.dispose();
  await openTfjsBackend.wasm();
});

test('imported tfjs: a changed byte of the weights is another net', async () => {
  const saved = await save('changed', graph());
  const shard = join(directory, 'changed', shards[1]);
  const bytes = await readFile(shard);
  bytes[0] ^= 1;
  await writeFile(shard, bytes);
  await expect(open(modelOf(saved, graphImport))).rejects.toMatchObject({
    code: 'MILL_FILE_INVALID',
    message: expect.stringMatching(/wanted SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}/),
  });
});

test('imported tfjs: weights in another folder are not read', async () => {
  const model = { modelTopology: {}, weightsManifest: [{ paths: ['../secret.bin'], weights: [] }] };
  const asked: string[] = [];
  const readNet = async (file: string) => {
    asked.push(file);
    return Buffer.from(JSON.stringify(model));
  };
  const opening = open(modelOf({ file: 'net/model.json', sha256: '0'.repeat(64) }), readNet);
  await expect(opening).rejects.toThrow('weightsManifest: wanted file names, found "../secret.bin"');
  expect(asked).toEqual(['net/model.json']);
});

for (const [what, artifacts, change, message] of [
  ['an operation that is not here', () => graph('NoSuchOp'), graphImport, /NoSuchOp/],
  [
    'another width',
    () => graph(),
    { ...graphImport, inputs: [{ name: 'x', fields: ['price', 'user', 'user'] }] },
    /input "x": wanted float32\[rows, 5\], found float32\[, 3\]/,
  ],
  [
    'another output',
    () => graph(),
    { ...graphImport, output: { name: 'p', gives: 'logit' } },
    /output "p": wanted one of y/,
  ],
  ['another format', () => graph(), { ...graphImport, format: 'tfjs-layers' }, /of the format tfjs-layers/],
] as const) {
  test(`imported tfjs: refused: ${what}`, async () => {
    const saved = await save(what.replaceAll(' ', '-'), artifacts());
    const opening = open(modelOf(saved, change as Partial<ImportSpec>));
    await expect(opening).rejects.toMatchObject({
      code: 'MILL_FILE_INVALID',
      message: expect.stringMatching(message),
    });
  });
}

test('imported tfjs: refused: no model.json', async () => {
  const opening = open(modelOf({ file: 'ranker.json', sha256: '0'.repeat(64) }), async () =>
    Buffer.from('hello'),
  );
  await expect(opening).rejects.toThrow('wanted a model.json of TensorFlow.js, found:');
});
