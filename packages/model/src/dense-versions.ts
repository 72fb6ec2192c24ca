/**
 * Double buffer of dense weights. The fold goes on changing its own array; a version is a copy made ready for the engine
 * beside the one in use, then put in place by one assignment. A batch takes the version once and computes with it to the
 * end, so none mixes two (I5).
 *
 *   current ─ read by the pass that runs        before ─ read by none: the next version is made in its memory
 *
 * Making one ready takes a copy, a look at every float and what the engine does to load them: milliseconds for the largest
 * nets. prepare() does that while batches go on, each step in a turn of its own; swap() is the assignment, for the moment
 * between two passes. refresh() is both at once, for those who have nobody waiting.
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
   * finite: then the running version stays. The version before must have no pass under way.
   */
  refresh(): 'swapped' | 'same' | 'refused';
  /**
   * Makes the fold's present weights ready beside the current version, which passes may go on reading. One call at a time.
   * @param turn resolves once others have had their turn.
   */
  prepare(turn: () => Promise<void>): Promise<'ready' | 'same' | 'refused'>;
  /**
   * Puts the version before in the place of the current one, on trial. For the moment between two passes, as is its end.
   * @returns what ends the trial: true keeps it, and the weights of that sequence are not made a version again; false puts
   *   the current one back. Null: there is no version before.
   */
  revert(): ((keep: boolean) => void) | null;
  /** Makes what was prepared the current version, unless it was taken back since; nothing is allocated, copied or loaded. */
  swap(): void;
  dispose(): void;
}

/** @param moments fields with running moments: the last 3 · moments floats of the weights. */
export function createDenseVersions(program: Program, source: WeightsSource, moments = 0): DenseVersions {
  /** In the memory of `room`, where the engine can do that. */
  const versionOf = (weights: Float32Array, version: number, room: DenseVersion | null): DenseVersion => {
    const scales = scalesFrom(weights, moments);
    if (room === null || program.reload === undefined)
      return { version, loaded: program.load(weights), scales };
    program.reload(room.loaded, weights);
    return { version, loaded: room.loaded, scales };
  };
  let current = versionOf(source.weights, source.sequence, null);
  let before: DenseVersion | null = null;
  let next: DenseVersion | null = null;
  /** The fold at one sequence, while it goes on; made at the first use. */
  let staged: Float32Array | null = null;
  /** Sequence of a version that was taken back; −1: none was. */
  let takenBack = -1;

  const giveBack = (gone: DenseVersion | null, kept: DenseVersion) => {
    if (gone !== null && gone.loaded !== kept.loaded) gone.loaded.dispose();
  };
  const put = (ready: DenseVersion) => {
    giveBack(before, ready);
    before = current;
    current = ready;
    next = null;
  };
  return {
    get current() {
      return current;
    },
    refresh() {
      if (source.sequence === current.version || source.sequence === takenBack) return 'same';
      if (!areFinite(source.weights)) return 'refused';
      if (next !== null && next.loaded !== before?.loaded) next.loaded.dispose();
      put(versionOf(source.weights, source.sequence, before));
      program.loadBeside?.(current.loaded);
      return 'swapped';
    },
    async prepare(turn) {
      const { sequence, weights } = source;
      if (sequence === takenBack) return 'same';
      if (sequence === (next ?? current).version) return next === null ? 'same' : 'ready';
      staged ??= new Float32Array(weights.length);
      staged.set(weights);
      await turn();
      if (!areFinite(staged)) return 'refused';
      await turn();
      // One that was never swapped in gives up its memory, which may be that of the version before.
      const room = next ?? before;
      const ready = versionOf(staged, sequence, room);
      if (next !== null && next.loaded !== before?.loaded) giveBack(next, ready);
      next = ready;
      await turn();
      program.loadBeside?.(ready.loaded);
      return 'ready';
    },
    revert() {
      // The next version may have been made in its memory.
      if (before === null || next?.loaded === before.loaded) return null;
      const [suspect, trial] = [current, before];
      current = trial;
      before = null;
      return (keep) => {
        if (keep) {
          takenBack = suspect.version;
          suspect.loaded.dispose();
          return;
        }
        current = suspect;
        before = trial;
      };
    },
    swap() {
      // It may have been prepared while its weights were on trial.
      if (next !== null && next.version !== takenBack) put(next);
    },
    dispose() {
      const held = new Set([before, next, current].map((version) => version?.loaded));
      for (const loaded of held) loaded?.dispose();
    },
  };
}
