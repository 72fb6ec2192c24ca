import { createHash } from 'node:crypto';
import type { ImportSpec, ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { defineModel } from '../src/model-file.ts';
import { modelBytes } from '../src/onnx-proto.ts';
import { openNet } from '../src/open-net.ts';
import { importingModel } from './importing-model.ts';

/** sigmoid(x·w + 0.5), or without the sigmoid; x is [price, user's two floats]. */
const weights = [2, -1, 0.25];
function outside(gives: 'logit' | 'probability', columns = 1): Uint8Array {
  return modelBytes({
    name: 'outside',
    inputs: [{ name: 'x', type: 'float32', dims: ['rows', 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['rows', columns] }],
    constants: [
      {
        name: 'w',
        dims: [3, columns],
        values: Float32Array.from({ length: 3 * columns }, (_, i) => weights[i % 3]),
      },
      { name: 'b', dims: [1], values: Float32Array.of(0.5) },
    ],
    nodes: [
      { type: 'MatMul', inputs: ['x', 'w'], output: 'product', attributes: [] },
      { type: 'Add', inputs: ['product', 'b'], output: 'z', attributes: [] },
      { type: gives === 'logit' ? 'Identity' : 'Sigmoid', inputs: ['z'], output: 'y', attributes: [] },
    ],
  });
}

function modelOf(bytes: Uint8Array, change: Partial<ImportSpec> = {}): ModelFile {
  return importingModel({
    format: 'onnx',
    file: 'ranker.onnx',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    inputs: [{ name: 'x', fields: ['price', 'user'] }],
    output: { name: 'y', gives: 'logit' },
    ...change,
  });
}

const open = (file: ModelFile, bytes: Uint8Array) =>
  openNet(file, { wanted: 'auto', onSkip() {}, readNet: async () => bytes });

const input = {
  rows: 3,
  wide: new Float32Array(3),
  embeddings: Float32Array.of(1, 2, -1, 0.5, 30, 0, Number.NaN),
  dense: Float32Array.of(0.5, 3, -20, Number.NaN),
  lengths: new Int32Array(0),
};
const wanted = [0, 1, 2].map(
  (b) =>
    0.5 +
    weights[0] * input.dense[b] +
    weights[1] * input.embeddings[2 * b] +
    weights[2] * input.embeddings[2 * b + 1],
);

test('imported net: fields go to inputs in the order that the model file has, and the logit is what the graph gives', async () => {
  const bytes = outside('logit');
  const net = await open(defineModel(modelOf(bytes)), bytes);
  const logits = new Float32Array(4).fill(7);
  await net.program.forward(net.versions.current.loaded, input, logits);
  wanted.forEach((logit, b) => {
    expect(logits[b]).toBeCloseTo(logit, 5);
  });
  expect(logits[3]).toBe(7);
  expect([net.engine.name, net.choice.reason, net.dense.weights.length]).toEqual(['onnx', 'imported', 0]);
  net.dispose();
});

test('imported net: a probability becomes its logit, and 0 and 1 finite ones', async () => {
  const bytes = outside('probability');
  const file = modelOf(bytes, { output: { name: 'y', gives: 'probability' } });
  const net = await open(file, bytes);
  const logits = new Float32Array(3);
  await net.program.forward(net.versions.current.loaded, input, logits);
  expect(logits[0]).toBeCloseTo(wanted[0], 5);
  // At −69.5 the graph's float32 sigmoid is 0: ln(1e-7 / (1 − 1e-7)).
  expect(logits[2]).toBeCloseTo(-16.118, 2);
  net.dispose();
});

test('imported net: learns nothing, and says so', async () => {
  const bytes = outside('logit');
  const net = await open(modelOf(bytes), bytes);
  const none = new Float32Array(3);
  const out = { logits: none, logitGradients: none, embeddings: none, parameters: none };
  expect(() => net.program.gradients(net.versions.current.loaded, input, none, none, out)).toThrow(
    'cannot learn',
  );
  net.dispose();
});

test('imported net: who cannot read files opens none', async () => {
  const opening = openNet(modelOf(outside('logit')), { wanted: 'auto', onSkip() {} });
  await expect(opening).rejects.toMatchObject({ code: 'MILL_UNSUPPORTED' });
});

const right = outside('logit');
for (const [what, bytes, change, message] of [
  ['another file', right, { sha256: '0'.repeat(64) }, /wanted SHA-256 0{64}, found [0-9a-f]{64}/],
  ['no ONNX model', Buffer.from('hello'), {}, /wanted an ONNX model/],
  [
    'another width',
    right,
    { inputs: [{ name: 'x', fields: ['price', 'user', 'user'] }] },
    /input "x": wanted float32\[rows, 5\], found float32\[rows, 3\]/,
  ],
  [
    'another input',
    right,
    { inputs: [{ name: 'z', fields: ['price', 'user'] }] },
    /input "z": wanted one of x/,
  ],
  ['another output', right, { output: { name: 'p', gives: 'logit' } }, /output "p": wanted one of y/],
  [
    'an output that is no column',
    outside('logit', 2),
    {},
    /output "y": wanted float32\[rows\] or float32\[rows, 1\], found float32\[rows, 2\]/,
  ],
] as const) {
  test(`imported net: refused: ${what}`, async () => {
    const opening = open(modelOf(bytes, change as Partial<ImportSpec>), bytes);
    await expect(opening).rejects.toMatchObject({
      code: 'MILL_FILE_INVALID',
      message: expect.stringMatching(message),
    });
  });
}

for (const [what, change, message] of [
  [
    'an unknown field',
    { inputs: [{ name: 'x', fields: ['price', 'user', 'age'] }] },
    'net.import.inputs[0].fields[2]: wanted a field with an embedding or a number, found "age"',
  ],
  [
    'a field that nothing reads',
    { inputs: [{ name: 'x', fields: ['price'] }] },
    'net.import.inputs: wanted one that reads "user", found nothing',
  ],
  [
    'an input twice',
    {
      inputs: [
        { name: 'x', fields: ['price'] },
        { name: 'x', fields: ['user'] },
      ],
    },
    'net.import.inputs[1].name: wanted a name of its own, found "x"',
  ],
  ['a path', { file: '../ranker.onnx' }, 'net.import.file: wanted a file name'],
  ['a path inside', { file: 'a/../../ranker.onnx' }, 'net.import.file: wanted a file name'],
  [
    'an unknown format',
    { format: 'h5' },
    'net.import.format: wanted one of onnx, tfjs-layers, tfjs-graph, found "h5"',
  ],
] as const) {
  test(`imported net: model file: refused: ${what}`, () => {
    const file = modelOf(right, change as unknown as Partial<ImportSpec>);
    expect(() => defineModel(file)).toThrow(message);
  });
}
