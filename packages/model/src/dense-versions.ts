/**
 * Double buffer of dense weights. The fold goes on changing its own array; a version is a copy made ready for the engine
 * beside the one in use, then put in place by one assignment. A batch takes the version once and computes with it to the
 * end, so none mixes two (I5). The version before is kept until the next swap, for a batch that still holds it.
 */
import { areFinite } from '@millrace/core';
import type { LoadedWeights, Program } from './engine.ts';

export interface DenseVersion {
  /** Sequence in the dense log; 0 before the first block. */
  readonly version: number;
  readonly loaded: LoadedWeights;
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

export function createDenseVersions(program: Program, source: WeightsSource): DenseVersions {
  let current: DenseVersion = { version: source.sequence, loaded: program.load(source.weights) };
  let before: DenseVersion | null = null;
  return {
    get current() {
      return current;
    },
    refresh() {
      if (source.sequence === current.version) return 'same';
      if (!areFinite(source.weights)) return 'refused';
      const next = { version: source.sequence, loaded: program.load(source.weights) };
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
