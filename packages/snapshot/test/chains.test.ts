import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newestChain, oldestFullOf, type PlacedSnapshot, pruned } from '../src/chains.ts';
import type { SnapshotName } from '../src/snapshot-name.ts';

/** `5` a full snapshot at 5, `7on5` a delta; `own:` (default) or `shared:` before it. */
function placed(text: string): PlacedSnapshot {
  const [, store, sequence, base] = /^(own:|shared:)?(\d+)(?:on(\d+))?$/.exec(text) as unknown as string[];
  return {
    store: store === 'shared:' ? 1 : 0,
    path: text,
    sequence: Number(sequence),
    base: base === undefined ? null : Number(base),
  };
}

function chainOf(texts: readonly string[], atMost = Number.MAX_SAFE_INTEGER): string | null {
  return (
    newestChain(texts.map(placed), atMost)
      ?.map(({ path }) => path)
      .join(' ') ?? null
  );
}

test.each([
  { what: 'nothing', there: [], chain: null },
  { what: 'one full', there: ['5'], chain: '5' },
  { what: 'the newer of two fulls', there: ['5', '9'], chain: '9' },
  { what: 'a full and its deltas', there: ['5', '7on5', '9on7'], chain: '5 7on5 9on7' },
  { what: 'a delta on the full rather than two', there: ['5', '7on5', '9on5'], chain: '5 9on5' },
  { what: 'a delta whose base is gone', there: ['5', '9on7'], chain: '5' },
  { what: 'deltas alone', there: ['7on5', '9on7'], chain: null },
  { what: 'a newer full over deltas', there: ['5', '7on5', '8'], chain: '8' },
  { what: 'a delta newer than a newer full, on the older one', there: ['5', '8', '9on5'], chain: '5 9on5' },
  {
    what: 'stores mixed',
    there: ['shared:5', 'own:7on5', 'shared:9on7'],
    chain: 'shared:5 own:7on5 shared:9on7',
  },
  { what: 'the nearer of two at one sequence', there: ['shared:5', 'own:5'], chain: 'own:5' },
  { what: 'a full before a delta at one sequence', there: ['3', '5on3', '5'], chain: '5' },
  {
    what: 'the nearer delta before the farther full',
    there: ['own:3', 'own:5on3', 'shared:5'],
    chain: 'own:3 own:5on3',
  },
  {
    what: 'the farther full where the nearer delta has no base',
    there: ['own:5on3', 'shared:5'],
    chain: 'shared:5',
  },
  { what: 'names that build on themselves or on what comes later', there: ['5on5', '6on9', '4'], chain: '4' },
])('chains: $what', ({ there, chain }) => {
  expect(chainOf(there)).toBe(chain);
  expect(chainOf([...there].reverse())).toBe(chain);
});

test('chains: at most a sequence', () => {
  const there = ['5', '7on5', '9on7', '12'];
  const chains = [4, 5, 6, 7, 11, 12, 99].map((atMost) => chainOf(there, atMost));
  expect(chains).toEqual([null, '5', '5', '5 7on5', '5 7on5 9on7', '12', '12']);
});

test.each([
  { there: [], fulls: 2, oldest: null, gone: [] },
  { there: ['5'], fulls: 2, oldest: 5, gone: [] },
  { there: ['5', '7on5', '9', '10on9'], fulls: 2, oldest: 5, gone: [] },
  { there: ['5', '7on5', '9', '10on9', '12'], fulls: 2, oldest: 9, gone: ['5', '7on5'] },
  { there: ['5', '7on5', '9', '10on9', '12'], fulls: 1, oldest: 12, gone: ['10on9', '5', '7on5', '9'] },
  { there: ['5', '6on4', '7on6'], fulls: 2, oldest: 5, gone: ['6on4', '7on6'] },
  { there: ['7on5'], fulls: 2, oldest: null, gone: [] },
  // Builds on what goes, though it is newer than what stays.
  { there: ['5', '9', '11on5'], fulls: 1, oldest: 9, gone: ['11on5', '5'] },
  { there: ['5'], fulls: 0, oldest: 5, gone: [] },
])('chains: pruned to $fulls: $there', ({ there, fulls, oldest, gone }) => {
  const oldestFull = oldestFullOf(there.map(placed), fulls);
  expect(oldestFull).toBe(oldest);
  const found = oldestFull === null ? [] : pruned(there.map(placed), oldestFull);
  expect(found.map((name) => (name as PlacedSnapshot).path).sort()).toEqual(gone);
});

const anyNames: fc.Arbitrary<SnapshotName[]> = fc.uniqueArray(
  fc
    .tuple(fc.integer({ min: 1, max: 30 }), fc.option(fc.nat(30)))
    .map(([sequence, base]) => ({ sequence, base })),
  { maxLength: 20, selector: ({ sequence, base }) => `${sequence} ${base}` },
);

function placedAll(names: readonly SnapshotName[]): PlacedSnapshot[] {
  return names.map((name) => ({ ...name, store: 0, path: `${name.sequence} ${name.base}` }));
}

test('chains: a chain starts full, each builds on the one before, and none reaches further (property)', () => {
  fc.assert(
    fc.property(anyNames, (names) => {
      const chain = newestChain(placedAll(names), Number.MAX_SAFE_INTEGER) ?? [];
      for (const [i, { base }] of chain.entries()) expect(base).toBe(i === 0 ? null : chain[i - 1].sequence);
      // The plain way: what can be reached grows until it grows no more.
      const reached = new Set<number>();
      for (let size = -1; size < reached.size; ) {
        size = reached.size;
        for (const { sequence, base } of names)
          if (base === null || (base < sequence && reached.has(base))) reached.add(sequence);
      }
      expect(chain.at(-1)?.sequence ?? null).toBe(reached.size === 0 ? null : Math.max(...reached));
    }),
  );
});

test('chains: pruning keeps every sequence at or above the oldest full kept that a kept full leads to (property)', () => {
  fc.assert(
    fc.property(anyNames, fc.integer({ min: 1, max: 3 }), (names, fulls) => {
      const oldestFull = oldestFullOf(names, fulls);
      const gone = pruned(names, oldestFull ?? 0);
      const kept = names.filter((name) => !gone.includes(name));
      const keptFulls = kept.filter(({ base }) => base === null).map(({ sequence }) => sequence);
      expect(keptFulls.length).toBe(Math.min(fulls, names.filter(({ base }) => base === null).length));
      expect(oldestFull).toBe(keptFulls.length === 0 ? null : Math.min(...keptFulls));
      // All that stays is of use: every one is the end of a chain.
      for (const { sequence } of kept)
        expect(newestChain(placedAll(kept), sequence)?.at(-1)?.sequence).toBe(sequence);
      // Pruned again, nothing goes.
      expect([oldestFullOf(kept, fulls), pruned(kept, oldestFull ?? 0)]).toEqual([oldestFull, []]);
    }),
  );
});
