import { addReadMark, createReadMarks } from '@millrace/client';
import { partitionOf } from '@millrace/core';
import { addOccurrence, compileFeatures, compileNet, createSparseBatch } from '@millrace/model';
import { decodeReadLog, type ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createReadTrace } from '../src/read-trace.ts';
import { linear } from './small-serving.ts';

const partitions = 8;
const twoTables: ModelFile = {
  ...linear,
  partitions,
  tables: [linear.tables[0], { ...linear.tables[0], name: 'more' }],
};
const plan = compileFeatures(twoTables, compileNet(twoTables), 10);

/** A key of each partition, found by counting. */
const keyIn = Array.from({ length: partitions }, (_, wanted) => {
  let low = 1;
  while (partitionOf(low, 0, partitions) !== wanted) low += 1;
  return low;
});

/** A batch of requests, each with (table, partition) pairs of its keys. */
function batchOf(requests: readonly (readonly (readonly [table: number, partition: number])[])[]) {
  const batch = createSparseBatch(plan);
  const bounds = [batch.tables.map(({ occurrences }) => occurrences)];
  for (const keys of requests) {
    for (const [table, partition] of keys)
      addOccurrence(batch, batch.tables[table], keyIn[partition], 0, -1, 1);
    bounds.push(batch.tables.map(({ occurrences }) => occurrences));
  }
  return { batch, bounds };
}

function marksOf(marks: readonly (readonly [table: number, partition: number, sequence: number])[]) {
  const all = createReadMarks();
  for (const [table, partition, sequence] of marks) addReadMark(all, partition, sequence, table);
  return all;
}

const plainly = (bytes: Uint8Array) =>
  decodeReadLog(bytes).map(({ table, partition, sequence }) => [table, partition, sequence]);

test('read trace: each request gets the reads of its own keys, in order, once', () => {
  const { batch, bounds } = batchOf([
    [
      [1, 3],
      [0, 5],
      [0, 5],
      [0, 2],
    ],
    [[0, 5]],
    [],
  ]);
  const trace = createReadTrace(2, partitions);
  trace.begin(
    marksOf([
      [0, 2, 20],
      [0, 5, 50],
      [0, 7, 70],
      [1, 3, 33],
      [1, 5, 55],
    ]),
  );
  const reads = [0, 1, 2].map((r) => plainly(trace.readsOf(batch, bounds[r], bounds[r + 1])));
  expect(reads).toEqual([
    [
      [0, 2, 20],
      [0, 5, 50],
      [1, 3, 33],
    ],
    [[0, 5, 50]],
    [],
  ]);
});

test('read trace: a partition read in parts stands there at each sequence once, one without an answer not at all', () => {
  const { batch, bounds } = batchOf([
    [
      [0, 1],
      [0, 4],
    ],
  ]);
  const trace = createReadTrace(2, partitions);
  trace.begin(
    marksOf([
      [0, 1, 10],
      [0, 1, 12],
      [0, 1, 10],
      [1, 4, 9],
    ]),
  );
  const reads = plainly(trace.readsOf(batch, bounds[0], bounds[1]));
  expect(reads.sort()).toEqual([
    [0, 1, 10],
    [0, 1, 12],
  ]);
});

test('read trace: nothing of one batch is left in the next', () => {
  const trace = createReadTrace(2, partitions);
  const first = batchOf([[[0, 1]], [[0, 6]]]);
  trace.begin(
    marksOf([
      [0, 1, 10],
      [0, 6, 60],
    ]),
  );
  expect(plainly(trace.readsOf(first.batch, first.bounds[0], first.bounds[2])).length).toBe(2);
  trace.begin(marksOf([[0, 6, 61]]));
  expect(plainly(trace.readsOf(first.batch, first.bounds[0], first.bounds[2]))).toEqual([[0, 6, 61]]);
});

test('read trace: grows with a request that touches many partitions', () => {
  const wide = createReadTrace(2, 4_096);
  const batch = createSparseBatch(plan);
  const marks = createReadMarks();
  for (let partition = 0; partition < 4_096; partition += 1) addReadMark(marks, partition, 1, 1);
  for (let low = 1; low <= 3_000; low += 1) addOccurrence(batch, batch.tables[1], low, 0, -1, 1);
  wide.begin(marks);
  const read = plainly(wide.readsOf(batch, [0, 0], [0, 3_000])).map(([, partition]) => partition);
  const touched = new Set(Array.from({ length: 3_000 }, (_, i) => partitionOf(i + 1, 0, 4_096)));
  expect(read).toEqual([...touched].sort((a, b) => a - b));
});
