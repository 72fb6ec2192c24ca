/**
 * Opens the backends of TensorFlow.js. The library takes a moment and some 50 MB to import, so nothing of it is imported
 * before an engine that needs it is opened.
 */
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import util from 'node:util';
import type { EngineName } from './engine.ts';
import type { TfjsBackend } from './tfjs-engine.ts';
import type { Tf } from './tfjs-part.ts';
import { openWebgpu } from './tfjs-webgpu.ts';
import { importOptional } from './webgpu-device.ts';

/** Engines that run on TensorFlow.js. */
export type TfjsEngineName = Extract<EngineName, 'cpu' | 'wasm' | 'webgpu' | `tfjs-${string}`>;

/** Opens one backend and makes it the current one; rejects with the reason when it cannot. */
export const openTfjsBackend: Readonly<Record<TfjsEngineName, () => Promise<TfjsBackend>>> = {
  cpu: openCpu,
  wasm: openWasm,
  'tfjs-node': () => openNative('tfjs-node'),
  'tfjs-node-gpu': () => openNative('tfjs-node-gpu'),
  webgpu: openWebgpu,
};

async function openCpu(): Promise<TfjsBackend> {
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-cpu');
  await use(tf, 'cpu');
  // The first use prints a banner that advertises another package. This flag is its only condition; warnings stay.
  (tf.findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
  return { name: 'cpu', tf, backendName: 'cpu', reads: 'at once' };
}

async function openWasm(): Promise<TfjsBackend> {
  const tf = await import('@tensorflow/tfjs-core');
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  // The binaries lie in the package's dist folder; without this the library would look beside the caller.
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  if (tf.findBackend('wasm') === null) {
    setWasmPaths(`${dirname(entry)}${sep}`);
    await withoutNewListeners(() => use(tf, 'wasm'));
  } else {
    await use(tf, 'wasm');
  }
  return { name: 'wasm', tf, backendName: 'wasm', reads: 'at once' };
}

/** The two packages around libtensorflow are optional peers: their install fetches a native library. */
async function openNative(name: 'tfjs-node' | 'tfjs-node-gpu'): Promise<TfjsBackend> {
  mendNodeUtil();
  const tf = await importOptional<Tf>(`@tensorflow/${name}`);
  await use(tf, 'tensorflow');
  const backend = tf.backend() as unknown as { readonly isUsingGpuDevice?: boolean };
  // Without a CUDA device the GPU package runs on the CPU and says nothing.
  if (name === 'tfjs-node-gpu' && backend.isUsingGpuDevice !== true)
    throw new Error('it finds no CUDA device');
  return { name, tf, backendName: 'tensorflow', reads: 'at once' };
}

async function use(tf: Tf, backendName: string): Promise<void> {
  // To set it again would set up all of its kernels again.
  if (tf.getBackend() === backendName) return;
  const isReady = await tf.setBackend(backendName);
  if (!isReady) throw new Error(`TensorFlow.js could not initialise its backend ${backendName}`);
}

/**
 * The WASM loader adds listeners that turn any uncaught error of the process into a crash with its own stack; that is the
 * process's business, not a library's, so they are taken off again.
 */
async function withoutNewListeners(action: () => Promise<void>): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = events.map((event) => new Set(process.rawListeners(event)));
  await action();
  events.forEach((event, i) => {
    for (const listener of process.rawListeners(event)) {
      if (!before[i].has(listener)) process.removeListener(event, listener as (...args: unknown[]) => void);
    }
  });
}

/** tfjs-node 4.22 calls two functions that Node 23 took out of `util`. */
function mendNodeUtil(): void {
  const target = util as unknown as Record<string, (value: unknown) => boolean>;
  target.isNullOrUndefined ??= (value) => value === null || value === undefined;
  target.isArray ??= Array.isArray;
}
