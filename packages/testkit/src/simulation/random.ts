/** Random numbers that a seed gives again: what is simulated once can be simulated again, step by step. */

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Whole number from 0 to `below` − 1. */
  whole(below: number): number;
  /** True with this chance. */
  chance(of: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** A linear congruential generator whose state is mixed before it is given out, since its low bits alone are poor. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x9e37_79b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 4_294_967_296;
  };
  const whole = (below: number) => Math.floor(uniform() * below);
  return { uniform, whole, chance: (of) => uniform() < of, pick: (from) => from[whole(from.length)] };
}
