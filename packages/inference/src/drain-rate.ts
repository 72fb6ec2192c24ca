/**
 * How long what waits will take, by what batches took lately while others waited: then one follows the other, and the time from
 * the end of one to the end of the next is all that the process spends on that many rows, reading and answering included.
 */

/** Of an older estimate the newest batch replaces this share. */
const share = 0.2;
/** An estimate is good for so long, ms: what held then, such as another process on the cores, may be over. */
const goodForMs = 1_000;

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
  let msPerRow = 0;
  let notedMs = Number.NEGATIVE_INFINITY;
  let endedMs = Number.NEGATIVE_INFINITY;
  return {
    note(rows, startedMs, nowMs, othersWait) {
      const found = (nowMs - Math.max(startedMs, endedMs)) / rows;
      endedMs = nowMs;
      if (!othersWait) return;
      const isKnown = nowMs - notedMs <= goodForMs;
      msPerRow = isKnown ? msPerRow + share * (found - msPerRow) : found;
      notedMs = nowMs;
    },
    msFor: (rows, nowMs) => (nowMs - notedMs <= goodForMs ? rows * msPerRow : 0),
  };
}
