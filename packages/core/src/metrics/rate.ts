/**
 * Events a second over a sliding window, from counts and the times they were noticed.
 * The window is a ring of slots, so memory does not grow with the traffic; the oldest slot leaves whole.
 */

const windowMsDefault = 5_000;
const slotCount = 20;

export interface RateOptions {
  /** Length of the window, ms. Default 5,000. */
  readonly windowMs?: number;
}

export interface Rate {
  /** Adds events noticed at `nowMs`, which never goes back. */
  add(count: number, nowMs: number): void;
  /**
   *   events in the window / seconds of the window
   * where the window reaches back to its length, or to the first `add` while that is nearer (but at least one slot, a
   * twentieth of the window, so that the first events do not show as a burst). 0 before any event.
   */
  perSecond(nowMs: number): number;
}

/** Starts with no events. */
export function createRate(options: RateOptions = {}): Rate {
  return new SlidingRate((options.windowMs ?? windowMsDefault) / slotCount);
}

class SlidingRate implements Rate {
  readonly #slotMs: number;
  readonly #counts = new Float64Array(slotCount);
  #startMs = Number.NaN;
  /** Number of the newest slot: floor(time / slotMs). */
  #slot = 0;
  #sum = 0;

  constructor(slotMs: number) {
    this.#slotMs = slotMs;
  }

  add(count: number, nowMs: number): void {
    if (Number.isNaN(this.#startMs)) {
      this.#startMs = nowMs;
      this.#slot = Math.floor(nowMs / this.#slotMs);
    }
    this.#advance(nowMs);
    this.#counts[this.#slot % slotCount] += count;
    this.#sum += count;
  }

  perSecond(nowMs: number): number {
    if (Number.isNaN(this.#startMs)) return 0;
    this.#advance(nowMs);
    const windowStartMs = Math.max(this.#startMs, (this.#slot - slotCount + 1) * this.#slotMs);
    return (this.#sum * 1_000) / Math.max(nowMs - windowStartMs, this.#slotMs);
  }

  /** Empties the slots between the newest one and that of `nowMs`. */
  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    const stale = Math.min(slot - this.#slot, slotCount);
    for (let i = 1; i <= stale; i++) {
      const place = (this.#slot + i) % slotCount;
      this.#sum -= this.#counts[place];
      this.#counts[place] = 0;
    }
    if (slot > this.#slot) this.#slot = slot;
  }
}
