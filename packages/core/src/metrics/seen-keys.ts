/**
 * Whether a key was seen before, in a fixed memory: two Bloom filters, of which the older one is emptied and becomes the
 * newer one once the newer is full. So a key is remembered for one to two fillings; a new one is taken for a seen one
 * (4 hashes, 16 bits a key and filter) with a probability below 0.5 %.
 */
export interface SeenKeys {
  /** Notes a key; true when it was not known. Keys are hashes already. */
  add(low: number, high: number): boolean;
}

/** @param keysMax keys of one filling; 4 bytes of memory each. */
export function createSeenKeys(keysMax: number): SeenKeys {
  const words = 2 ** Math.ceil(Math.log2(Math.max(2, keysMax / 2)));
  const mask = 32 * words - 1;
  let newer = new Uint32Array(words);
  let older = new Uint32Array(words);
  let filled = 0;
  return {
    add(low, high) {
      let inNewer = true;
      let inOlder = true;
      for (let i = 0; i < 4; i += 1) {
        // Kirsch, Mitzenmacher: two hashes make as many as are wanted.
        const bit = (low + Math.imul(i, high | 1)) & mask;
        const word = bit >>> 5;
        const flag = 1 << (bit & 31);
        if ((newer[word] & flag) === 0) inNewer = false;
        if ((older[word] & flag) === 0) inOlder = false;
        newer[word] |= flag;
      }
      if (!inNewer) filled += 1;
      if (filled >= keysMax) {
        const emptied = older;
        older = newer;
        newer = emptied.fill(0);
        filled = 0;
      }
      return !inNewer && !inOlder;
    },
  };
}
