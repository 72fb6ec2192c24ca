/**
 * Keeps what a client reads from going back in time: for each partition the sequence that it has read at. Holders of a
 * partition fold one log at their own pace, so after a hedge or a change of route another one may be a few blocks behind.
 */
import { sequenceFrom } from '@millrace/protocol';

export interface ReadFloor {
  /**
   * True when each partition of an answer was read at or beyond what was read before.
   * @param marks  the marks of a rows frame (protocol/pull-frame.ts), four words each.
   */
  admits(model: string, marks: Uint32Array, count: number): boolean;
  /** The sequence that a partition was read at; 0 before the first read. */
  of(model: string, partition: number): number;
  /** Notes a read at `sequence`, which is not below the floor, without an answer of a shard. */
  raise(model: string, partition: number, sequence: number): void;
  /** Takes the sequences of an answer for the floor from now on, lower ones too: of a log that begins anew. */
  set(model: string, marks: Uint32Array, count: number): void;
}

/** How often an answer that is older than the floor is asked for again, a little later each time, before it is taken. */
export const olderPausesMs: readonly number[] = [1, 2, 4];

export function createReadFloor(): ReadFloor {
  /** By model; the sequence by partition. */
  const floors = new Map<string, Float64Array>();
  const floorOf = (model: string, partition: number): Float64Array => {
    let floor = floors.get(model);
    if (floor === undefined || partition >= floor.length) {
      const longer = new Float64Array(2 ** Math.ceil(Math.log2(partition + 64)));
      if (floor) longer.set(floor);
      floor = longer;
      floors.set(model, floor);
    }
    return floor;
  };
  return {
    admits(model, marks, count) {
      const floor = floors.get(model);
      if (floor === undefined) return true;
      for (let i = 0; i < count; i += 1) {
        // Beyond its end there is no floor yet: a comparison with undefined is false.
        if (sequenceFrom(marks[4 * i + 2], marks[4 * i + 3]) < floor[marks[4 * i]]) return false;
      }
      return true;
    },
    of: (model, partition) => floors.get(model)?.[partition] ?? 0,
    raise(model, partition, sequence) {
      const floor = floorOf(model, partition);
      floor[partition] = Math.max(floor[partition], sequence);
    },
    set(model, marks, count) {
      // Marks ascend by partition, so the last one says how much room is needed.
      if (count === 0) return;
      const floor = floorOf(model, marks[4 * (count - 1)]);
      for (let i = 0; i < count; i += 1)
        floor[marks[4 * i]] = sequenceFrom(marks[4 * i + 2], marks[4 * i + 3]);
    },
  };
}
