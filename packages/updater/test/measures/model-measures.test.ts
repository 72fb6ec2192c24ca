import { fmix } from '@millrace/core';
import type { Example } from '@millrace/joiner';
import type { GradientNorms } from '@millrace/model';
import { decodeMeasures, encodeMeasures, type Features, type ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createModelMeasures } from '../../src/measures/model-measures.ts';

const file: ModelFile = {
  name: 'ads',
  label: 'click',
  tables: [{ name: 't', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'country', type: 'sparse', scope: 'user', table: 't' },
    { name: 'tags', type: 'multi', scope: 'item', table: 't' },
    { name: 'price', type: 'dense', scope: 'item', table: 't' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};
const norms: GradientNorms = { logits: 3, embeddings: Number.NaN, dense: Number.NaN };
const options = { file, driftAlert: 0.25, judged: [] };
const slotsAnHour = 360;

function example(i: number, more: Partial<Example> & { country?: string; tags?: string } = {}): Example {
  const { country = `c${fmix(i) % 5}`, tags = 'a|b', ...rest } = more;
  const item: Features = { tags, price: 1 + (fmix(i + 7) % 100) };
  const score = 0.1 + (fmix(i + 99) % 100) / 200;
  const clicked = fmix(3 * i) / 2 ** 32 < score ? 1 : 0;
  return {
    place: [i, i, 0],
    user: { country },
    context: {},
    item,
    shown: 1,
    clicked,
    offset: 0,
    weighting: 'none',
    isFirst: true,
    makesPositive: false,
    score,
    origin: { sequence: i, watermarkMs: i },
    ...rest,
  };
}

const many = (from: number, to: number, more: Parameters<typeof example>[1] = {}) =>
  Array.from({ length: to - from }, (_, i) => example(from + i, more));

test('measures: quality is that of the scores, by window; the record crosses a process boundary', () => {
  const measures = createModelMeasures(options);
  measures.take(many(0, 3_000), norms);
  const told = measures.tell(1_000);
  expect(decodeMeasures(encodeMeasures(told))).toEqual(told);
  const { minute, hour, start } = told.arms[0].quality;
  expect([told.arms[0].arm, minute.count, hour.count, start.count]).toEqual(['', 3_000, 3_000, 3_000]);
  // Labels were drawn at the very scores.
  expect(minute.calibration).toBeGreaterThan(0.95);
  expect(minute.calibration).toBeLessThan(1.05);
  expect(minute.auc).toBeGreaterThan(0.55);
  expect(told.gradientNorms).toEqual({ logits: 3, embeddings: null, dense: null });
  expect(told.arms[0].curve.length).toBeGreaterThan(5);
});

test('measures: the minute forgets, the hour later, and the start never', () => {
  const measures = createModelMeasures(options);
  measures.take(many(0, 100), norms);
  const counts = () => {
    const { minute, hour, start } = measures.tell(0).arms[0].quality;
    return [minute.count, hour.count, start.count];
  };
  expect(counts()).toEqual([100, 100, 100]);
  for (let slot = 1; slot < 6; slot += 1) expect(counts()).toEqual([100, 100, 100]);
  expect(counts()).toEqual([0, 100, 100]);
  for (let slot = 7; slot < slotsAnHour; slot += 1) measures.tell(0);
  expect(counts()).toEqual([0, 0, 100]);
});

test('measures: arms are told apart, and all together come first', () => {
  const measures = createModelMeasures(options);
  measures.take([...many(0, 60, { arm: 'a' }), ...many(60, 100, { arm: 'b' }), ...many(100, 130)], norms);
  const { arms } = measures.tell(0);
  expect(arms.map(({ arm, quality }) => [arm, quality.start.count])).toEqual([
    ['', 130],
    ['a', 60],
    ['b', 40],
  ]);
});

test('measures: coverage, new keys; what comes again is not new', () => {
  const measures = createModelMeasures(options);
  measures.take([...many(0, 400), ...many(400, 800, { country: '' })], norms);
  const of = (name: string) => measures.tell(0).fields.find(({ field }) => field === name);
  expect(of('country')?.coverage).toBe(0.5);
  expect(of('country')?.newKeys).toBeCloseTo(5 / 100, 10);
  expect(of('tags')).toMatchObject({ coverage: 1, newKeys: 2 / 400 });
  expect(of('price')).toMatchObject({ coverage: 1, newKeys: null });
});

test('measures: an hour like the one before has not moved; another country, or other scores, have', () => {
  const calm = createModelMeasures(options);
  const moved = createModelMeasures(options);
  for (const [i, measures] of [calm, moved].entries()) {
    for (let slot = 0; slot < slotsAnHour + 60; slot += 1) {
      measures.take(many(slot * 40 + i, slot * 40 + 40 + i), norms);
      measures.tell(0);
    }
    for (let slot = 0; slot < slotsAnHour; slot += 1) {
      const change = measures === moved ? { country: 'elsewhere', score: 0.9 } : {};
      measures.take(many(slot * 40 + i, slot * 40 + 40 + i, change), norms);
      measures.tell(0);
    }
  }
  const quiet = calm.tell(0);
  expect(quiet.alerts).toEqual([]);
  expect(quiet.scoreDrift).toBeLessThan(0.1);
  const loud = moved.tell(0);
  expect(loud.alerts).toEqual(['scores', 'country']);
  expect(loud.fields.find(({ field }) => field === 'tags')?.drift).toBeLessThan(0.1);
});

test('measures: too few examples say nothing of drift', () => {
  const measures = createModelMeasures(options);
  measures.take(many(0, 50), norms);
  const { fields, scoreDrift } = measures.tell(0);
  expect([scoreDrift, ...fields.map(({ drift }) => drift)]).toEqual([null, null, null, null]);
});

test('measures: a successor goes on with the sums since the start', () => {
  const first = createModelMeasures(options);
  first.take([...many(0, 200), ...many(200, 300, { arm: 'a' })], norms);
  const second = createModelMeasures({ ...options, judged: first.judged() });
  const whole = createModelMeasures(options);
  whole.take([...many(0, 200), ...many(200, 300, { arm: 'a' })], norms);
  for (const measures of [second, whole]) measures.take(many(300, 400, { arm: 'a' }), norms);
  const starts = (measures: typeof first) =>
    measures.tell(0).arms.map(({ arm, quality }) => [arm, quality.start]);
  expect(starts(second)).toEqual(starts(whole));
});

test('measures: an arm too many counts among all alone', () => {
  const measures = createModelMeasures(options);
  measures.take(
    Array.from({ length: 40 }, (_, i) => example(i, { arm: `arm ${i}` })),
    norms,
  );
  const { arms } = measures.tell(0);
  expect([arms.length, arms[0].quality.start.count]).toEqual([17, 40]);
});

test('measures: an arm that was silent for an hour gives way to another', () => {
  const measures = createModelMeasures(options);
  measures.take(
    Array.from({ length: 16 }, (_, i) => example(i, { arm: `old/${i}` })),
    norms,
  );
  const told = () => measures.tell(0).arms.map(({ arm }) => arm);
  for (let slot = 0; slot < slotsAnHour - 1; slot += 1) told();
  measures.take([example(40, { arm: 'early' }), example(41, { arm: 'old/3' })], norms);
  expect(told()).not.toContain('early');
  measures.take([example(42, { arm: 'new' })], norms);
  const arms = told();
  expect(arms).toHaveLength(17);
  expect([arms[0], arms.includes('new'), arms.includes('old/3'), arms.includes('old/0')]).toEqual([
    '',
    true,
    true,
    false,
  ]);
});
