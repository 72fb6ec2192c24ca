/** In how many examples of a batch each key of a table stands: what admission counts and what keeps rows from expiring. */
import type { TableBatch } from './sparse-batch.ts';

export interface KeyOccurrences {
  /** uint32[unique or more], ≥ 1; valid until the next call. An example that has a key in several places counts once. */
  count(table: TableBatch): Uint32Array;
}

/** Counts into memory that is kept and grown to the largest batch. */
export function createKeyOccurrences(): KeyOccurrences {
  let counts = new Uint32Array(64);
  let lastExample = new Int32Array(64);
  return {
    count({ unique, occurrences, keyOf, exampleOf }) {
      if (unique > counts.length) {
        counts = new Uint32Array(2 * unique);
        lastExample = new Int32Array(2 * unique);
      }
      counts.fill(0, 0, unique);
      lastExample.fill(-1, 0, unique);
      for (let i = 0; i < occurrences; i += 1) {
        const key = keyOf[i];
        // Occurrences of an example stand together.
        if (lastExample[key] === exampleOf[i]) continue;
        lastExample[key] = exampleOf[i];
        counts[key] += 1;
      }
      return counts;
    },
  };
}
