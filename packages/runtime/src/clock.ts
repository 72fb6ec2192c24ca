/** Time as a thing that is handed in, so that whatever waits can be run by hand in a test or a simulation. */
import { invariant } from '@millrace/protocol';

export interface Timer {
  /** The function will not be called any more; harmless afterwards. */
  cancel(): void;
}

export interface Clock {
  /** Unix time, ms. May jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds since some fixed moment; never goes back. For durations. */
  monotonicMs(): number;
  /** Calls `fire` once, `delayMs` from now. */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export interface ManualClock extends Clock {
  /** Moves time to `ms` (Unix) and runs every timer that falls due on the way, each at its own time. */
  advanceTo(ms: number): void;
  /** Moves time on by `ms`. */
  advanceBy(ms: number): void;
  /** Timers that wait. */
  readonly timersWaiting: number;
}

/** A clock that stands still until it is moved. Timers due at one moment run in the order they were set. */
export function createManualClock(startMs: number): ManualClock {
  return new ManualClockCore(startMs);
}

interface WaitingTimer {
  readonly dueMs: number;
  readonly fire: () => void;
}

class ManualClockCore implements ManualClock {
  readonly #startMs: number;
  #nowMs: number;
  /** Ascending by due time; equal times in the order they were set. */
  readonly #timers: WaitingTimer[] = [];

  constructor(startMs: number) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  get timersWaiting(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), fire };
    const after = this.#timers.findIndex((other) => other.dueMs > timer.dueMs);
    this.#timers.splice(after === -1 ? this.#timers.length : after, 0, timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index !== -1) this.#timers.splice(index, 1);
      },
    };
  }

  advanceTo(ms: number): void {
    invariant(ms >= this.#nowMs, `a clock does not go back: it is ${this.#nowMs}, wanted ${ms}`);
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.dueMs > ms) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
    this.#nowMs = ms;
  }

  advanceBy(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }
}
