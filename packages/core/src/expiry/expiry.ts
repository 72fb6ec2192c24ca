/**
 * When a row goes. Each row carries a clock: words behind its optimizer floats in the state arena, so that snapshots, hashes
 * and copies take it along. Time is the event time that blocks carry, never a wall clock, so the log alone decides.
 *
 * Float32 cannot hold Unix milliseconds, and uint32 only 49 days of them. Clocks therefore count ticks, 256 to the time that
 * the policy is about: an error of less than half a per cent, always to the row's favour. Ticks are kept modulo 2^32 and only
 * their differences are used; they would have to differ by 2^24 such times to be mistaken. Tick 0 means that the time was not
 * known when the row was made: its clock starts when the sweep first comes by.
 */

export interface Expiry {
  /** Words of a row's clock. */
  readonly clockWords: number;
  /**
   * Notes that a row was learned. All words are 0 for a row that is new.
   * @param words        uint32, clocks; words[at … at + clockWords) are overwritten.
   * @param timeMs       event time, 0: not known.
   * @param occurrences  examples that taught it.
   */
  touch(words: Uint32Array, at: number, timeMs: number, occurrences: number): void;
  /** True when a row whose clock runs has to go at an event time. Changes nothing. */
  isOver(words: Uint32Array, at: number, timeMs: number): boolean;
}

/** How long a tick is where `spanMs` is what matters. */
export function tickMsOf(spanMs: number): number {
  return Math.max(1, Math.floor(spanMs / 256));
}

/** The tick of an event time, never 0 but for a time that is not known. */
export function tickOf(timeMs: number, tickMs: number): number {
  return timeMs === 0 ? 0 : Math.floor(timeMs / tickMs) >>> 0 || 1;
}
