/**
 * How long what waits will take, by what batches took lately while others waited: then one follows the other, and the time from
 * the end of one to the end of the next is all that the process spends on that many rows, reading and answering included.
 * Time and rows are summed apart, older ones fading: a batch during which the process did not run then counts for its time
 * alone, not for all batches to come.
 */

/** Noted time after which what was noted before counts 1/e of it. */
const fadeMs = 250;
/** An estimate is good for so long, ms: what held then, such as another process on the cores, may be over. */
const goodForMs = 1_000;
/** One batch tells nothing: it may have been paused. */
const batchesMin = 2;

export interface DrainRate {
  /**
   * Notes that a batch has ended.
   * @param othersWait  whether requests waited for a lane at its end.
   */
  note(rows: number, startedMs: number, nowMs: number, othersWait: boolean): void;
  /** Time that `rows` would take, ms; 0 where nothing is known. */
  msFor(rows: number, nowMs: number): number;
}

export function createDrainRate(): DrainRate {
  let sumMs = 0;
  let sumRows = 0;
  let batches = 0;
  let notedMs = Number.NEGATIVE_INFINITY;
  let endedMs = Number.NEGATIVE_INFINITY;
  return {
    note(rows, startedMs, nowMs, othersWait) {
      const tookMs = nowMs - Math.max(startedMs, endedMs);
      endedMs = nowMs;
      if (!othersWait) return;
      const isKnown = nowMs - notedMs <= goodForMs;
      const kept = isKnown ? Math.exp(-tookMs / fadeMs) : 0;
      sumMs = kept * sumMs + tookMs;
      sumRows = kept * sumRows + rows;
      batches = isKnown ? batches + 1 : 1;
      notedMs = nowMs;
    },
    msFor: (rows, nowMs) =>
      nowMs - notedMs <= goodForMs && batches >= batchesMin ? (rows * sumMs) / sumRows : 0,
  };
}
