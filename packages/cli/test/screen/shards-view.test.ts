import { stripVTControlCharacters } from 'node:util';
import type { ClusterStatus } from '@millrace/sdk';
import { expect, test } from 'vitest';
import { shardsLine, shardsReport, shardsView } from '../../src/screen/shards-view.ts';

const shard: ClusterStatus['shards'][number] = {
  id: 'shard-1',
  address: '10.0.0.1:7480',
  zone: 'west',
  live: true,
  draining: false,
  ready: true,
  owned: 43,
  readyPartitions: 43,
  rows: 1_200,
  bytes: 3 * 1024 * 1024,
  sequence: 99,
  behind: 0,
  stalenessMs: 12.4,
};
const model: ClusterStatus['models'][number] = {
  name: 'ads',
  version: 7,
  engine: 'wasm',
  epoch: 5,
  partitions: 64,
  replicas: 2,
  moving: 0,
  moves: [],
  stalenessMs: null,
  learned: 0,
  openImpressions: 0,
  rejected: 0,
  measures: null,
};
const status: ClusterStatus = {
  cluster: 'millrace',
  models: [model],
  shards: [shard],
  node: { scored: 0, batches: 0, meanBatchRows: 0, queueRows: 0 },
};

const linesOf = (change: Partial<ClusterStatus>) =>
  stripVTControlCharacters(shardsView('http://x', shardsReport({ ...status, ...change }))).split('\n');

test('shards view: one line a shard, in the order of their names, and one a model', () => {
  const others = [
    { ...shard, id: 'shard-4', zone: '', live: false, stalenessMs: null },
    { ...shard, id: 'shard-3', ready: false, readyPartitions: 2, behind: 7 },
    { ...shard, id: 'shard-2', draining: true },
  ];
  const lines = linesOf({ shards: [...others, shard] });
  expect(lines).toEqual([
    'millrace at http://x',
    '',
    'shard    address        zone  state        owned  ready  rows  MiB  sequence  behind  staleness',
    'shard-1  10.0.0.1:7480  west  live         43     43     1200  3.0  99        0       12 ms',
    'shard-2  10.0.0.1:7480  west  draining     43     43     1200  3.0  99        0       12 ms',
    'shard-3  10.0.0.1:7480  west  catching up  43     2      1200  3.0  99        7       12 ms',
    'shard-4  10.0.0.1:7480  –     gone         43     43     1200  3.0  99        0       –',
    '',
    'ads  epoch 5, 64 partitions, 2 replicas, nothing moves',
  ]);
});

test('shards view: moves: where a partition comes from, where it goes, and whether it has arrived', () => {
  const moves = [
    {
      partition: 3,
      former: ['shard-1'],
      owners: [
        { shard: 'shard-3', ready: false },
        { shard: 'shard-2', ready: true },
      ],
    },
    { partition: 4, former: ['shard-1'], owners: [{ shard: 'shard-3', ready: true }] },
    { partition: 9, former: [], owners: [{ shard: 'shard-3', ready: false }] },
  ];
  expect(linesOf({ models: [{ ...model, moving: 70, moves }] }).slice(5)).toEqual([
    'ads  epoch 5, 64 partitions, 2 replicas, 70 moving',
    'partition  from     to       ',
    '3          shard-1  shard-3  not ready',
    '4          shard-1  shard-3  ready',
    '9          –        shard-3  not ready',
    'and 67 more',
  ]);
});

test('shards view: one line where there is no terminal', () => {
  const shards = [shard, { ...shard, ready: false }, { ...shard, live: false }];
  const models = [
    { ...model, moving: 3 },
    { ...model, moving: 4 },
  ];
  expect(shardsLine(shardsReport({ ...status, shards, models }))).toBe(
    '2 shards, 1 ready, 7 partitions moving',
  );
});

test('shards view: the report holds shards and maps, and nothing of the node', () => {
  const report = shardsReport(status);
  expect(Object.keys(report)).toEqual(['cluster', 'shards', 'models']);
  expect(report.models).toEqual([
    { name: 'ads', epoch: 5, partitions: 64, replicas: 2, moving: 0, moves: [] },
  ]);
});
