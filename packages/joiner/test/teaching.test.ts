/** What outcomes teach, in any order: kinds, weights, values; late ones; sampled negatives. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Example } from '../src/example.ts';
import type { JoinerOptions } from '../src/joiner-options.ts';
import {
  fold,
  impression,
  type Logged,
  logOf,
  manyKinds,
  outcome,
  plainOptions,
  shortly,
  tick,
} from './event-logs.ts';

const atOnce: JoinerOptions = { ...plainOptions, negatives: 'at-once' };
const ofKinds: JoinerOptions = { ...plainOptions, kinds: manyKinds };
const fake: JoinerOptions = {
  ...plainOptions,
  latePositives: 'fake-negative-weighted',
  lateMs: 1_000,
};

const of = (kind: string, value: number, index = 0) => ({ ...outcome('r', index, value), outcome: kind });
const parts = ({ shown, clicked, isFirst, makesPositive }: Example) => [
  shown,
  clicked,
  isFirst,
  makesPositive,
];
const partsOf = (log: readonly Logged[], options: JoinerOptions) => fold(log, options).examples.map(parts);

test('teaching: a positive weighs what its kind and its value say', () => {
  const log = logOf(
    impression('r', 1_000, 3),
    of('purchase', 3, 0),
    of('purchase', 99, 1),
    of('dwell', 20, 2),
  );
  // 0.5 · 3; 0.5 · 4, the largest value that counts; ln(1 + 20).
  expect(partsOf(log, ofKinds)).toEqual([
    [1.5, 1.5, true, true],
    [2, 2, true, true],
    [Math.log1p(20), Math.log1p(20), true, true],
  ]);
});

test('teaching: a further kind adds its part, the same kind again does not, whatever its value', () => {
  const log = logOf(
    impression('r', 1_000),
    of('click', 1),
    of('purchase', 2),
    of('purchase', 4),
    of('click', 0),
  );
  const { examples, joiner } = fold(log, ofKinds);
  expect(examples.map(parts)).toEqual([
    [1, 1, true, true],
    [1, 1, false, false],
  ]);
  expect(joiner.counts.duplicateOutcomes).toBe(2);
});

test('teaching: a value below the least is a negative at once, unless something positive came', () => {
  expect(partsOf(logOf(impression('r', 1_000), of('purchase', 1)), ofKinds)).toEqual([[1, 0, true, false]]);
  const after = logOf(impression('r', 1_000), of('click', 1), of('purchase', 1), tick(1_100));
  expect(partsOf(after, ofKinds)).toEqual([[1, 1, true, true]]);
});

test('teaching: a positive after a negative takes it back', () => {
  const log = logOf(impression('r', 1_000), of('click', 0), of('purchase', 4), tick(1_100));
  expect(partsOf(log, ofKinds)).toEqual([
    [1, 0, true, false],
    [1, 2, false, true],
  ]);
  // A weight below 1 leaves less than was taught.
  const light = { ...ofKinds, kinds: [{ name: 'click' }, { name: 'purchase', weight: 0.25 }] };
  expect(partsOf(log, light)[1]).toEqual([-0.75, 0.25, false, true]);
});

test('teaching: a kind that the model has not is refused, and waits for nothing', () => {
  const { rejections, joiner } = fold(logOf(of('like', 1), impression('r', 1_000), of('like', 1)), ofKinds);
  const reason = 'outcome: wanted one of click, purchase, dwell, found "like"';
  expect(rejections).toEqual([
    { sequence: 1, requestId: 'r', reason },
    { sequence: 3, requestId: 'r', reason },
  ]);
  expect([joiner.counts.rejected, joiner.openEntries]).toEqual([2, 1]);
  const bought = fold(logOf(impression('r', 1_000), outcome('r')), { ...ofKinds, kinds: [{ name: 'buy' }] });
  expect(bought.rejections[0].reason).toBe('outcome: wanted one of buy, found "click"');
});

const sums = (examples: readonly Example[]) => {
  const byItem = new Map<string, { shown: number; clicked: number; firsts: number; positives: number }>();
  for (const { place, item, shown, clicked, isFirst, makesPositive } of examples) {
    const name = `${place[1]} ${item.ad}`;
    const sum = byItem.get(name) ?? { shown: 0, clicked: 0, firsts: 0, positives: 0 };
    sum.shown += shown;
    sum.clicked += clicked;
    sum.firsts += Number(isFirst);
    sum.positives += Number(makesPositive);
    byItem.set(name, sum);
  }
  return byItem;
};

test('teaching: the order of outcomes and of their impression changes nothing (property)', () => {
  const anyOutcome = fc.record({
    index: fc.integer({ min: 0, max: 2 }),
    kind: fc.constantFrom('click', 'purchase', 'dwell'),
    value: fc.constantFrom(0, 1, 3),
  });
  // Of each item and kind one, so that "the first counts" says the same in any order.
  const anyOutcomes = fc.uniqueArray(anyOutcome, {
    maxLength: 8,
    selector: ({ index, kind }) => `${index} ${kind}`,
  });
  const anyOf = fc.record({
    negatives: fc.constantFrom('after-window', 'at-once'),
    latePositives: fc.constantFrom('wait', 'fake-negative-weighted'),
  });
  const anyCase = anyOutcomes.chain((list) =>
    fc.tuple(
      fc.shuffledSubarray(list, { minLength: list.length }),
      fc.shuffledSubarray(list, { minLength: list.length }),
      fc.nat(list.length),
    ),
  );
  fc.assert(
    fc.property(anyCase, anyOf, fc.constantFrom(1, 0.5), ([one, other, cut], rules, rate) => {
      const options: JoinerOptions = {
        ...ofKinds,
        ...rules,
        lateMs: rules.latePositives === 'wait' ? 0 : 50,
      };
      const events = (list: typeof one) => list.map(({ index, kind, value }) => of(kind, value, index));
      const shown = { ...impression('r', 1_000, 3), negativeRate: rate };
      const plain = sums(fold(logOf(shown, ...events(one), tick(2_000)), options).examples);
      const early = [...events(other.slice(0, cut)), shown, ...events(other.slice(cut)), tick(2_000)];
      const mixed = sums(fold(logOf(...early), options).examples);
      const byName = (map: typeof plain) =>
        [...map].map(([name, sum]) => [name.split(' ')[1], sum] as const).sort();
      const [wanted, found] = [byName(plain), byName(mixed)];
      expect(found.map(([name]) => name)).toEqual(wanted.map(([name]) => name));
      for (const [i, [, sum]] of wanted.entries()) {
        expect(found[i][1].shown).toBeCloseTo(sum.shown, 12);
        expect(found[i][1].clicked).toBeCloseTo(sum.clicked, 12);
        expect([found[i][1].firsts, found[i][1].positives]).toEqual([1, sum.positives]);
      }
    }),
    { numRuns: 300 },
  );
}, 20_000);

test('teaching: ignore: a late outcome is known for one, counted and teaches nothing', () => {
  const options: JoinerOptions = { ...plainOptions, latePositives: 'ignore', lateMs: 50 };
  const log = logOf(
    impression('r', 1_000),
    tick(1_100),
    outcome('r'),
    outcome('r'),
    impression('r', 1_120),
    tick(1_150),
    outcome('r'),
    tick(1_151),
    tick(1_251),
  );
  const { examples, joiner, rejections } = fold(log, options);
  expect(examples.map(shortly)).toEqual(['2:1/0 −']);
  expect(joiner.counts).toMatchObject({ late: 2, ignored: 2, duplicateImpressions: 1, rejected: 1 });
  // The one after the late window finds no impression.
  expect(rejections.map(({ sequence }) => sequence)).toEqual([9]);
});

test('teaching: fake negatives: every item is one when its window ends, and a click is a positive beside it', () => {
  const log = logOf(
    impression('r', 1_000, 3),
    outcome('r', 1),
    tick(1_100),
    outcome('r', 2),
    outcome('r', 2),
    outcome('r', 0, 0),
  );
  const { examples, joiner } = fold(log, fake);
  const told = examples.map((example) => [shortly(example), example.weighting, ...parts(example)]);
  expect(told).toEqual([
    ['2:1/1 −', 'fake-negative', 1, 0, true, false],
    ['2:1/4 +', 'late-positive', 1, 1, false, true],
    ['3:1/0 −', 'fake-negative', 1, 0, true, false],
    ['3:1/2 −', 'fake-negative', 1, 0, true, false],
    ['4:1/5 +', 'late-positive', 1, 1, false, true],
  ]);
  expect(joiner.counts).toMatchObject({ late: 3, ignored: 0, duplicateOutcomes: 1 });
});

test('teaching: places ascend where one event closes a window and brings a late outcome', () => {
  const options = { ...fake, eventsMax: 3 };
  const log: Logged[] = [
    { sequence: 1, event: impression('r', 1_000) },
    { sequence: 2, event: tick(1_100) },
    { sequence: 3, event: impression('s', 1_100) },
    // Too much has followed both; s is closed by the event that brings the click of t, which is older than s and late.
    { sequence: 7, event: outcome('r') },
  ];
  expect(fold(log, options).examples.map(shortly)).toEqual(['2:1/0 −', '7:3/0 −']);
  const near: Logged[] = [
    { sequence: 1, event: impression('r', 1_000) },
    { sequence: 2, event: impression('s', 1_060) },
    { sequence: 3, event: tick(1_100) },
    { sequence: 4, event: outcome('r') },
    { sequence: 5, event: outcome('s') },
  ];
  expect(fold(near, fake).examples.map(shortly)).toEqual(['3:1/0 −', '4:1/1 +', '5:2/0 −', '5:2/1 +']);
});

test('teaching: sampled: a share of the negatives by hash, with its offset on every example', () => {
  const rate = 0.25;
  const log = Array.from({ length: 2_000 }, (_, i) => ({
    sequence: i + 1,
    event: { ...impression(`r${i}`, 1_000, 2), negativeRate: rate },
  }));
  const end = [
    { sequence: 2_001, event: outcome('r7') },
    { sequence: 2_002, event: tick(1_100) },
  ];
  const options = { ...plainOptions, eventsMax: 10_000 };
  const { examples, joiner } = fold([...log, ...end], options);
  const negatives = examples.filter(({ clicked }) => clicked === 0);
  // 4,000 draws of 1/4: deviation 27.
  expect(Math.abs(negatives.length - 1_000)).toBeLessThan(110);
  expect(joiner.counts.sampledOut).toBe(3_999 - negatives.length);
  expect(new Set(examples.map(({ offset }) => offset))).toEqual(new Set([Math.log(4)]));
  const names = (of: readonly Example[]) => of.map(({ item }) => item.ad).sort();
  expect(names(fold([...log, ...end], options).examples)).toEqual(names(examples));
  const other = fold([...log, ...end], { ...options, seed: 2 }).examples;
  expect(names(other)).not.toEqual(names(examples));
});

test('teaching: sampled, at once: a click on what was passed over is learned whole', () => {
  const log = Array.from({ length: 40 }, (_, i) => [
    { sequence: 2 * i + 1, event: { ...impression(`r${i}`, 1_000), negativeRate: 0.5 } },
    { sequence: 2 * i + 2, event: outcome(`r${i}`) },
  ]).flat();
  const { examples, joiner } = fold(log, atOnce);
  const byRequest = sums(examples);
  expect([...byRequest.values()]).toEqual(
    Array.from({ length: 40 }, () => ({ shown: 1, clicked: 1, firsts: 1, positives: 1 })),
  );
  const { sampledOut } = joiner.counts;
  expect([sampledOut > 8, sampledOut < 32, examples.length]).toEqual([true, true, 80 - sampledOut]);
});
