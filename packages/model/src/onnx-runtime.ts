/**
 * Opens ONNX Runtime. Its package is an optional dependency: the binaries for CPUs lie in it, those for CUDA and TensorRT are put
 * beside them by its own install script, which .npmrc keeps from running. Nothing of it is loaded before an engine that needs it
 * is opened.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { EngineName } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import type { AsideNet, AsideSession, OnnxAside } from './onnx-aside.ts';
import type { Graph } from './onnx-proto.ts';
import { modelBytes } from './onnx-proto.ts';

export type Ort = typeof import('onnxruntime-node');

/** Engines that run on ONNX Runtime. */
export type OnnxEngineName = Extract<EngineName, `onnx${string}`>;

/** The library with one execution provider. */
export interface OnnxRuntime {
  readonly name: OnnxEngineName;
  readonly ort: Ort;
  /**
   * A session that runs a graph, an ONNX file; made within one turn of the event loop, which is held up for it.
   * @param threads 0: the library's choice, one a core.
   */
  open(graph: Uint8Array, threads: number): Promise<InferenceSession>;
  /** The same in another thread, for requests; the graph has one output, logits. */
  openAside(aside: OnnxAside, graph: Uint8Array, threads: number, net: AsideNet): Promise<AsideSession>;
}

const providers: Readonly<Record<OnnxEngineName, string>> = {
  onnx: 'cpu',
  'onnx-cuda': 'cuda',
  'onnx-tensorrt': 'tensorrt',
};

/**
 * A thread that waits for work spins for 100 µs and then sleeps: long enough from one layer to the next, and from one call to the
 * next where calls follow each other at once. With 50 µs batches of 512 rows took an eighth longer, with 10 µs those of 128 a
 * third. The library's own choice spins on, which takes the cores from whoever would have work for them: 128 rows every 500 µs
 * cost 574 µs of processor time, where they cost 235, and on two busy cores calls took 1.5 to 3.4 times as long.
 */
export const onnxSessionOptions: InferenceSession.SessionOptions = {
  extra: { session: { intra_op: { spin_duration_us: '100' } } },
  logSeverityLevel: 3,
};

/**
 * Requests come with work between their passes, in which a second thread sleeps or spins. With 80 µs between passes of 100 rows
 * one thread was as fast up to 75,000 parameters and a tenth slower at 107,000, for less than half of the processor time; at
 * 352,000 it took 1.4 times as long. Nets beyond this have a thread a core.
 */
const oneThreadParametersMax = 131_072;

/** Threads for passes of requests; 0: one a core. */
export function requestThreads({ parameters }: NetShape): number {
  return parameters <= oneThreadParametersMax ? 1 : 0;
}

/** Rejects with the reason when the library or its execution provider is not here. */
export async function openOnnxRuntime(name: OnnxEngineName): Promise<OnnxRuntime> {
  const ort = await importOrt();
  const optionsOf = (threads: number): InferenceSession.SessionOptions => ({
    ...onnxSessionOptions,
    executionProviders: [providers[name]],
    intraOpNumThreads: threads,
  });
  const runtime: OnnxRuntime = {
    name,
    ort,
    open: (graph, threads) => ort.InferenceSession.create(graph, optionsOf(threads)),
    openAside: (aside, graph, threads, net) => aside.open(graph, optionsOf(threads), net),
  };
  // A provider that is not here says so when it is first asked for.
  const probe = await runtime.open(modelBytes(probeGraph), 1);
  await probe.release();
  return runtime;
}

/** The library, told to keep what goes wrong to itself but for what it throws. */
export async function importOrt(): Promise<Ort> {
  const module = (await import('onnxruntime-node').catch((error: unknown) => {
    const isAbsent = (error as { readonly code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    throw isAbsent ? new Error('package onnxruntime-node is not installed', { cause: error }) : error;
  })) as Ort & { readonly default?: Ort };
  const ort = module.default ?? module;
  // What goes wrong is thrown; the library would print it as well, and more than a line of it. Counts before the first session.
  ort.env.logLevel = 'fatal';
  return ort;
}

const probeGraph: Graph = {
  name: 'probe',
  inputs: [{ name: 'x', type: 'float32', dims: [1] }],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
  constants: [],
  nodes: [{ type: 'Sigmoid', inputs: ['x'], output: 'y', attributes: [] }],
};
