import { expect, test } from 'vitest';
import { type Population, visitorAt } from '../src/arrivals.ts';

const population: Population = { seed: 5, stream: 1, founders: 10, newShare: () => 0.2, recency: 1 };

test('arrivals: newcomers are named by their step and come at the stated share', () => {
  let newcomers = 0;
  for (let step = 0; step < 5_000; step++) {
    const visitor = visitorAt(population, step);
    expect(visitor).toBeLessThanOrEqual(10 + step);
    if (visitor === 10 + step) newcomers++;
  }
  // Five deviations of a share of 0.2 over 5,000 steps are 0.028.
  expect(Math.abs(newcomers / 5_000 - 0.2)).toBeLessThan(0.028);
});

test('arrivals: everybody who returns was there before', () => {
  const seen = new Set(Array.from({ length: 10 }, (_, founder) => founder));
  for (let step = 0; step < 2_000; step++) {
    const visitor = visitorAt(population, step);
    if (visitor !== 10 + step) expect(seen.has(visitor)).toBe(true);
    seen.add(visitor);
  }
});

test('arrivals: with newcomers at every step nobody returns, with none only founders come', () => {
  expect(visitorAt({ ...population, newShare: () => 1 }, 77)).toBe(87);
  for (let step = 0; step < 100; step++) {
    expect(visitorAt({ ...population, newShare: () => 0 }, step)).toBeLessThan(10);
  }
});

test('arrivals: further draws at a step bring no newcomer', () => {
  for (let draw = 1; draw < 50; draw++) {
    const visitor = visitorAt({ ...population, newShare: (step) => (step === 900 ? 1 : 0.2) }, 900, draw);
    expect(visitor).toBeLessThan(10 + 900);
  }
});

test('arrivals: recency prefers those who came lately', () => {
  const meanVisitor = (recency: number) => {
    let sum = 0;
    for (let step = 1_000; step < 2_000; step++) sum += visitorAt({ ...population, recency }, step);
    return sum / 1_000;
  };
  expect(meanVisitor(4)).toBeGreaterThan(meanVisitor(1) + 100);
});
