import { type Expiry, tickMsOf, tickOf } from './expiry.ts';

/**
 * A row goes once nothing was learned into it for `afterMs`; up to two ticks later, never earlier.
 * Clock: uint32[1], the tick when it was learned last.
 */
export function createAgeExpiry(afterMs: number): Expiry {
  const tickMs = tickMsOf(afterMs);
  // Ticks that differ by n lie at least (n − 1) · tickMs apart.
  const ticksMax = Math.ceil(afterMs / tickMs) + 1;
  return {
    clockWords: 1,
    touch(words, at, timeMs) {
      words[at] = tickOf(timeMs, tickMs);
    },
    isOver: (words, at, timeMs) => (tickOf(timeMs, tickMs) - words[at]) >>> 0 >= ticksMax,
  };
}
