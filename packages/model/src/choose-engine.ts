/** Chooses what runs a net: the best engine that loads here, or the one asked for by name. */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Engine, type EngineName, engineNames } from './engine.ts';
import { hasMatrices, type NetShape } from './net-shape.ts';
import { createPlainEngine } from './plain-engine.ts';
import { openTfjsBackend } from './tfjs-backends.ts';
import { createTfjsEngine } from './tfjs-engine.ts';

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
 * Opens an engine. `auto` takes `plain` for a net without matrices (layers, towers, attention), else the first of {@link engineNames} that loads.
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
  for (const name of engineNames) {
    try {
      return await load(name);
    } catch (error) {
      onSkip(name, reasonFrom(error));
    }
  }
  throw new MillraceError(
    'MILL_ENGINE_UNAVAILABLE',
    `none of the engines ${engineNames.join(', ')} can be loaded here`,
  );
}

async function openByName(name: EngineName): Promise<Engine> {
  return name === 'plain' ? createPlainEngine() : createTfjsEngine(await openTfjsBackend[name]());
}
