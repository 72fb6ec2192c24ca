/**
 * How old may rows be that were read at given sequences? The updater tells the heads of all logs after each batch
 * (protocol/heads.ts). Rows read at sequences that have reached the heads told at time t miss only what came after t, so
 * their staleness is now − t. Times are the reader's own, so clocks need not agree.
 */

/** Heads kept: at 50 batches a second, the last 20 s. */
const keptMax = 1_024;

export interface Staleness {
  /** Takes heads that arrived at `nowMs`. */
  note(heads: readonly number[], nowMs: number): void;
  /**
   * Staleness in ms of rows read from `partitions` (the first `count` of them) at `sequences` (by place in `partitions`).
   * Rows older than all kept heads get the age of the oldest kept; null before the first heads came.
   */
  ofRead(
    partitions: ArrayLike<number>,
    sequences: ArrayLike<number>,
    count: number,
    nowMs: number,
  ): number | null;
}

export function createStaleness(): Staleness {
  const kept: { readonly heads: readonly number[]; readonly atMs: number }[] = [];
  let next = 0;
  return {
    note(heads, nowMs) {
      kept[next % keptMax] = { heads, atMs: nowMs };
      next += 1;
    },
    ofRead(partitions, sequences, count, nowMs) {
      if (next === 0) return null;
      const oldest = Math.max(0, next - keptMax);
      for (let n = next - 1; n >= oldest; n -= 1) {
        const { heads, atMs } = kept[n % keptMax];
        if (hasReached(heads, partitions, sequences, count)) return nowMs - atMs;
      }
      return nowMs - kept[oldest % keptMax].atMs;
    },
  };
}

function hasReached(
  heads: readonly number[],
  partitions: ArrayLike<number>,
  sequences: ArrayLike<number>,
  count: number,
): boolean {
  for (let i = 0; i < count; i += 1) {
    if (sequences[i] < (heads[partitions[i]] ?? 0)) return false;
  }
  return true;
}
