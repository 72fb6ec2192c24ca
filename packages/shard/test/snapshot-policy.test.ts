import type { ModelLease, PartitionMap, ShardLease } from '@millrace/protocol';
import { partitionSetText } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { captureBase, chainAfter, deltasMax, isFirstReady } from '../src/snapshot-policy.ts';

const question = { markedSince: 7, rows: 10, changedRows: 4, chains: [{ sequence: 7, deltas: 0 }] };

test('snapshot policy: a delta on the last capture where every store has it and under half has changed', () => {
  expect(captureBase(question)).toBe(7);
  const two = [...question.chains, { sequence: 7, deltas: 3 }];
  expect(captureBase({ ...question, chains: two })).toBe(7);
});

test('snapshot policy: full otherwise', () => {
  const behind = [...question.chains, { sequence: 6, deltas: 0 }];
  const unknown = [...question.chains, null];
  const long = [{ sequence: 7, deltas: deltasMax }];
  const cases = [
    { ...question, markedSince: null },
    { ...question, changedRows: 5 },
    { ...question, rows: 0, changedRows: 0 },
    { ...question, chains: behind },
    { ...question, chains: unknown },
    { ...question, chains: long },
  ];
  expect(cases.map(captureBase)).toEqual([null, null, null, null, null, null]);
});

test('snapshot policy: a chain is one full snapshot and seven deltas at most', () => {
  let chain = chainAfter(null, 1, null);
  const kinds: string[] = ['full'];
  for (let sequence = 2; sequence <= 10; sequence += 1) {
    const base = captureBase({ markedSince: sequence - 1, rows: 10, changedRows: 1, chains: [chain] });
    kinds.push(base === null ? 'full' : `on ${base}`);
    chain = chainAfter(chain, sequence, base);
  }
  expect(kinds).toEqual(['full', 'on 1', 'on 2', 'on 3', 'on 4', 'on 5', 'on 6', 'on 7', 'full', 'on 9']);
});

function sight(shard: string, ready: readonly number[], live = true): ShardSight {
  const readyPartitions = partitionSetText(4, (partition) => ready.includes(partition));
  const model = { model: 'ads', readyPartitions } as ModelLease;
  return { live, lease: { shard, models: [model] } as unknown as ShardLease };
}

const map: PartitionMap = {
  model: 'ads',
  epoch: 1,
  shards: ['a', 'b', 'c'],
  owners: [[0, 1], [1, 0], [1, 0], [1]],
  former: [[], [], [], [2]],
};

test('snapshot policy: the first holder that lives and answers reads writes for all', () => {
  const all = [sight('a', [0, 1, 2, 3]), sight('b', [0, 1, 2, 3])];
  const writers = (sights: readonly ShardSight[]) =>
    [0, 1, 2, 3].map((partition) =>
      ['a', 'b', 'c'].filter((shard) => isFirstReady(map, partition, shard, sights)),
    );
  // Whoever asks is ready itself: c holds partition 3 for as long as its owner is not.
  expect(writers(all)).toEqual([['a'], ['b'], ['b'], ['b']]);
  expect(writers([sight('a', []), sight('b', [1, 2])])).toEqual([['a', 'b'], ['b'], ['b'], ['b', 'c']]);
  expect(writers([sight('a', [0, 1, 2]), sight('b', [0, 1, 2, 3], false)])).toEqual([
    ['a'],
    ['a', 'b'],
    ['a', 'b'],
    ['b', 'c'],
  ]);
});
