/**
 * Double buffer of dense weights. The fold goes on changing its own array; a version is a copy made ready for the engine
 * beside the one in use, then put in place by one assignment. A batch takes the version once and computes with it to the
 * end, so none mixes two (I5). The version before is kept until the next swap, for a batch that still holds it.
 */
import { areFinite } from '@millrace/core';
import type { LoadedWeights, Program } from './engine.ts';
import { type Scales, scalesFrom } from './moments.ts';

export interface DenseVersion {
  /** Sequence in the dense log; 0 before the first block. */
  readonly version: number;
  readonly loaded: LoadedWeights;
  /** What this version's running moments make of values. */
  readonly scales: Scales;
}

/** The part of a dense fold that versions are made of. */
export interface WeightsSource {
  readonly weights: Float32Array;
  readonly sequence: number;
}

export interface DenseVersions {
  readonly current: DenseVersion;
  /**
   * Makes the fold's present weights the current version; nothing happens when they are already, or when they are not
   * finite: then the running version stays.
   */
  refresh(): 'swapped' | 'same' | 'refused';
  dispose(): void;
}

/** @param moments fields with running moments: the last 3 · moments floats of the weights. */
export function createDenseVersions(program: Program, source: WeightsSource, moments = 0): DenseVersions {
  const versionNow = (): DenseVersion => ({
    version: source.sequence,
    loaded: program.load(source.weights),
    scales: scalesFrom(source.weights, moments),
  });
  let current = versionNow();
  let before: DenseVersion | null = null;
  return {
    get current() {
      return current;
    },
    refresh() {
      if (source.sequence === current.version) return 'same';
      if (!areFinite(source.weights)) return 'refused';
      const next = versionNow();
      before?.loaded.dispose();
      before = current;
      current = next;
      return 'swapped';
    },
    dispose() {
      before?.loaded.dispose();
      current.loaded.dispose();
    },
  };
}
