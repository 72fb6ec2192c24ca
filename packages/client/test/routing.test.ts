import { type ModelLease, type PartitionMap, partitionSetText } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { computeRoute, type Route } from '../src/routing.ts';

/** Owners take turns: partition 1 begins with the second one. */
const map: PartitionMap = {
  model: 'ads',
  epoch: 4,
  shards: ['a', 'b', 'c'],
  owners: [[0, 1], [2, 1], [2, 0], [1], []],
};

interface Change {
  readonly live?: boolean;
  readonly draining?: boolean;
  /** Partitions that it answers for; default all. */
  readonly ready?: readonly number[];
  readonly stalenessMs?: number | null;
  readonly zone?: string;
  /** No lease entry for the model: the shard has not heard of it. */
  readonly strange?: boolean;
}

function sight(shard: string, change: Change = {}): ShardSight {
  const { live = true, draining = false, ready, stalenessMs = null, zone = '', strange = false } = change;
  const counts = { rows: 0, bytes: 0, sequence: 0, applied: 0, duplicates: 0, rejected: 0, behind: 0 };
  const readyPartitions = partitionSetText(5, (partition) => ready?.includes(partition) ?? true);
  const held = { model: 'ads', epoch: 4, partitions: 3, ready: 3, readyPartitions };
  const models: ModelLease[] = strange ? [] : [{ ...held, ...counts, stalenessMs }];
  return {
    live,
    lease: { shard, startedMs: 1, renewal: 1, host: 'h', port: 1, zone, draining, models },
  };
}

/** Names by partition, '-' where there is none. */
function namesOf({ shards }: Route, places: Int16Array): string {
  return Array.from(places, (place) => (place < 0 ? '-' : shards[place])).join('');
}

interface Case {
  readonly title: string;
  readonly changes: Readonly<Record<string, Change | null>>;
  readonly avoid?: readonly string[];
  readonly zone?: string;
  readonly stalenessMsMax?: number;
  readonly wanted: string;
  /** Default: whatever it is. */
  readonly spare?: string;
}

const cases: readonly Case[] = [
  { title: 'all are well: owners take turns', changes: {}, wanted: 'abcb-', spare: 'bca--' },
  {
    title: 'one has just failed: the other owner',
    changes: {},
    avoid: ['b'],
    wanted: 'accb-',
    spare: '--a--',
  },
  {
    title: 'one leaves: the other owner',
    changes: { a: { draining: true } },
    wanted: 'bbcb-',
    spare: 'aca--',
  },
  {
    title: 'one answers for some partitions only: the other owner of the rest',
    changes: { a: { ready: [2] }, b: { ready: [0, 3] } },
    wanted: 'bccb-',
    spare: '--a--',
  },
  { title: 'one answers for nothing yet', changes: { a: { ready: [] } }, wanted: 'bbcb-', spare: '-c---' },
  {
    title: 'one has not heard of the model',
    changes: { a: { strange: true } },
    wanted: 'bbcb-',
    spare: '-c---',
  },
  { title: 'one lapsed', changes: { b: { live: false } }, wanted: 'accb-', spare: '--a--' },
  { title: 'one was never seen', changes: { b: null }, wanted: 'acc--', spare: '--a--' },
  { title: 'nobody was ever seen', changes: { a: null, b: null, c: null }, wanted: '-----', spare: '-----' },
  {
    title: 'all failed just now: whose failure is longest ago',
    changes: {},
    avoid: ['c', 'b', 'a'],
    wanted: 'bccb-',
    spare: '-----',
  },
  {
    title:
      'all failed, one lapsed since: it too has its turn, or the other would be asked in vain again and again',
    changes: { a: { live: false }, b: { ready: [] } },
    avoid: ['a', 'b', 'c'],
    wanted: 'abab-',
  },
  {
    title: 'leaving is better than failed, failed better than lapsed, lapsed better than nothing',
    changes: { a: { draining: true }, b: {}, c: { live: false } },
    avoid: ['b'],
    wanted: 'abab-',
  },
  {
    title: 'not answering is worse than leaving and late, and better than failed',
    changes: { a: { draining: true, stalenessMs: 60_000 }, b: { ready: [], stalenessMs: 0 } },
    avoid: ['c'],
    wanted: 'abab-',
  },
  {
    title: 'all lapsed: by turns, since one may be back before its lease is',
    changes: { a: { live: false }, b: { live: false }, c: { live: false } },
    wanted: 'abcb-',
  },
  {
    title: 'late beyond the bound: the fresh one',
    changes: { a: { stalenessMs: 10_001 }, b: { stalenessMs: 7_000 }, c: { stalenessMs: 9_000 } },
    wanted: 'bbcb-',
    spare: 'aca--',
  },
  {
    title: 'late within the bound is not late',
    changes: { a: { stalenessMs: 10_000 }, b: { stalenessMs: 7_000 } },
    wanted: 'abcb-',
  },
  {
    title: 'nobody told heads: nobody is late',
    changes: { a: { stalenessMs: null }, b: { stalenessMs: null } },
    wanted: 'abcb-',
  },
  {
    title: 'all late, and equally so: by turns',
    changes: { a: { stalenessMs: 61_000 }, b: { stalenessMs: 62_000 }, c: { stalenessMs: 60_000 } },
    wanted: 'abcb-',
  },
  {
    title: 'all late, some more: those that lag less',
    changes: { a: { stalenessMs: 70_000 }, b: { stalenessMs: 80_000 }, c: { stalenessMs: 60_000 } },
    wanted: 'accb-',
  },
  {
    title: 'another bound',
    changes: { a: { stalenessMs: 3_000 }, b: { stalenessMs: 0 } },
    stalenessMsMax: 2_000,
    wanted: 'bbcb-',
  },
  {
    title: 'no bound: nobody is late',
    changes: { a: { stalenessMs: 1e9 }, b: { stalenessMs: 0 } },
    stalenessMsMax: 0,
    wanted: 'abcb-',
  },
  {
    title: 'our own zone first',
    changes: { a: { zone: 'west' }, b: { zone: 'east' }, c: { zone: 'west' } },
    zone: 'west',
    wanted: 'accb-',
    spare: 'bba--',
  },
  {
    title: 'a zone does not make up for leaving',
    changes: { a: { zone: 'west', draining: true }, b: { zone: 'east' } },
    zone: 'west',
    wanted: 'bbcb-',
  },
];

test.each(cases)(
  'routing: $title',
  ({ changes, avoid = [], zone = '', stalenessMsMax = 10_000, ...wanted }) => {
    const sights = map.shards.flatMap((shard) => {
      const change = changes[shard];
      return change === null ? [] : [sight(shard, change)];
    });
    const route = computeRoute({ map, sights, avoid: new Set(avoid), zone, stalenessMsMax });
    expect(namesOf(route, route.choice)).toBe(wanted.wanted);
    if (wanted.spare !== undefined) expect(namesOf(route, route.spare)).toBe(wanted.spare);
    expect([route.epoch, route.shards]).toEqual([4, map.shards]);
  },
);

/** "c" is to own all, "a" and "b" serve on. */
const moving: PartitionMap = {
  ...map,
  owners: [[2], [2], [2], [2], [2]],
  former: [[0, 1], [0, 1], [], [1], [0]],
};

test.each([
  { title: 'the new owner has nothing yet: whoever had it', ready: [], wanted: 'aacba', spare: 'bb---' },
  { title: 'partition by partition', ready: [1, 2], wanted: 'accba', spare: 'ba---' },
  { title: 'owners before former ones', ready: [0, 1, 2, 3, 4], wanted: 'ccccc', spare: 'aa-ba' },
])('routing: moves: $title', ({ ready, ...wanted }) => {
  const sights = [sight('a'), sight('b'), sight('c', { ready })];
  const input = { map: moving, sights, avoid: new Set<string>(), zone: '', stalenessMsMax: 10_000 };
  const route = computeRoute(input);
  expect([namesOf(route, route.choice), namesOf(route, route.spare)]).toEqual([wanted.wanted, wanted.spare]);
});

test('routing: shards that the map does not know are asked for nothing', () => {
  const sights = ['z', 'a', 'b', 'c'].map((id) => sight(id));
  const route = computeRoute({ map, sights, avoid: new Set(), zone: '', stalenessMsMax: 0 });
  expect(namesOf(route, route.choice)).toBe('abcb-');
});
