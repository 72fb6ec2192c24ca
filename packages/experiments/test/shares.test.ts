import { experimentBuckets } from '@millrace/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dealBuckets, freeIn, type Ranges, sizeOf } from '../src/shares.ts';

/** The plain twin: who owns each bucket. */
function ownersOf(dealt: ReadonlyMap<string, Ranges>): readonly string[] {
  const owners = new Array<string>(experimentBuckets).fill('');
  let given = 0;
  for (const [arm, ranges] of dealt) {
    for (const [from, to] of ranges) {
      owners.fill(arm, from, to);
      given += to - from;
    }
  }
  // None is given twice.
  expect(owners.filter((owner) => owner !== '')).toHaveLength(given);
  return owners;
}

const arms = ['a', 'b', 'c', 'd'];
/** Counts of each arm, 10,000 at most together. */
const counts = fc
  .array(fc.nat(experimentBuckets / 4), { minLength: arms.length, maxLength: arms.length })
  .map((all) => new Map(arms.map((arm, i) => [arm, all[i]])));

describe('experiments: shares', () => {
  test('experiments: shares: whatever changes, each arm has its count, and as few units as possible leave or come to one', () => {
    fc.assert(
      fc.property(fc.array(counts, { minLength: 2, maxLength: 8 }), (changes) => {
        let dealt: ReadonlyMap<string, Ranges> = new Map();
        let owners = ownersOf(dealt);
        for (const wanted of changes) {
          const before = dealt;
          dealt = dealBuckets(dealt, wanted);
          const now = ownersOf(dealt);
          for (const arm of arms) {
            const [was, is] = [sizeOf(before.get(arm) ?? []), sizeOf(dealt.get(arm) ?? [])];
            expect(is).toBe(wanted.get(arm));
            const left = owners.filter((owner, bucket) => owner === arm && now[bucket] !== arm).length;
            const came = now.filter((owner, bucket) => owner === arm && owners[bucket] !== arm).length;
            expect([left, came]).toEqual([Math.max(0, was - is), Math.max(0, is - was)]);
          }
          owners = now;
        }
      }),
      { numRuns: 20 },
    );
  });

  test('experiments: shares: arms that are not named keep what they have, and free buckets are told', () => {
    const first = dealBuckets(
      new Map(),
      new Map([
        ['a', 2_000],
        ['b', 2_000],
      ]),
    );
    const grown = dealBuckets(first, new Map([['b', 3_000]]));
    expect(grown).toEqual(
      new Map([
        ['a', [[0, 2_000]]],
        ['b', [[2_000, 5_000]]],
      ]),
    );
    const shrunk = dealBuckets(grown, new Map([['a', 1_000]]));
    expect(shrunk.get('a')).toEqual([[0, 1_000]]);
    expect(shrunk.get('b')).toEqual(grown.get('b'));
    expect(freeIn(shrunk)).toEqual([
      [1_000, 2_000],
      [5_000, 10_000],
    ]);
  });
});
