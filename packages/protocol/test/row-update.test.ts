import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sealEnvelope } from '../src/envelope.ts';
import { decodeRowUpdate, encodeRowUpdate, type RowUpdate } from '../src/row-update.ts';
import { bitsOf } from './blocks.ts';
import { allMasks, eachFlip, eachTruncation, expectCode } from './damage.ts';
import { golden, misaligned, toHex } from './golden.ts';

const example: RowUpdate = {
  model: 'ads',
  fingerprint: 7,
  partitions: [
    {
      partition: 3,
      previous: 10,
      sequence: 12,
      whole: false,
      sections: [
        {
          table: 1,
          dim: 2,
          rows: 1,
          forgotten: 1,
          keys: Uint32Array.of(1, 2, 3, 4),
          weights: Float32Array.of(0.5, -1),
        },
      ],
    },
    { partition: 5, previous: 11, sequence: 13, whole: true, sections: [] },
  ],
};

test('row update: encodes to the golden bytes', () => {
  expect(toHex(encodeRowUpdate(example))).toBe(toHex(golden('row-update')));
});

test('row update: reads the golden bytes at any address', () => {
  const message = golden('row-update');
  for (const bytes of [message, misaligned(message, 1), misaligned(message, 2), misaligned(message, 3)])
    expect(decodeRowUpdate(bytes)).toEqual(example);
});

const anySection = fc
  .record({ table: fc.nat(63), dim: fc.integer({ min: 1, max: 20 }), rows: fc.nat(5), forgotten: fc.nat(5) })
  .chain((section) =>
    fc
      .record({
        keys: fc.uint32Array({
          minLength: 2 * (section.rows + section.forgotten),
          maxLength: 2 * (section.rows + section.forgotten),
        }),
        weights: fc.float32Array({
          minLength: section.rows * section.dim,
          maxLength: section.rows * section.dim,
        }),
      })
      .map((arrays) => ({ ...section, ...arrays })),
  );
const anyUpdate = fc.record({
  model: fc.string(),
  fingerprint: fc.nat(),
  partitions: fc.array(
    fc
      .record({
        partition: fc.nat(4_095),
        previous: fc.maxSafeNat(),
        whole: fc.boolean(),
        sections: fc.array(anySection, { maxLength: 4 }),
      })
      .map((part) => ({ ...part, sequence: part.previous })),
    { maxLength: 4 },
  ),
});

test('row update: decoding gives back what was encoded, bit for bit (property)', () => {
  fc.assert(
    fc.property(anyUpdate, (update) => {
      expect(bitsOf(decodeRowUpdate(encodeRowUpdate(update)) as never)).toEqual(bitsOf(update as never));
    }),
  );
});

test('row update: every other value of every byte is noticed, and every end that is too early', () => {
  eachFlip(golden('row-update'), allMasks, (damaged) => {
    expectCode('MILL_BLOCK_INVALID', () => decodeRowUpdate(damaged));
  });
  eachTruncation(golden('row-update'), (damaged) => {
    expectCode('MILL_BLOCK_INVALID', () => decodeRowUpdate(damaged));
  });
});

test.each([
  ['too few parts', ['ads', 1], 0],
  ['no numbers', ['ads', 1, 'x'], 0],
  ['a partition that ends early', ['ads', 1, [0, 1, 2]], 0],
  ['sequences that descend', ['ads', 1, [0, 2, 1, 0, 0]], 0],
  ['a partition that is too high', ['ads', 1, [4_096, 1, 2, 0, 0]], 0],
  ['a section that is not there', ['ads', 1, [0, 1, 2, 0, 1]], 0],
  ['rows without floats', ['ads', 1, [0, 1, 2, 0, 1, 0, 0, 1, 0]], 8],
  ['rows that the body does not have', ['ads', 1, [0, 1, 2, 0, 1, 0, 1, 1, 0]], 8],
  ['a body that is too long', ['ads', 1, [0, 1, 2, 0, 0]], 4],
])('row update: refuses %s', (_what, metadata, bodyBytes) => {
  const message = sealEnvelope('MRU1', metadata, [new Uint8Array(bodyBytes)]);
  expectCode('MILL_BLOCK_INVALID', () => decodeRowUpdate(message));
});
