/** What opens each engine; the libraries behind them are loaded when they are asked for, and not before. */
import type { Engine, EngineName } from './engine.ts';
import { createOnnxEngine } from './onnx-engine.ts';
import { type OnnxEngineName, openOnnxRuntime } from './onnx-runtime.ts';
import { createPlainEngine } from './plain-engine.ts';
import { openTfjsBackend, type TfjsEngineName } from './tfjs-backends.ts';
import { createTfjsEngine } from './tfjs-engine.ts';

const openers: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  'onnx-tensorrt': () => openOnnx('onnx-tensorrt'),
  'onnx-cuda': () => openOnnx('onnx-cuda'),
  'tfjs-node-gpu': () => openTfjs('tfjs-node-gpu'),
  onnx: () => openOnnx('onnx'),
  webgpu: () => openTfjs('webgpu'),
  'tfjs-node': () => openTfjs('tfjs-node'),
  wasm: () => openTfjs('wasm'),
  cpu: () => openTfjs('cpu'),
  plain: async () => createPlainEngine(),
};

/** Rejects with the reason when the engine cannot be loaded here. */
export function openByName(name: EngineName): Promise<Engine> {
  return openers[name]();
}

async function openTfjs(name: TfjsEngineName): Promise<Engine> {
  return createTfjsEngine(await openTfjsBackend[name]());
}

async function openOnnx(name: OnnxEngineName): Promise<Engine> {
  return createOnnxEngine(await openOnnxRuntime(name));
}
