/**
 * What an updater writes down before it publishes a batch. Bucket mill-updaters, key = model, JSON, compare-and-set: a second
 * updater that takes over makes the first one's next write fail (MILL_FENCED).
 *
 * Each example has a place in the event log: (the event that completed it, its impression's event, its item), in that order.
 * A batch is every example in (from … to]. After a crash it may be published in part. The next start folds the event log
 * from `joinFrom` again, finds the same examples at the same places, and publishes them under the same batch number; a
 * partition that has this block already skips it. So nothing is lost and nothing counts twice.
 */
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, readRecord, recordInvalid } from './record-checks.ts';

const what = 'batch record';

/** Place of an example: [sequence of the completing event, sequence of its impression, index of its item]. */
export type ExamplePlace = readonly [number, number, number];

export interface BatchRecord {
  readonly producer: string;
  /** The updater process that wrote it, so that two that cut alike do not take each other's records for their own. */
  readonly writer: string;
  /** Number of the newest batch; the producer sequence of all its blocks. */
  readonly batch: number;
  readonly from: ExamplePlace;
  readonly to: ExamplePlace;
  /** First event needed to rebuild every example after `from`. */
  readonly joinFrom: number;
  /** The joiner's watermark just before `joinFrom`, Unix ms. */
  readonly joinWatermarkMs: number;
  /** For each partition the batch whose block was the last before this one, 0: none. */
  readonly previous: readonly number[];
  readonly previousDense: number;
  /** Examples learned by earlier batches, and how many of them were positive. */
  readonly learned: number;
  readonly positives: number;
}

/** Negative, zero or positive as `a` stands before, at or after `b`. */
export function comparePlaces(a: ExamplePlace, b: ExamplePlace): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

export function encodeBatchRecord(record: BatchRecord): Uint8Array {
  return jsonBytes(record);
}

/** Reads and checks a record. Throws MILL_RECORD_INVALID. */
export function decodeBatchRecord(bytes: Uint8Array): BatchRecord {
  const value = readRecord(what, () => jsonFrom(bytes));
  const record = checkedRecord<BatchRecord>(what, value, {
    producer: 'text',
    writer: 'text',
    batch: 'count',
    from: 'counts',
    to: 'counts',
    joinFrom: 'count',
    joinWatermarkMs: 'number',
    previous: 'counts',
    previousDense: 'count',
    learned: 'count',
    positives: 'count',
  });
  if (record.from.length !== 3 || record.to.length !== 3)
    throw recordInvalid(what, 'places of three counts', `${record.from.length} and ${record.to.length}`);
  return record;
}
