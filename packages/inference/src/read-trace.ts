/**
 * Which of a batch's reads a request rests on. A batch pulls the rows of all its requests at once and may touch every
 * partition; a request needs those of its own keys, a few tens, and only these are written down with its scores.
 *
 *   marks of the batch ── begin ──▶ marks by (table, partition) ── readsOf(keys of a request) ──▶ bytes
 */
import type { ReadMarks } from '@millrace/client';
import { partitionOf } from '@millrace/core';
import type { SparseBatch } from '@millrace/model';
import { encodePlacedReads, readPlaceOf } from '@millrace/protocol';

export interface ReadTrace {
  /** Takes the marks of a batch, once its pulls are done. They must stay as they are until its last readsOf. */
  begin(marks: ReadMarks): void;
  /**
   * The reads (protocol/read-log.ts) behind a run of the batch's occurrences.
   * @param from  by table the first occurrence.
   * @param to    by table the place behind the last.
   */
  readsOf(batch: SparseBatch, from: readonly number[], to: readonly number[]): Uint8Array;
}

export function createReadTrace(tables: number, partitions: number): ReadTrace {
  /** By table · partitions + partition: 1 + the newest mark there, 0: none; and the request that took it up last. */
  const heads = new Uint32Array(tables * partitions);
  const takenBy = new Uint32Array(heads.length);
  /** By mark: 1 + the one before it of the same place, 0: none. */
  let before = new Uint32Array(0);
  let sequencesOfMarks: Float64Array = new Float64Array(0);
  /** What one request rests on. */
  let taken = new Uint32Array(64);
  let places = new Uint32Array(64);
  let sequences = new Float64Array(64);
  let request = 0;

  const isKnown = (at: number, sequence: number): boolean => {
    for (let m = heads[at]; m > 0; m = before[m - 1]) if (sequencesOfMarks[m - 1] === sequence) return true;
    return false;
  };

  /** Adds the places of a table's keys to `taken`; gives how many there are now. */
  const takeKeys = (batch: SparseBatch, table: number, from: number, to: number, count: number): number => {
    const { keyOf, keys } = batch.tables[table];
    let used = count;
    for (let i = from; i < to; i += 1) {
      const key = keyOf[i];
      const at = table * partitions + partitionOf(keys[2 * key], keys[2 * key + 1], partitions);
      if (takenBy[at] === request) continue;
      takenBy[at] = request;
      if (heads[at] === 0) continue;
      if (used === taken.length) taken = grown(taken, new Uint32Array(2 * used));
      taken[used] = at;
      used += 1;
    }
    return used;
  };

  return {
    begin(marks) {
      heads.fill(0);
      sequencesOfMarks = marks.sequences;
      if (before.length < marks.count) before = new Uint32Array(marks.partitions.length);
      for (let m = 0; m < marks.count; m += 1) {
        const at = marks.tables[m] * partitions + marks.partitions[m];
        if (isKnown(at, marks.sequences[m])) continue;
        before[m] = heads[at];
        heads[at] = m + 1;
      }
    },
    readsOf(batch, from, to) {
      request = request === 0xffff_ffff ? 1 : request + 1;
      let count = 0;
      for (let table = 0; table < tables; table += 1) {
        count = takeKeys(batch, table, from[table], to[table], count);
      }
      taken.subarray(0, count).sort();
      let reads = 0;
      for (let i = 0; i < count; i += 1) {
        const at = taken[i];
        const place = readPlaceOf(Math.floor(at / partitions), at % partitions);
        for (let m = heads[at]; m > 0; m = before[m - 1]) {
          if (reads === places.length) {
            places = grown(places, new Uint32Array(2 * reads));
            sequences = grown(sequences, new Float64Array(2 * reads));
          }
          places[reads] = place;
          sequences[reads] = sequencesOfMarks[m - 1];
          reads += 1;
        }
      }
      return encodePlacedReads(places, sequences, reads);
    },
  };
}

function grown<A extends Uint32Array | Float64Array>(array: A, larger: A): A {
  larger.set(array);
  return larger;
}
