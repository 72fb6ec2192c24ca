import type { ModelLease, PartitionMap } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { computeRoute, type Route } from '../src/routing.ts';

const map: PartitionMap = {
  model: 'ads',
  epoch: 4,
  shards: ['a', 'b', 'c'],
  owners: [[0, 1], [1, 2], [2, 0], [1], []],
};

interface Change {
  readonly live?: boolean;
  readonly draining?: boolean;
  readonly ready?: number;
  readonly partitions?: number;
  /** No lease entry for the model: the shard has not heard of it. */
  readonly strange?: boolean;
}

function sight(shard: string, change: Change = {}): ShardSight {
  const { live = true, draining = false, ready = 3, partitions = 3, strange = false } = change;
  const counts = {
    rows: 0,
    bytes: 0,
    sequence: 0,
    applied: 0,
    duplicates: 0,
    rejected: 0,
    readyPartitions: '',
    behind: 0,
    stalenessMs: null,
  };
  const models: ModelLease[] = strange ? [] : [{ model: 'ads', epoch: 4, partitions, ready, ...counts }];
  return {
    live,
    lease: { shard, startedMs: 1, renewal: 1, host: 'h', port: 1, zone: '', draining, models },
  };
}

/** Names by partition, '-' where none can be asked. */
function namesOf({ shards, choice }: Route): string {
  return Array.from(choice, (place) => (place < 0 ? '-' : shards[place])).join('');
}

interface Case {
  readonly title: string;
  readonly changes: Readonly<Record<string, Change | null>>;
  readonly avoid?: readonly string[];
  readonly wanted: string;
}

const cases: readonly Case[] = [
  { title: 'all are well: the first owner', changes: {}, wanted: 'abcb-' },
  { title: 'one has just failed: the other owner', changes: {}, avoid: ['b'], wanted: 'accb-' },
  { title: 'one leaves: the other owner', changes: { a: { draining: true } }, wanted: 'bbcb-' },
  { title: 'one catches up: the other owner', changes: { a: { ready: 2 } }, wanted: 'bbcb-' },
  { title: 'one holds nothing yet', changes: { a: { ready: 0, partitions: 0 } }, wanted: 'bbcb-' },
  { title: 'one has not heard of the model', changes: { a: { strange: true } }, wanted: 'bbcb-' },
  { title: 'one lapsed', changes: { b: { live: false } }, wanted: 'accb-' },
  { title: 'one was never seen', changes: { b: null }, wanted: 'acc--' },
  { title: 'nobody was ever seen', changes: { a: null, b: null, c: null }, wanted: '-----' },
  {
    title: 'all failed just now: the first owner again, since nobody else is there',
    changes: {},
    avoid: ['a', 'b', 'c'],
    wanted: 'abcb-',
  },
  {
    title: 'leaving is better than failed, failed better than lapsed, lapsed better than nothing',
    changes: { a: { draining: true }, b: {}, c: { live: false } },
    avoid: ['b'],
    wanted: 'abab-',
  },
  {
    title: 'all lapsed: the first owner, which may be back before its lease is',
    changes: { a: { live: false }, b: { live: false }, c: { live: false } },
    wanted: 'abcb-',
  },
];

test.each(cases)('routing: $title', ({ changes, avoid = [], wanted }) => {
  const sights = map.shards.flatMap((shard) => {
    const change = changes[shard];
    return change === null ? [] : [sight(shard, change)];
  });
  const route = computeRoute({ map, sights, avoid: new Set(avoid) });
  expect(namesOf(route)).toBe(wanted);
  expect([route.epoch, route.shards]).toEqual([4, map.shards]);
});

test('routing: shards that the map does not know are asked for nothing', () => {
  const route = computeRoute({ map, sights: ['z', 'a', 'b', 'c'].map((id) => sight(id)), avoid: new Set() });
  expect(namesOf(route)).toBe('abcb-');
});
