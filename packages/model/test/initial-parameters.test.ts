import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { initialParameters } from '../src/initial-parameters.ts';
import { shapeOf } from './net-cases.ts';

const shape = shapeOf({ layers: [{ units: 50 }] }, { slots: 0, dense: 100 });

test('initial parameters: never change for a seed (every node starts from the same bits)', () => {
  const bytes = Buffer.from(initialParameters(shape, 1).buffer);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(
    '463353e38e3eb93c65528c13ff05216ff5498a9d1b09a0746d15a8fc1c40afea',
  );
});

test('initial parameters: kernels are uniform within the Glorot bound, biases 0', () => {
  const parameters = initialParameters(shape, 1);
  const kernel = parameters.subarray(0, 5_000);
  const bound = Math.sqrt(6 / 150);
  expect(Math.max(...kernel.map(Math.abs))).toBeLessThanOrEqual(bound);
  const mean = kernel.reduce((sum, w) => sum + w, 0) / 5_000;
  const variance = kernel.reduce((sum, w) => sum + w * w, 0) / 5_000;
  // Of 5,000 uniform draws the mean has a deviation of bound/√15,000, the mean square one of 1.3 % of bound²/3.
  expect(Math.abs(mean)).toBeLessThan(4 * (bound / Math.sqrt(15_000)));
  expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(4 * 0.013);
  expect([...parameters.subarray(5_000, 5_050)]).toEqual(Array(50).fill(0));
});

test('initial parameters: no two weights share a draw, and neighbouring seeds have nothing in common', () => {
  const kernel = (seed: number) => initialParameters(shape, seed).subarray(0, 5_000);
  const first = new Set(kernel(1));
  // 5,000 draws of 2^24 values: about 0.75 pairs meet by chance.
  expect(first.size).toBeGreaterThanOrEqual(4_996);
  expect(kernel(2).filter((w) => first.has(w)).length).toBeLessThanOrEqual(8);
});

test('initial parameters: pair weights and the weights of attended positions begin at 1', () => {
  const weighted = shapeOf(
    { fwfm: true, attention: [{ sequence: 'history0', target: 'slot0', units: 2 }], layers: [] },
    { slots: 2, dense: 0, dim: 1, sequences: 1 },
  );
  // Attention: 4 × 2 and 2 biases, 2 × 1 and one bias; then three pairs of slots.
  const parameters = initialParameters(weighted, 5);
  expect([...parameters.subarray(8, 10)]).toEqual([0, 0]);
  expect([...parameters.subarray(12)]).toEqual([1, 1, 1, 1]);
  const kernels = [...parameters.subarray(0, 8), ...parameters.subarray(10, 12)];
  expect(kernels.every((w) => w !== 0 && Math.abs(w) < Math.sqrt(2))).toBe(true);
});
