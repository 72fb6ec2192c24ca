/**
 * Chooses what runs a net: the engine asked for by name, or the best of those that load here. Where there is a choice and the
 * caller says what the net is for, best is what is measured, else the first in the order of `engineNames`.
 */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Engine, type EngineName, engineNames } from './engine.ts';
import { type EngineWork, measureEngine } from './measure-engine.ts';
import { hasMatrices, type NetShape } from './net-shape.ts';
import { openByName } from './open-engine.ts';

/** Opens one engine by name; rejects with the reason when it cannot be loaded here. */
export type EngineLoader = (name: EngineName) => Promise<Engine>;

export interface EngineChoice {
  /** `auto`, or the one engine that will do. */
  readonly wanted: 'auto' | EngineName;
  /** The net that will run: one without matrices runs best on `plain`. */
  readonly shape: NetShape;
  /** Told once about each engine that `auto` passes over because it does not load. */
  readonly onSkip: (name: EngineName, reason: string) => void;
  /** What the net is for; without it `auto` measures nothing. */
  readonly work?: EngineWork;
  /** What opens an engine; tests hand in their own. */
  readonly load?: EngineLoader;
  /** As OpenNetOptions.isBusy. */
  readonly isBusy?: () => boolean;
  readonly nowMs?: () => number;
}

/** Microseconds a call, by place in EngineWork.rows; fewer where it had lost before the end. */
export interface EngineSpeed {
  readonly name: EngineName;
  readonly callUs: readonly number[];
}

export interface ChosenEngine {
  /** The caller disposes it. */
  readonly engine: Engine;
  /**
   * `named`: asked for; `simple`: plain, for a net without matrices; `first`: of those that load, with nothing measured;
   * `measured`: the fastest; `imported`: what runs an imported net.
   */
  readonly reason: 'named' | 'simple' | 'first' | 'measured' | 'imported';
  /** Of all that were measured, in the order of `engineNames`. */
  readonly speeds: readonly EngineSpeed[];
}

/** Time for loading and measuring; engines whose turn comes later are passed over. */
const budgetMs = 1_500;
const sliceMs = 50;
/** Engines as close as this are as fast as each other: the first of them is taken, so that noise decides less. */
const tie = 1.03;

/**
 * An engine is not tried once one of these has been measured: it is of the same kind, and they were faster at every size (DESIGN.md).
 * So TensorFlow.js, which takes a quarter of a second and 50 MB to load, stays away from a node that has better. One of its
 * engines at most is measured: it has one backend in a process, and the next would take it from the one that had won.
 */
const behind: Readonly<Partial<Record<EngineName, readonly EngineName[]>>> = {
  webgpu: ['onnx-cuda', 'tfjs-node-gpu'],
  'tfjs-node': ['tfjs-node-gpu', 'webgpu'],
  wasm: ['onnx-cuda', 'tfjs-node-gpu', 'onnx', 'webgpu', 'tfjs-node'],
  cpu: ['onnx-cuda', 'tfjs-node-gpu', 'onnx', 'webgpu', 'tfjs-node', 'wasm'],
};

/** Those that `auto` tries. TensorRT compiles for minutes what it is given, and it is given each version anew: it runs when named. */
const automatic = engineNames.filter((name) => name !== 'onnx-tensorrt');

/** @throws MILL_ENGINE_UNAVAILABLE when the engine asked for by name does not load. */
export async function openEngine(choice: EngineChoice): Promise<ChosenEngine> {
  const { wanted, shape, work } = choice;
  const load = loaderOf(choice);
  if (wanted !== 'auto') return { engine: await openNamed(wanted, load), reason: 'named', speeds: [] };
  if (!hasMatrices(shape)) return { engine: await load('plain'), reason: 'simple', speeds: [] };
  return work === undefined ? await firstThatLoads(choice) : await fastest({ ...choice, work });
}

function loaderOf({ load, isBusy }: EngineChoice): EngineLoader {
  return load ?? ((name) => openByName(name, isBusy));
}

async function openNamed(name: EngineName, load: EngineLoader): Promise<Engine> {
  try {
    return await load(name);
  } catch (error) {
    const message = `engine "${name}" cannot be loaded here: ${reasonFrom(error)}; wanted it installed, or engine auto`;
    throw new MillraceError('MILL_ENGINE_UNAVAILABLE', message, { cause: error });
  }
}

async function firstThatLoads(choice: EngineChoice): Promise<ChosenEngine> {
  const { onSkip } = choice;
  const load = loaderOf(choice);
  for (const name of automatic) {
    const engine = await loadOr(name, load, onSkip);
    if (engine !== null) return { engine, reason: 'first', speeds: [] };
  }
  throw noneLoads();
}

/** The one with the least product of its times, which weighs a factor at any size of batches alike. */
async function fastest(choice: EngineChoice & { readonly work: EngineWork }): Promise<ChosenEngine> {
  const { shape, work, onSkip, nowMs = () => performance.now() } = choice;
  const load = loaderOf(choice);
  const endMs = nowMs() + budgetMs;
  const speeds: EngineSpeed[] = [];
  let best: { readonly engine: Engine; readonly callUs: readonly number[] } | null = null;
  for (const name of automatic) {
    if (speeds.some((measured) => behind[name]?.includes(measured.name))) continue;
    if (best !== null && nowMs() > endMs) {
      onSkip(name, `the ${budgetMs} ms for a choice were over`);
      continue;
    }
    const engine = await loadOr(name, load, onSkip);
    if (engine === null) continue;
    const measuring = measureEngine(engine, shape, work, best?.callUs ?? null, { nowMs, turn, sliceMs });
    const callUs = await measuring.catch((error: unknown) => {
      onSkip(name, reasonFrom(error));
      return null;
    });
    if (callUs !== null) speeds.push({ name, callUs });
    if (callUs !== null && (best === null || isFaster(callUs, best.callUs))) {
      best?.engine.dispose();
      best = { engine, callUs };
    } else {
      engine.dispose();
    }
  }
  if (best === null) throw noneLoads();
  return { engine: best.engine, reason: 'measured', speeds };
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function isFaster(callUs: readonly number[], best: readonly number[]): boolean {
  if (callUs.length < best.length) return false;
  const logRatio = callUs.reduce((sum, us, place) => sum + Math.log(us / best[place]), 0);
  return logRatio / callUs.length < -Math.log(tie);
}

async function loadOr(
  name: EngineName,
  load: EngineLoader,
  onSkip: EngineChoice['onSkip'],
): Promise<Engine | null> {
  try {
    const engine = await load(name);
    if (engine.device?.isSoftware !== true) return engine;
    engine.dispose();
    onSkip(name, `its device is software, ${engine.device.name}: it runs when named`);
  } catch (error) {
    onSkip(name, reasonFrom(error));
  }
  return null;
}

function noneLoads(): MillraceError {
  return new MillraceError(
    'MILL_ENGINE_UNAVAILABLE',
    `none of the engines ${automatic.join(', ')} can be loaded here`,
  );
}
