import { expect, test } from 'vitest';
import { chosenIndex, normalAt, uniformAt } from '../src/counter-random.ts';

const many = 20_000;

test('counter-random: the same address gives the same number, any other another', () => {
  const here = uniformAt(1, 2, 3, 4);
  expect(uniformAt(1, 2, 3, 4)).toBe(here);
  const others = [
    uniformAt(2, 2, 3, 4),
    uniformAt(2, 1, 3, 4),
    uniformAt(1, 3, 3, 4),
    uniformAt(1, 2, 4, 4),
    uniformAt(1, 2, 3, 5),
    uniformAt(1, 2, 3 + 2 ** 32, 4),
  ];
  expect(new Set([here, ...others]).size).toBe(7);
});

test('counter-random: uniform numbers fill (0, 1) evenly and neighbours are independent', () => {
  const buckets = new Array<number>(10).fill(0);
  let product = 0;
  for (let i = 0; i < many; i++) {
    const value = uniformAt(7, 1, i);
    expect(value > 0 && value < 1).toBe(true);
    buckets[Math.floor(value * 10)]++;
    product += (value - 0.5) * (uniformAt(7, 1, i + 1) - 0.5);
  }
  // 2,000 a bucket; five deviations are 212. A correlation's deviation is 1 / √20,000 = 0.007.
  for (const count of buckets) expect(Math.abs(count - many / 10)).toBeLessThan(212);
  expect(Math.abs((product / many) * 12)).toBeLessThan(0.035);
});

test('counter-random: normal numbers have mean 0 and deviation 1', () => {
  let sum = 0;
  let squares = 0;
  let beyondTwo = 0;
  for (let i = 0; i < many; i++) {
    const value = normalAt(7, 1, i, 3);
    sum += value;
    squares += value * value;
    if (Math.abs(value) > 2) beyondTwo++;
  }
  expect(Math.abs(sum / many)).toBeLessThan(0.035);
  expect(Math.abs(squares / many - 1)).toBeLessThan(0.05);
  // 4.55 % of a normal distribution lie beyond two deviations.
  expect(Math.abs(beyondTwo / many - 0.0455)).toBeLessThan(0.0075);
});

test('counter-random: chosen index follows the weights', () => {
  expect([0, 0.249, 0.25, 0.999].map((uniform) => chosenIndex([1, 0, 3], uniform))).toEqual([0, 0, 2, 2]);
});
