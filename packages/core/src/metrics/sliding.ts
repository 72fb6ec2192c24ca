/**
 * A sum over the newest slots of time: what a slot held is taken out again when it leaves. Sums of whole numbers and of
 * weights stay exact enough; to keep rounding from gathering, a sum starts anew once a round of slots.
 */
export interface Sliding<T> {
  /** Of the slot in work; add to it and to `sum`. */
  readonly slot: T;
  readonly sum: T;
  /** Of the oldest slot, which the next advance takes out. */
  readonly leaving: T;
  /** Ends the slot in work. */
  advance(): void;
}

export interface SlidingKind<T> {
  create(): T;
  add(to: T, what: T, sign: 1 | -1): void;
  clear(what: T): void;
}

/** @param slots length of the stretch, the slot in work included. */
export function createSliding<T>(kind: SlidingKind<T>, slots: number): Sliding<T> {
  const ring = Array.from({ length: slots }, () => kind.create());
  const sum = kind.create();
  let at = 0;
  return {
    get slot() {
      return ring[at];
    },
    sum,
    get leaving() {
      return ring[(at + 1) % slots];
    },
    advance() {
      at = (at + 1) % slots;
      kind.add(sum, ring[at], -1);
      kind.clear(ring[at]);
      if (at !== 0) return;
      kind.clear(sum);
      for (const slot of ring) kind.add(sum, slot, 1);
    },
  };
}
