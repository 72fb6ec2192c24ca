import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { layersFrom } from '../src/compile-model.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';

const shape: NetShape = {
  hasWide: false,
  hasFm: false,
  slots: [],
  embeddingFloats: 0,
  denseFields: 100,
  ...layersFrom([{ units: 50 }], 100),
};

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
