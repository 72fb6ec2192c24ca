import type { PartitionMap } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownersOf, type PlacementInput, partitionsOf, proposeMap } from '../src/placement.ts';

/** Everybody stays, has all ready and knows the newest map, unless `change` says otherwise. */
function inputOf(shards: readonly string[], change: Partial<PlacementInput> = {}): PlacementInput {
  return {
    model: 'ads',
    partitions: 256,
    replicas: 2,
    minReplicas: 2,
    shards,
    leaving: [],
    isReady: () => true,
    knowsMap: () => true,
    ...change,
  };
}

function placed(
  shards: readonly string[],
  options: { partitions?: number; replicas?: number } = {},
): PartitionMap {
  const { partitions = 256, replicas = 2 } = options;
  const map = proposeMap(null, inputOf(shards, { partitions, replicas }));
  if (!map) expect.fail('no map');
  return map;
}

function named(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `shard-${i + 1}`);
}

const anyShards = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,39}$/), { minLength: 1, maxLength: 8 });

test('placement: every partition has as many different owners as were asked for, or all shards (property)', () => {
  fc.assert(
    fc.property(
      anyShards,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 64 }),
      (shards, replicas, partitions) => {
        const map = placed(shards, { partitions, replicas });
        expect([map.model, map.epoch, map.owners.length]).toEqual(['ads', 1, partitions]);
        for (let partition = 0; partition < partitions; partition += 1) {
          const owners = ownersOf(map, partition);
          expect(new Set(owners).size).toBe(Math.min(replicas, shards.length));
          expect(owners.length).toBe(Math.min(replicas, shards.length));
          for (const owner of owners) expect(shards).toContain(owner);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('placement: does not depend on the order of the shards, nor on the run (property)', () => {
  fc.assert(
    fc.property(anyShards, (shards) => {
      const map = placed(shards);
      expect(placed(shards)).toEqual(map);
      expect(placed([...shards].reverse())).toEqual(map);
    }),
    { numRuns: 30 },
  );
});

test('placement: is pinned: every process that proposes must propose the same', () => {
  expect(placed(['shard-1', 'shard-2', 'shard-3'], { partitions: 8 })).toEqual({
    model: 'ads',
    epoch: 1,
    shards: ['shard-1', 'shard-2', 'shard-3'],
    // Computed by another program: md5 of "<shard>-<0 … 39>" gives four points each, little-endian; first two shards from
    // the first word of md5 "ads/<partition>" on.
    owners: [
      [2, 1],
      [1, 0],
      [2, 0],
      [2, 1],
      [0, 2],
      [1, 2],
      [1, 0],
      [1, 0],
    ],
  });
});

test('placement: there is no map without shards, and no new one when nothing changed', () => {
  expect(proposeMap(null, inputOf([], { partitions: 8 }))).toBeNull();
  const map = placed(named(3));
  const input = inputOf(named(3));
  expect(proposeMap(map, input)).toBeNull();
  expect(proposeMap(map, { ...input, shards: named(3).reverse() })).toBeNull();
  expect(proposeMap(map, { ...input, shards: [] })).toBeNull();
});

test('placement: a change of shards or replicas is one epoch later', () => {
  const map = { ...placed(named(3)), epoch: 41 };
  const input = inputOf(named(3));
  expect(proposeMap(map, { ...input, shards: named(2) })?.epoch).toBe(42);
  expect(proposeMap(map, { ...input, shards: named(4) })?.epoch).toBe(42);
  expect(proposeMap(map, { ...input, replicas: 1 })?.epoch).toBe(42);
});

/** Partitions of `before` that `look` finds elsewhere in `after`, as a share of all. */
function moved(
  before: PartitionMap,
  after: PartitionMap,
  look: (map: PartitionMap, partition: number) => unknown,
): number {
  const changes = before.owners.filter(
    (_, partition) => JSON.stringify(look(before, partition)) !== JSON.stringify(look(after, partition)),
  );
  return changes.length / before.owners.length;
}

const first = (map: PartitionMap, partition: number) => ownersOf(map, partition)[0];

test.each([2, 3, 5, 6, 7, 8])(
  'placement: of %i shards, one more takes about its share and nothing else moves',
  (count) => {
    const before = placed(named(count), { partitions: 4_096 });
    const after = placed(named(count + 1), { partitions: 4_096 });
    const share = moved(before, after, first);
    // A fair share is 1 / (n + 1); the ring has 160 points a shard, so shares stray by a fifth or so. Half is allowed.
    expect(share).toBeGreaterThan(0.5 / (count + 1));
    expect(share).toBeLessThan(1.5 / (count + 1));
    const newcomer = `shard-${count + 1}`;
    for (let partition = 0; partition < 4_096; partition += 1) {
      const owner = first(after, partition);
      if (owner !== first(before, partition)) expect(owner).toBe(newcomer);
    }
  },
);

// 7 and 14 are counts at which the ring's own arithmetic would drop points.
test.each([3, 5, 7, 8, 14, 15])(
  'placement: of %i shards, one that leaves gives up what it had and nothing else moves',
  (count) => {
    const before = placed(named(count), { partitions: 4_096 });
    const after = placed(named(count).slice(1), { partitions: 4_096 });
    for (let partition = 0; partition < 4_096; partition += 1) {
      const left = ownersOf(before, partition).filter((owner) => owner !== 'shard-1');
      // Those who stay keep their order; where one was lost, the next on the ring joins behind.
      expect(ownersOf(after, partition).slice(0, left.length)).toEqual(left);
    }
    // Each partition has two owners, so twice the share of one shard is touched, half as much again allowed.
    expect(moved(before, after, ownersOf)).toBeLessThan((1.5 * 2) / count);
  },
);

test('placement: shards have about equal shares', () => {
  const map = placed(named(5), { partitions: 4_096 });
  for (const shard of named(5)) {
    const share = partitionsOf(map, shard).length / (2 * 4_096);
    expect(Math.abs(share - 0.2)).toBeLessThan(0.1);
  }
});

test('placement: two models are placed differently', () => {
  const ads = placed(named(5));
  const feed = proposeMap(null, inputOf(named(5), { model: 'feed' }));
  expect(feed?.owners).not.toEqual(ads.owners);
});

test('placement: owners and partitions are two views of one map', () => {
  const map: PartitionMap = {
    model: 'ads',
    epoch: 3,
    shards: ['a', 'b', 'c'],
    owners: [[1, 0], [0], [1, 2]],
  };
  expect([0, 1, 2].map((partition) => ownersOf(map, partition))).toEqual([['b', 'a'], ['a'], ['b', 'c']]);
  expect(['a', 'b', 'c', 'd'].map((shard) => partitionsOf(map, shard))).toEqual([[0, 1], [0, 2], [2], []]);
});
