/** Chooses what runs a net: the best engine that loads here, or the one asked for by name. */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Engine, type EngineName, engineNames } from './engine.ts';
import { hasMatrices, type NetShape } from './net-shape.ts';
import { createOnnxEngine } from './onnx-engine.ts';
import { type OnnxEngineName, openOnnxRuntime } from './onnx-runtime.ts';
import { createPlainEngine } from './plain-engine.ts';
import { openTfjsBackend, type TfjsEngineName } from './tfjs-backends.ts';
import { createTfjsEngine } from './tfjs-engine.ts';

/** Those that `auto` tries. TensorRT compiles for minutes what it is given, and it is given each version anew: it runs when named. */
const automatic = engineNames.filter((name) => name !== 'onnx-tensorrt');

/** Opens one engine by name; rejects with the reason when it cannot be loaded here. */
export type EngineLoader = (name: EngineName) => Promise<Engine>;

export interface EngineChoice {
  /** `auto`, or the one engine that will do. */
  readonly wanted: 'auto' | EngineName;
  /** The net that will run: one without matrices runs best on `plain`. */
  readonly shape: NetShape;
  /** Told once about each engine that `auto` passes over because it does not load. */
  readonly onSkip: (name: EngineName, reason: string) => void;
  /** What opens an engine; tests hand in their own. */
  readonly load?: EngineLoader;
}

/**
 * Opens an engine. `auto` takes `plain` for a net without matrices (layers, towers, attention), else the first of {@link engineNames}, TensorRT left out, that loads.
 * @returns the engine; the caller disposes it.
 * @throws MILL_ENGINE_UNAVAILABLE when the engine asked for by name does not load.
 */
export async function openEngine({
  wanted,
  shape,
  onSkip,
  load = openByName,
}: EngineChoice): Promise<Engine> {
  if (wanted !== 'auto') {
    try {
      return await load(wanted);
    } catch (error) {
      const message = `engine "${wanted}" cannot be loaded here: ${reasonFrom(error)}; wanted it installed, or engine auto`;
      throw new MillraceError('MILL_ENGINE_UNAVAILABLE', message, { cause: error });
    }
  }
  if (!hasMatrices(shape)) return load('plain');
  for (const name of automatic) {
    try {
      return await load(name);
    } catch (error) {
      onSkip(name, reasonFrom(error));
    }
  }
  throw new MillraceError(
    'MILL_ENGINE_UNAVAILABLE',
    `none of the engines ${automatic.join(', ')} can be loaded here`,
  );
}

const openers: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  'onnx-tensorrt': () => openOnnx('onnx-tensorrt'),
  'onnx-cuda': () => openOnnx('onnx-cuda'),
  'tfjs-node-gpu': () => openTfjs('tfjs-node-gpu'),
  onnx: () => openOnnx('onnx'),
  'tfjs-node': () => openTfjs('tfjs-node'),
  wasm: () => openTfjs('wasm'),
  cpu: () => openTfjs('cpu'),
  plain: async () => createPlainEngine(),
};

async function openTfjs(name: TfjsEngineName): Promise<Engine> {
  return createTfjsEngine(await openTfjsBackend[name]());
}

async function openOnnx(name: OnnxEngineName): Promise<Engine> {
  return createOnnxEngine(await openOnnxRuntime(name));
}

async function openByName(name: EngineName): Promise<Engine> {
  return openers[name]();
}
