/**
 * Counts keys in a fixed memory: a count-min sketch of four rows, updated conservatively.
 *
 *   estimate = min over the rows of the key's cell;   each cell ← max(cell, min(estimate + occurrences, wanted))
 *
 * A key's cells are never below its true count, so it is admitted at its wanted-th occurrence at the latest; keys that share
 * all four cells with others are admitted early. Cells saturate at the count that is wanted and are never lowered: lowering
 * them would admit late. A sketch into which many more keys came than it has cells therefore admits nearly everything; count
 * exactly where keys never end.
 * Sources: Cormode, Muthukrishnan, J. Algorithms 55 (2005); conservative update: Estan, Varghese, SIGCOMM 2002.
 */
import { fmix } from '../key-hash.ts';
import type { Admission } from './admission.ts';

const rows = 4;

/** @param wanted occurrences at which a key is admitted. @param cells of all rows, a power of two, 64 or more. */
export function createSketchCounter(wanted: number, cells: number, seed: number): Admission {
  const width = cells / rows;
  const counts = cellsFor(wanted, cells);
  const at = new Int32Array(rows);
  return {
    admits(low, high, occurrences) {
      const first = fmix(low ^ fmix(high ^ seed));
      const step = fmix(first ^ low ^ 0x9e3779b9) | 1;
      let estimate = wanted;
      for (let row = 0; row < rows; row += 1) {
        at[row] = row * width + ((first + Math.imul(row, step)) & (width - 1));
        if (counts[at[row]] < estimate) estimate = counts[at[row]];
      }
      const count = Math.min(wanted, estimate + occurrences);
      for (let row = 0; row < rows; row += 1) if (counts[at[row]] < count) counts[at[row]] = count;
      return count >= wanted;
    },
    bytes: () => counts.byteLength,
    words: () => new Uint32Array(counts.slice().buffer),
    restore(words) {
      if (words.byteLength !== counts.byteLength) throw new RangeError(`a sketch of ${cells} cells`);
      new Uint32Array(counts.buffer).set(words);
    },
  };
}

/** Cells of the fewest bytes that hold the count. */
function cellsFor(wanted: number, cells: number): Uint8Array | Uint16Array | Uint32Array {
  if (wanted <= 0xff) return new Uint8Array(cells);
  return wanted <= 0xffff ? new Uint16Array(cells) : new Uint32Array(cells);
}
