import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createInitializer } from '../../src/initializer/initializer.ts';

const uniform = createInitializer({ type: 'uniform', scale: 1 });
const anyWord = fc.nat(2 ** 32 - 1);

function rowOf(seed: number, low: number, high: number, dim: number): Float32Array {
  const row = new Float32Array(dim);
  uniform(seed, low, high, row, 0, dim);
  return row;
}

test('initializer: uniform values are pinned: a row that nobody created reads the same for ever', () => {
  // float32 bits, computed by another program from the formula.
  const bits = (row: Float32Array) => [...new Uint32Array(row.buffer)];
  expect(bits(rowOf(7, 1, 2, 4))).toEqual([0xbe6df113, 0xbf577120, 0xbf4f36d4, 0x3f594ee3]);
  expect(bits(rowOf(0, 0, 0, 2))).toEqual([0x3e165178, 0xbf065238]);
  const scaled = new Float32Array(2);
  const small = createInitializer({ type: 'uniform', scale: 0.01 });
  small(0xffffffff, 0x89abcdef, 0x01234567, scaled, 0, 2);
  expect(bits(scaled)).toEqual([0x3a4296cb, 0x3bc211dd]);
});

test('initializer: zeros and constants fill the row and nothing beside it', () => {
  for (const [spec, value] of [
    [{ type: 'zeros' }, 0],
    [{ type: 'constant', value: 0.25 }, 0.25],
  ] as const) {
    const out = new Float32Array(6).fill(9);
    createInitializer(spec)(1, 2, 3, out, 2, 3);
    expect([...out]).toEqual([9, 9, value, value, value, 9]);
  }
});

test('initializer: uniform values depend on seed, key and place alone, and stay in range (property)', () => {
  fc.assert(
    fc.property(anyWord, anyWord, anyWord, fc.integer({ min: 1, max: 32 }), (seed, low, high, dim) => {
      const row = rowOf(seed, low, high, dim);
      expect(rowOf(seed, low, high, dim)).toEqual(row);
      // A longer row begins with the same values; a row elsewhere in memory has them too.
      expect(rowOf(seed, low, high, dim + 3).slice(0, dim)).toEqual(row);
      const arena = new Float32Array(dim + 9).fill(9);
      uniform(seed, low, high, arena, 4, dim);
      expect([...arena]).toEqual([9, 9, 9, 9, ...row, 9, 9, 9, 9, 9]);
      for (const value of row) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    }),
  );
});

test('initializer: other seeds, other words of the key and other places give other values', () => {
  const rows = [
    rowOf(7, 1, 2, 8),
    rowOf(8, 1, 2, 8),
    rowOf(7, 2, 2, 8),
    rowOf(7, 1, 3, 8),
    rowOf(7, 2, 1, 8),
  ];
  const values = rows.flatMap((row) => [...row]);
  expect(new Set(values).size).toBe(values.length);
});

test('initializer: a hundred thousand uniform values have the mean and spread of uniform ones', () => {
  let sum = 0;
  let squares = 0;
  const count = 100_000;
  for (let i = 0; i < count / 10; i += 1) {
    for (const value of rowOf(7, i, 0, 10)) {
      sum += value;
      squares += value * value;
    }
  }
  // Mean 0, deviation of it 1 / √(3 · 10⁵) = 0.0018; mean square 1/3, deviation of it √(4/45 / 10⁵) = 0.00094. Five of each.
  expect(Math.abs(sum / count)).toBeLessThan(0.009);
  expect(Math.abs(squares / count - 1 / 3)).toBeLessThan(0.0047);
});
