/**
 * How long candidates take for one batch: the shortest of many turns, taken one after another, so that what else the machine does
 * falls on all alike and counts for none.
 */
import type { LocalLearner } from '@millrace/learner';
import { gatherSpace } from '@millrace/model';
import type { Candidate } from './candidates.ts';
import type { RowCopies } from './row-copies.ts';

export interface Timing {
  /** Turns of each candidate. */
  readonly rounds: number;
  readonly nowMs: () => number;
}

/** A turn of a candidate lasts this long, so that the clock's grain does not count. */
const turnMs = 3;

/**
 * Time of one forward pass over the batch that the learner scored last, by candidate.
 * @returns ms.
 */
export async function forwardTimes(
  learner: LocalLearner,
  candidates: readonly Candidate[],
  timing: Timing,
): Promise<readonly number[]> {
  const { space } = learner;
  return shortestOf(
    candidates.map(({ net, loaded, scales }) => {
      const input = gatherSpace(space, scales);
      return () => net.program.forward(loaded, input, space.logits);
    }),
    timing,
  );
}

/** Time of reading all rows of that batch, for float32 as a shard does it and for each of the copies. @returns ms. */
export async function readTimes(
  learner: LocalLearner,
  copies: readonly RowCopies[],
  readLearned: () => void,
  timing: Timing,
): Promise<readonly number[]> {
  const { batch, rows } = learner.space;
  const reads = copies.map((copy) => () => {
    for (const [t, { keys, unique }] of batch.tables.entries()) copy.read(t, keys, unique, rows[t]);
  });
  return shortestOf([readLearned, ...reads], timing);
}

async function shortestOf(
  works: readonly (() => void | Promise<void> | undefined)[],
  { rounds, nowMs }: Timing,
): Promise<readonly number[]> {
  const shortest = works.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [w, work] of works.entries()) {
      const startMs = nowMs();
      let calls = 0;
      let elapsedMs = 0;
      while (elapsedMs < turnMs) {
        const working = work();
        if (working !== undefined) await working;
        calls += 1;
        elapsedMs = nowMs() - startMs;
      }
      // The first round warms up.
      if (round > 0) shortest[w] = Math.min(shortest[w], elapsedMs / calls);
    }
  }
  return shortest;
}
