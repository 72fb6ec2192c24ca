import { type Expiry, tickMsOf, tickOf } from './expiry.ts';

/**
 * A row goes once its score is below `scoreMin`: +1 an occurrence, halved every half-life since the row was made.
 *
 *   halvings = ⌊ticks since the anchor / ticks of a half-life⌋;   score ← score · 0.5^halvings + occurrences
 *
 * The anchor then moves on by whole half-lives, so that nothing is lost in between. Halving is exact in float32, down to 0,
 * and needs no power of anything: the loop below ends after 150 steps, when every score is 0.
 * Clock: uint32[2], the anchor's tick and the score as float32 bits.
 */
export function createScoreExpiry(halfLifeMs: number, scoreMin: number): Expiry {
  const tickMs = tickMsOf(halfLifeMs);
  const halfLifeTicks = Math.ceil(halfLifeMs / tickMs);
  const halvingsAt = (words: Uint32Array, at: number, tick: number) =>
    words[at] === 0 || tick === 0 ? 0 : Math.floor(((tick - words[at]) >>> 0) / halfLifeTicks);
  return {
    clockWords: 2,
    touch(words, at, timeMs, occurrences) {
      const tick = tickOf(timeMs, tickMs);
      const halvings = halvingsAt(words, at, tick);
      bits[0] = words[at + 1];
      float[0] = halved(float[0], halvings) + occurrences;
      words[at + 1] = bits[0];
      words[at] = words[at] === 0 ? tick : (words[at] + halvings * halfLifeTicks) >>> 0 || 1;
    },
    isOver(words, at, timeMs) {
      bits[0] = words[at + 1];
      return halved(float[0], halvingsAt(words, at, tickOf(timeMs, tickMs))) < scoreMin;
    },
  };
}

/** One word, seen as bits and as a number. */
const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

function halved(score: number, halvings: number): number {
  let left = score;
  for (let i = Math.min(150, halvings); i > 0; i -= 1) left *= 0.5;
  return left;
}
