import { applyGradients, createPartitionState, fingerprintOf, partitionHash } from '@millrace/core';
import { expect, test } from 'vitest';
import {
  createModelShard,
  dropPartition,
  isReadable,
  openPartition,
  reportPartitions,
  takePartition,
} from '../src/model-shard.ts';
import { blockOf, file, keysOn, layouts } from './small-cluster.ts';

test('model shard: holds nothing at first; 64 partitions unless the file says otherwise', () => {
  const { partitions: _partitions, ...rest } = file;
  const shard = createModelShard(rest);
  expect([shard.partitions, shard.states.length, shard.readable.map((tables) => tables.length)]).toEqual([
    64,
    64,
    [64, 64],
  ]);
  expect([reportPartitions(shard), isReadable(shard, 0)]).toEqual([[], false]);
});

test('model shard: a partition is readable from opening to dropping', () => {
  const shard = createModelShard(file);
  const state = takePartition(shard, 2);
  expect([isReadable(shard, 2), shard.states[2] === state]).toEqual([false, true]);
  openPartition(shard, 2);
  expect(shard.readable.map((tables) => tables[2])).toEqual(state.tables);
  expect([isReadable(shard, 2), isReadable(shard, 1)]).toEqual([true, false]);
  dropPartition(shard, 2);
  expect([isReadable(shard, 2), shard.states[2], shard.readable.map((tables) => tables[2])]).toEqual([
    false,
    null,
    [null, null],
  ]);
});

test('model shard: opening a partition that was dropped meanwhile opens nothing', () => {
  const shard = createModelShard(file);
  takePartition(shard, 0);
  dropPartition(shard, 0);
  openPartition(shard, 0);
  expect(isReadable(shard, 0)).toBe(false);
});

test('model shard: a partition taken again starts empty', () => {
  const shard = createModelShard(file);
  const payload = blockOf({ partition: 0, sequence: 1, keys: keysOn(0, 4) });
  applyGradients(takePartition(shard, 0), { sequence: 3, payload }, 'report');
  expect(reportPartitions(shard)).toMatchObject([{ partition: 0, sequence: 3, rows: 4 }]);
  dropPartition(shard, 0);
  takePartition(shard, 0);
  const empty = createPartitionState({
    model: 'ads',
    fingerprint: fingerprintOf(file),
    partition: 0,
    layouts,
  });
  expect(reportPartitions(shard)).toMatchObject([
    { partition: 0, sequence: 0, rows: 0, stateHash: partitionHash(empty) },
  ]);
});
