/**
 * Imported nets in TensorFlow.js' two formats: a layers model (Keras) and a graph model (a converted SavedModel), each a
 * model.json that names the files of its weights. Forward only, on the backend in use, else WASM.
 */
import { reasonFrom } from '@millrace/protocol';
import type { io, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import {
  checkHash,
  type ImportedRunner,
  type ImportedTensor,
  invalidNet,
  type NetReader,
} from './imported-runner.ts';
import type { ImportedShape } from './net-shape.ts';
import { openTfjsBackend } from './tfjs-backends.ts';
import type { TfjsBackend } from './tfjs-engine.ts';
import type { Tf } from './tfjs-part.ts';

/** A loaded model of either format. */
interface TfjsNet {
  readonly inputs: readonly ImportedTensor[];
  readonly outputs: readonly ImportedTensor[];
  predict(tensors: Readonly<Record<string, Tensor2D>>, output: string): Tensor;
  dispose(): void;
}

type Format = 'tfjs-layers' | 'tfjs-graph';

const loaders: Readonly<Record<Format, (handler: io.IOHandler) => Promise<TfjsNet>>> = {
  'tfjs-layers': loadLayers,
  'tfjs-graph': loadGraph,
};

const shardsMax = 1_000;
const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** @throws MILL_FILE_INVALID where a file is another one, or the library cannot load or run the net. */
export async function openImportedTfjs(
  format: Format,
  imported: ImportedShape,
  read: NetReader,
): Promise<ImportedRunner> {
  const json = await read(imported.file);
  const model = modelFrom(imported, json);
  const shards: Uint8Array[] = [];
  for (const path of shardsOf(imported, model)) shards.push(await read(path));
  checkHash(imported, [json, ...shards]);
  const backend = await backendInUse();
  const { tf } = backend;
  const weights = Uint8Array.from(Buffer.concat(shards)).buffer;
  const load = () =>
    tf.io.getModelArtifactsForJSON(model, async (manifest) => [
      manifest.flatMap((group) => group.weights),
      weights,
    ]);
  const net = await loaders[format]({ load }).catch((error: unknown) => {
    backend.release?.();
    throw invalidNet(imported, `wanted a model of the format ${format}, found: ${reasonFrom(error)}`);
  });
  const runner = runnerOf(backend, net);
  try {
    await probe(imported, runner);
  } catch (error) {
    runner.dispose();
    throw error;
  }
  return runner;
}

function modelFrom(imported: ImportedShape, bytes: Uint8Array): io.ModelJSON {
  try {
    const model = JSON.parse(Buffer.from(bytes).toString('utf8')) as io.ModelJSON | null;
    if (typeof model?.modelTopology === 'object' && Array.isArray(model.weightsManifest)) return model;
  } catch (error) {
    throw invalidNet(imported, `wanted a model.json of TensorFlow.js, found: ${reasonFrom(error)}`);
  }
  throw invalidNet(imported, 'wanted a model.json with modelTopology and weightsManifest, found none');
}

/** Files of the weights, which lie where model.json does. */
function shardsOf(imported: ImportedShape, { weightsManifest }: io.ModelJSON): readonly string[] {
  const names = weightsManifest.flatMap((group): readonly unknown[] => group?.paths ?? []);
  if (names.length > shardsMax)
    throw invalidNet(imported, `weightsManifest: wanted at most ${shardsMax} files, found ${names.length}`);
  const folder = imported.file.includes('/') ? imported.file.slice(0, imported.file.indexOf('/') + 1) : '';
  return names.map((name) => {
    if (typeof name === 'string' && fileName.test(name)) return `${folder}${name}`;
    throw invalidNet(imported, `weightsManifest: wanted file names, found ${JSON.stringify(name)}`);
  });
}

/** The library has one backend in a process: a net does not take it from an engine that runs on it. */
async function backendInUse(): Promise<TfjsBackend> {
  const tf: Tf = await import('@tensorflow/tfjs-core');
  const inUse = tf.getBackend();
  if (inUse === 'tensorflow') return { name: 'tfjs-node', tf, backendName: inUse, reads: 'at once' };
  return await openTfjsBackend[inUse === 'webgpu' || inUse === 'cpu' ? inUse : 'wasm']();
}

function runnerOf(backend: TfjsBackend, net: TfjsNet): ImportedRunner {
  const { tf, name, backendName } = backend;
  let isDisposed = false;
  return {
    engine: name,
    inputs: net.inputs,
    outputs: net.outputs,
    async run(feeds, rows, output) {
      const result = calculateOn(tf, backendName, () => {
        const tensors = feeds.map(
          (feed) => [feed.name, tf.tensor2d(feed.values, [rows, feed.floats])] as const,
        );
        return net.predict(Object.fromEntries(tensors), output);
      });
      try {
        return (await result.data()) as Float32Array;
      } finally {
        result.dispose();
      }
    },
    dispose() {
      if (isDisposed) return;
      isDisposed = true;
      net.dispose();
      backend.release?.();
    },
  };
}

/**
 * Another engine may have set its own backend since; it gets it back within the same turn, for setBackend waits for nothing
 * where a backend has been made before.
 */
function calculateOn(tf: Tf, backendName: string, calculate: () => Tensor): Tensor {
  const before = tf.getBackend();
  if (before === backendName) return tf.tidy(calculate);
  void tf.setBackend(backendName);
  try {
    return tf.tidy(calculate);
  } finally {
    if (before) void tf.setBackend(before);
  }
}

/** Runs it once: an operation that is missing here, or an output of another size, is found before the net is taken. */
async function probe(imported: ImportedShape, { inputs, outputs, run }: ImportedRunner): Promise<void> {
  const { name } = imported.output;
  const fits = (input: ImportedShape['inputs'][number]) =>
    inputs.some((found) => found.name === input.name && found.dims?.[1] === input.floats);
  // What does not fit by its description is told by who reads that.
  if (!imported.inputs.every(fits) || !outputs.some((output) => output.name === name)) return;
  const rows = 2;
  const feeds = imported.inputs.map((input) => ({
    name: input.name,
    floats: input.floats,
    values: new Float32Array(rows * input.floats),
  }));
  const found = await run(feeds, rows, name).catch((error: unknown) => {
    throw invalidNet(imported, `it does not run here: ${reasonFrom(error)}`);
  });
  const isRight = found instanceof Float32Array && found.length === rows;
  if (!isRight) throw invalidNet(imported, `output "${name}": wanted one float32 a row, found another size`);
}

async function loadLayers(handler: io.IOHandler): Promise<TfjsNet> {
  const module = await import('@tensorflow/tfjs-layers');
  const model = await module.loadLayersModel(handler);
  // Layers keep their names; those of tensors get a number where a process has had them before.
  const [inputNames, outputNames] = [model.inputs, model.outputs].map((tensors) =>
    tensors.map(({ sourceLayer }) => sourceLayer.name),
  );
  return {
    inputs: model.inputs.map(({ dtype, shape }, i) => tensorFrom(inputNames[i], dtype, shape)),
    outputs: model.outputs.map(({ dtype, shape }, i) => tensorFrom(outputNames[i], dtype, shape)),
    predict(tensors, output) {
      const results = model.predictOnBatch(inputNames.map((name) => tensors[name]));
      return Array.isArray(results) ? results[outputNames.indexOf(output)] : results;
    },
    dispose: () => void model.dispose(),
  };
}

async function loadGraph(handler: io.IOHandler): Promise<TfjsNet> {
  const module = await import('@tensorflow/tfjs-converter');
  const model = await module.loadGraphModel(handler);
  return {
    inputs: model.inputs.map(({ name, dtype, shape }) => tensorFrom(name, dtype, shape)),
    outputs: model.outputs.map(({ name, dtype, shape }) => tensorFrom(name, dtype, shape)),
    predict: (tensors, output) => model.execute(tensors, output) as Tensor,
    dispose: () => model.dispose(),
  };
}

/** Dimensions of any size are null or −1 there. */
function tensorFrom(
  name: string,
  type: string | undefined,
  shape: readonly (number | null)[] | undefined,
): ImportedTensor {
  const dims = shape?.map((size) => (size === null || size < 0 ? '' : size)) ?? null;
  return { name, type: type ?? null, dims };
}
