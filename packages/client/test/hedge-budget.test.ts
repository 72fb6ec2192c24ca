import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHedgeBudget } from '../src/hedge-budget.ts';

test('hedge budget: begins with 32, and twenty requests earn one more', () => {
  const budget = createHedgeBudget();
  for (let i = 0; i < 32; i += 1) expect(budget.spend(1)).toBe(true);
  expect(budget.spend(1)).toBe(false);
  for (let i = 0; i < 19; i += 1) budget.earn();
  expect(budget.spend(1)).toBe(false);
  // A little more than 20 · 0.05, which floats may miss by a hair.
  for (let i = 0; i < 2; i += 1) budget.earn();
  expect([budget.spend(1), budget.spend(1)]).toEqual([true, false]);
});

test('hedge budget: no more than 32 are saved', () => {
  const budget = createHedgeBudget();
  for (let i = 0; i < 10_000; i += 1) budget.earn();
  expect([budget.spend(33), budget.spend(32), budget.spend(1)]).toEqual([false, true, false]);
});

test('hedge budget: of n requests at most n / 20 + 32 are asked twice (property)', () => {
  const anySteps = fc.array(fc.constantFrom(0, 0, 0, 0, 1, 2, 5), { maxLength: 2_000 });
  fc.assert(
    fc.property(anySteps, (steps) => {
      const budget = createHedgeBudget();
      let [requests, spent] = [0, 0];
      for (const wanted of steps) {
        if (wanted === 0) budget.earn();
        if (wanted === 0) requests += 1;
        else if (budget.spend(wanted)) spent += wanted;
        expect(spent).toBeLessThanOrEqual(requests / 20 + 32 + 1e-6);
      }
    }),
  );
});
