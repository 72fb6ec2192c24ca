import { expect, test } from 'vitest';
import { type Harm, harms, harmsFrom } from '../../src/chaos/harms.ts';

const options = { seed: 7, shards: 3, inference: 2, lastsMsMin: 2_000, lastsMsMax: 6_000 };

function first(count: number, seed = options.seed): readonly Harm[] {
  const found: Harm[] = [];
  for (const harm of harmsFrom({ ...options, seed })) {
    if (found.push(harm) === count) break;
  }
  return found;
}

const nameOf = ({ kind, target }: Harm) => `${kind} ${target}`;

test('chaos: harms: the same for a seed, another order for another', () => {
  expect(first(30)).toEqual(first(30));
  expect(first(30, 8)).not.toEqual(first(30));
});

test('chaos: harms: each eleven are all there are, in another order each time', () => {
  const all = harms.map(([kind, target]) => `${kind} ${target}`).sort();
  expect(new Set(all).size).toBe(11);
  const found = first(33).map(nameOf);
  const rounds = [0, 11, 22].map((from) => found.slice(from, from + 11));
  for (const round of rounds) expect([...round].sort()).toEqual(all);
  expect(rounds[1]).not.toEqual(rounds[0]);
});

test('chaos: harms: reach every shard and node, last as long as asked, and are of both closings', () => {
  const found = first(440);
  const placesOf = (wanted: string) =>
    [...new Set(found.flatMap(({ target, place }) => (target === wanted ? [place] : [])))].sort();
  expect(placesOf('shard')).toEqual([0, 1, 2]);
  expect(placesOf('inference')).toEqual([0, 1]);
  expect(placesOf('updater')).toEqual([0]);
  const lasting = found.filter(({ kind }) => kind !== 'kill').map(({ lastsMs }) => lastsMs);
  expect(Math.min(...lasting)).toBeGreaterThanOrEqual(2_000);
  expect(Math.max(...lasting)).toBeLessThanOrEqual(6_000);
  expect(found.filter(({ kind, lastsMs }) => kind === 'kill' && lastsMs !== 0)).toEqual([]);
  expect(new Set(found.map(({ closing }) => closing))).toEqual(new Set(['silent', 'refusing']));
});

test('chaos: harms: only those that are asked for, and no unknown ones', () => {
  const some = harmsFrom({ ...options, only: ['stop updater', 'kill shard'] });
  const names = [nameOf(some.next().value), nameOf(some.next().value)].sort();
  expect(names).toEqual(['kill shard', 'stop updater']);
  expect(() => harmsFrom({ ...options, only: ['tickle shard'] }).next()).toThrow('tickle shard');
});
