/** The blocks of the golden files, and random ones. */
import fc from 'fast-check';
import type { DenseBlock } from '../src/dense-block.ts';
import type { GradientBlock, GradientSection } from '../src/gradient-block.ts';

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
    },
    {
      table: 1,
      dim: 1,
      count: 1,
      keys: Uint32Array.of(0xffffffff, 1),
      gradients: Float32Array.of(-2),
      curvature: Float32Array.of(0.125),
    },
  ],
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
  })
  .chain(({ table, dim, count, hasCurvature }) =>
    fc.record({
      table: fc.constant(table),
      dim: fc.constant(dim),
      count: fc.constant(count),
      keys: fc.uint32Array({ minLength: 2 * count, maxLength: 2 * count }),
      gradients: anyFloats(dim * count),
      curvature: hasCurvature ? anyFloats(dim * count) : fc.constant(null),
    }),
  );

const mark = { producer: anyText, sequence: anyCount, previous: anyCount, model: anyText, timeMs: anyTime };

export const anyGradientBlock: fc.Arbitrary<GradientBlock> = fc.record({
  ...mark,
  fingerprint: anyCount,
  partition: fc.nat(4_095),
  sections: fc.array(anySection, { maxLength: 4 }),
});

export const anyDenseBlock: fc.Arbitrary<DenseBlock> = fc.record({
  ...mark,
  fingerprint: anyCount,
  gradients: fc.nat(20).chain(anyFloats),
});

/** A block with its arrays as plain words, so that equality is equality of bits. */
export function bitsOf(block: GradientBlock | DenseBlock): unknown {
  const words = (array: Float32Array | Uint32Array | null) =>
    array && [...new Uint32Array(array.slice().buffer)];
  if ('gradients' in block) return { ...block, gradients: words(block.gradients) };
  const sections = block.sections.map((section) => ({
    ...section,
    keys: words(section.keys),
    gradients: words(section.gradients),
    curvature: words(section.curvature),
  }));
  return { ...block, sections };
}
