/** The blocks of the golden files, and random ones. */
import fc from 'fast-check';
import type { DenseBlock } from '../src/dense-block.ts';
import type { DensePutBlock } from '../src/dense-put-block.ts';
import type { GradientBlock, GradientSection } from '../src/gradient-block.ts';
import type { PutBlock } from '../src/put-block.ts';

/** As in golden/gradient-block.hex. */
export const exampleGradientBlock: GradientBlock = {
  producer: 'updater-ads',
  sequence: 7,
  previous: 5,
  model: 'ads',
  fingerprint: 0xdeadbeef,
  partition: 3,
  timeMs: 1_700_000_000_000,
  sections: [
    {
      table: 0,
      dim: 2,
      count: 2,
      keys: Uint32Array.of(0, 0, 0x01234567, 0x89abcdef),
      gradients: Float32Array.of(0.5, -0.25, 1.5, 0),
      curvature: null,
      occurrences: null,
    },
    {
      table: 1,
      dim: 1,
      count: 1,
      keys: Uint32Array.of(0xffffffff, 1),
      gradients: Float32Array.of(-2),
      curvature: Float32Array.of(0.125),
      occurrences: null,
    },
  ],
  eventTimeMs: null,
};

/** As in golden/gradient-block-seen.hex. */
export const seenGradientBlock: GradientBlock = {
  ...exampleGradientBlock,
  sections: [
    {
      table: 0,
      dim: 2,
      count: 1,
      keys: Uint32Array.of(0x01234567, 0x89abcdef),
      gradients: Float32Array.of(0.5, -0.25),
      curvature: null,
      occurrences: Uint32Array.of(3),
    },
    {
      table: 1,
      dim: 1,
      count: 1,
      keys: Uint32Array.of(0xffffffff, 1),
      gradients: Float32Array.of(-2),
      curvature: Float32Array.of(0.125),
      occurrences: Uint32Array.of(70_000),
    },
    {
      table: 2,
      dim: 1,
      count: 1,
      keys: Uint32Array.of(5, 6),
      gradients: Float32Array.of(1),
      curvature: null,
      occurrences: null,
    },
  ],
  eventTimeMs: 1_699_999_990_000,
};

const { producer, sequence, previous, model, fingerprint, partition, timeMs } = exampleGradientBlock;

/** As in golden/put-block.hex. */
export const examplePutBlock: PutBlock = {
  ...{ producer, sequence, previous, model, fingerprint, partition, timeMs },
  sections: [
    {
      table: 0,
      dim: 2,
      stateFloats: 3,
      count: 2,
      keys: Uint32Array.of(0, 0, 0x01234567, 0x89abcdef),
      weights: Float32Array.of(0.5, -0.25, 1.5, 0),
      state: Float32Array.of(1, 2, 3, 4, 5, 6),
    },
    {
      table: 1,
      dim: 1,
      stateFloats: 0,
      count: 1,
      keys: Uint32Array.of(0xffffffff, 1),
      weights: Float32Array.of(-2),
      state: Float32Array.of(),
    },
  ],
};

/** As in golden/dense-put-block.hex. */
export const exampleDensePutBlock: DensePutBlock = {
  producer: 'import-1',
  sequence: 1,
  previous: 0,
  model: 'ads',
  fingerprint: 0xdeadbeef,
  timeMs: 1_700_000_000_000,
  weights: Float32Array.of(0.5, -1.25, 0),
  state: Float32Array.of(0.0625, 2),
};

/** As in golden/dense-block.hex. */
export const exampleDenseBlock: DenseBlock = {
  producer: 'updater-ads',
  sequence: 7,
  previous: 0,
  model: 'ads',
  fingerprint: 0xdeadbeef,
  timeMs: 1_700_000_000_000,
  gradients: Float32Array.of(0.5, -1.25, 0),
};

/** Text of any code points but halves of surrogate pairs, which UTF-8 does not have. */
export const anyText = fc.string({ unit: 'binary', maxLength: 40 });
/** An integer from 0 to 2^53 − 1, small and large ones alike. */
export const anyCount = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.maxSafeNat());
const anyTime = fc.oneof(
  fc.integer({ min: 0, max: 4e12 }),
  fc.double({ noNaN: true }).map((time) => time + 0),
);

/** float32[count] of any bits, not-a-numbers among them: the codec carries bits, the fold judges them. */
function anyFloats(count: number): fc.Arbitrary<Float32Array> {
  return fc
    .uint32Array({ minLength: count, maxLength: count })
    .map((words) => new Float32Array(words.slice().buffer));
}

const anySection: fc.Arbitrary<GradientSection> = fc
  .record({
    table: fc.nat(300),
    dim: fc.integer({ min: 1, max: 6 }),
    count: fc.nat(5),
    hasCurvature: fc.boolean(),
    hasOccurrences: fc.boolean(),
  })
  .chain(({ table, dim, count, hasCurvature, hasOccurrences }) =>
    fc.record({
      table: fc.constant(table),
      dim: fc.constant(dim),
      count: fc.constant(count),
      keys: fc.uint32Array({ minLength: 2 * count, maxLength: 2 * count }),
      gradients: anyFloats(dim * count),
      curvature: hasCurvature ? anyFloats(dim * count) : fc.constant(null),
      occurrences: hasOccurrences
        ? fc.uint32Array({ minLength: count, maxLength: count })
        : fc.constant(null),
    }),
  );

const anyMark = {
  producer: anyText,
  sequence: anyCount,
  previous: anyCount,
  model: anyText,
  timeMs: anyTime,
};

export const anyGradientBlock: fc.Arbitrary<GradientBlock> = fc
  .tuple(
    fc.record({
      ...anyMark,
      fingerprint: anyCount,
      partition: fc.nat(4_095),
      sections: fc.array(anySection, { maxLength: 4 }),
    }),
    fc.option(anyCount),
  )
  .map(([block, eventTimeMs]) => ({ ...block, eventTimeMs }));

const anyPutSection = fc
  .tuple(fc.nat(300), fc.integer({ min: 1, max: 6 }), fc.nat(5), fc.nat(5))
  .chain(([table, dim, stateFloats, count]) =>
    fc.record({
      table: fc.constant(table),
      dim: fc.constant(dim),
      stateFloats: fc.constant(stateFloats),
      count: fc.constant(count),
      keys: fc.uint32Array({ minLength: 2 * count, maxLength: 2 * count }),
      weights: anyFloats(dim * count),
      state: anyFloats(stateFloats * count),
    }),
  );

export const anyPutBlock: fc.Arbitrary<PutBlock> = fc.record({
  ...anyMark,
  fingerprint: anyCount,
  partition: fc.nat(4_095),
  sections: fc.array(anyPutSection, { maxLength: 4 }),
});

export const anyDensePutBlock: fc.Arbitrary<DensePutBlock> = fc.record({
  ...anyMark,
  fingerprint: anyCount,
  weights: fc.nat(20).chain(anyFloats),
  state: fc.nat(20).chain(anyFloats),
});

export const anyDenseBlock: fc.Arbitrary<DenseBlock> = fc.record({
  ...anyMark,
  fingerprint: anyCount,
  gradients: fc.nat(20).chain(anyFloats),
});

/** A block with its arrays as plain words, so that equality is equality of bits. */
export function bitsOf(block: GradientBlock | DenseBlock | PutBlock | DensePutBlock): unknown {
  const plain = (value: unknown): unknown => {
    if (ArrayBuffer.isView(value)) return [...new Uint32Array((value as Uint32Array).slice().buffer)];
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
  };
  return plain(block);
}
