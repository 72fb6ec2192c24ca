/** What opens each engine; the libraries behind them are loaded when they are asked for, and not before. */
import type { Engine, EngineName } from './engine.ts';
import { createOnnxEngine } from './onnx-engine.ts';
import { type OnnxEngineName, openOnnxRuntime } from './onnx-runtime.ts';
import { createPlainEngine } from './plain-engine.ts';
import { openTfjsBackend, type TfjsEngineName } from './tfjs-backends.ts';
import { createTfjsEngine } from './tfjs-engine.ts';

/** Opens an engine. @param isBusy  OpenNetOptions.isBusy; those that hold up no thread do not ask. */
type Opener = (isBusy: (() => boolean) | null) => Promise<Engine>;

const openers: Readonly<Record<EngineName, Opener>> = {
  'onnx-tensorrt': (isBusy) => openOnnx('onnx-tensorrt', isBusy),
  'onnx-cuda': (isBusy) => openOnnx('onnx-cuda', isBusy),
  'tfjs-node-gpu': () => openTfjs('tfjs-node-gpu'),
  onnx: (isBusy) => openOnnx('onnx', isBusy),
  webgpu: () => openTfjs('webgpu'),
  'tfjs-node': () => openTfjs('tfjs-node'),
  wasm: () => openTfjs('wasm'),
  cpu: () => openTfjs('cpu'),
  plain: async () => createPlainEngine(),
};

/** Rejects with the reason when the engine cannot be loaded here. */
export function openByName(name: EngineName, isBusy: (() => boolean) | null = null): Promise<Engine> {
  return openers[name](isBusy);
}

async function openTfjs(name: TfjsEngineName): Promise<Engine> {
  return createTfjsEngine(await openTfjsBackend[name]());
}

async function openOnnx(name: OnnxEngineName, isBusy: (() => boolean) | null): Promise<Engine> {
  return createOnnxEngine(await openOnnxRuntime(name), isBusy);
}
