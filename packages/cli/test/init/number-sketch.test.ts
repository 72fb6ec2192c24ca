import { expect, test } from 'vitest';
import { createDistinctCount } from '../../src/init/distinct-count.ts';
import { createNumberSketch, quantileBoundaries, spreadBoundaries } from '../../src/init/number-sketch.ts';
import { createSampler } from '../../src/init/sample.ts';
import { draw } from './generated-log.ts';

test.each([0, 1, 100, 5_000, 200_000])(
  'init: distinct values: %i are estimated within a twentieth',
  (wanted) => {
    const count = createDistinctCount();
    for (let twice = 0; twice < 2; twice += 1) for (let i = 0; i < wanted; i += 1) count.add(`value ${i}`);
    expect(Math.abs(count.estimate() - wanted)).toBeLessThanOrEqual(0.05 * wanted);
  },
);

test('init: numbers: moments equal those of the plain formulas, beside a large offset too', () => {
  const numbers = Array.from({ length: 5_000 }, (_, i) => 1e6 + draw(i, 1));
  const sketch = createNumberSketch();
  for (const x of numbers) sketch.add(x);
  const mean = numbers.reduce((sum, x) => sum + (x - 1e6), 0) / numbers.length;
  const variance = numbers.reduce((sum, x) => sum + (x - 1e6 - mean) ** 2, 0) / numbers.length;
  expect(sketch.mean - 1e6).toBeCloseTo(mean, 6);
  expect(sketch.deviation).toBeCloseTo(Math.sqrt(variance), 6);
  expect([sketch.count, sketch.min, sketch.max]).toEqual([5_000, Math.min(...numbers), Math.max(...numbers)]);
});

test('init: numbers: quantiles of a long column come from numbers spread over all of it', () => {
  const sketch = createNumberSketch();
  for (let i = 0; i < 100_000; i += 1) sketch.add(i);
  const sorted = sketch.sorted();
  expect(sorted.length).toBeLessThanOrEqual(8_192);
  for (const boundary of quantileBoundaries(sorted, 4).map((x, i) => x - 25_000 * (i + 1)))
    expect(Math.abs(boundary)).toBeLessThan(100);
});

test('init: numbers: boundaries ascend and leave no part empty where values repeat', () => {
  expect(quantileBoundaries(Float64Array.from([0, 0, 0, 0, 0, 0, 1, 9]), 4)).toEqual([1]);
  expect(quantileBoundaries(Float64Array.from([3, 3, 3]), 4)).toEqual([]);
  expect(quantileBoundaries(Float64Array.from([1, 2, 3, 4]), 4)).toEqual([2, 3, 4]);
});

test('init: numbers: a value that takes most of a column gets an interval of its own', () => {
  const zeros = Array.from({ length: 96 }, () => 0);
  expect(spreadBoundaries(Float64Array.from([...zeros, 1, 2, 3, 4]), 4)).toEqual([1, 3]);
  expect(spreadBoundaries(Float64Array.from([-2, -1, ...zeros, 1, 2]), 4)).toEqual([0, 1]);
  expect(spreadBoundaries(Float64Array.from(zeros), 4)).toEqual([]);
  // Where the plain cuts are enough they stay as they are.
  expect(spreadBoundaries(Float64Array.from([1, 2, 3, 4]), 4)).toEqual([2, 3, 4]);
});

test('init: sample: a short log is there whole; of a long one the start and the end, in order', () => {
  const kept = (events: number) => {
    const sampler = createSampler(10);
    for (let i = 0; i < events; i += 1) sampler.add({ i }, i % 2 === 0 ? 0 : 1);
    const { records, labels, leftOut } = sampler.sample();
    expect([...labels]).toEqual(records.map(({ i }) => Number(i) % 2));
    return { places: records.map(({ i }) => i), leftOut };
  };
  expect(kept(10)).toEqual({ places: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], leftOut: 0 });
  expect(kept(7)).toEqual({ places: [0, 1, 2, 3, 4, 5, 6], leftOut: 0 });
  expect(kept(23)).toEqual({ places: [0, 1, 2, 3, 4, 5, 19, 20, 21, 22], leftOut: 13 });
});
