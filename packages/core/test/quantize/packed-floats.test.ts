import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type FloatFormat,
  floatFormats,
  packFloats,
  unpackFloats,
} from '../../src/quantize/packed-floats.ts';

const someWeights = fc.array(
  fc.oneof(
    fc.constant(0),
    fc.float({ noNaN: true, min: -8, max: 8 }),
    fc.float({ noNaN: true, min: -60_000, max: 60_000 }),
  ),
  { maxLength: 100 },
);

/** What a weight may be off by. */
const boundOf: Readonly<Record<FloatFormat, (weights: Float32Array, i: number) => number>> = {
  float32: () => 0,
  sparse: () => 0,
  float16: (weights, i) => Math.abs(weights[i]) * 2 ** -11 + 2 ** -25,
  int8(weights, i) {
    const from = 32 * Math.floor(i / 32);
    const max = Math.max(...weights.subarray(from, from + 32).map(Math.abs));
    return (max / 127) * (0.5 + 2 ** -10) + 2 ** -24;
  },
};

test('packed floats: come back as near as their format says, from the bytes that it takes', () => {
  fc.assert(
    fc.property(someWeights, (list) => {
      const weights = Float32Array.from(list);
      const bytesOf: Readonly<Record<FloatFormat, number>> = {
        float32: 4 * list.length,
        float16: 2 * list.length,
        int8: list.length + 2 * Math.ceil(list.length / 32),
        sparse: Math.ceil(list.length / 8) + 4 * list.filter((weight) => weight !== 0).length,
      };
      for (const format of floatFormats) {
        const bytes = packFloats(weights, format);
        expect(bytes.length).toBe(bytesOf[format]);
        const back = unpackFloats(bytes, weights.length, format);
        for (let i = 0; i < list.length; i += 1)
          expect(Math.abs(back[i] - weights[i])).toBeLessThanOrEqual(boundOf[format](weights, i));
      }
    }),
    { numRuns: 200 },
  );
});

test('packed floats: int8, hand-computed', () => {
  const weights = Float32Array.of(127, -127, 63.5, 64.5, 0);
  expect([...packFloats(weights, 'int8')]).toEqual([0x00, 0x3c, 127, 129, 64, 64, 0]);
});
