import { expect, test } from 'vitest';
import { isKept } from '../src/sampling.ts';

test('sampling: the choice is pinned for ever: what was learned is found again', () => {
  const chosen = Array.from({ length: 40 }, (_, i) => (isKept('request-7', i, 1, 0.3) ? 1 : 0)).join('');
  expect(chosen).toBe('0000100000000100100100000000000100000110');
});

test('sampling: what a rate keeps every higher one keeps', () => {
  for (let i = 0; i < 500; i += 1) {
    if (isKept(`r${i}`, i, 9, 0.1)) expect(isKept(`r${i}`, i, 9, 0.2)).toBe(true);
    expect(isKept(`r${i}`, i, 9, 1)).toBe(true);
  }
});

test('sampling: items of a request are chosen apart', () => {
  let both = 0;
  for (let i = 0; i < 4_000; i += 1) if (isKept(`r${i}`, 0, 9, 0.5) && isKept(`r${i}`, 1, 9, 0.5)) both += 1;
  // A quarter; deviation 27.
  expect(Math.abs(both - 1_000)).toBeLessThan(110);
});
