import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sealEnvelope } from '../src/envelope.ts';
import { decodeGradientBlock, encodeGradientBlock } from '../src/gradient-block.ts';
import { messageBytesMax, rowFloatsMax, tablesMax } from '../src/limits.ts';
import { anyGradientBlock, bitsOf, exampleGradientBlock, seenGradientBlock } from './blocks.ts';
import { allMasks, eachFlip, eachTruncation, expectCode, expectNothingBut } from './damage.ts';
import { golden, misaligned, toHex } from './golden.ts';

test('gradient block: encodes to the golden bytes', () => {
  expect(toHex(encodeGradientBlock(exampleGradientBlock))).toBe(toHex(golden('gradient-block')));
});

test('gradient block: reads the golden bytes at any address', () => {
  const message = golden('gradient-block');
  for (const bytes of [message, misaligned(message, 1), misaligned(message, 2), misaligned(message, 3)]) {
    expect(decodeGradientBlock(bytes)).toEqual(exampleGradientBlock);
  }
});

test('gradient block: event time and occurrences: encodes to the golden bytes and reads them at any address', () => {
  const message = golden('gradient-block-seen');
  expect(toHex(encodeGradientBlock(seenGradientBlock))).toBe(toHex(message));
  for (const bytes of [message, misaligned(message, 1), misaligned(message, 3)])
    expect(decodeGradientBlock(bytes)).toEqual(seenGradientBlock);
});

test('gradient block: an event time that is nil is one that is not known', () => {
  const metadata = ['p', 1, 0, 'm', 1, 0, 5, []];
  for (const parts of [metadata, [...metadata, null]])
    expect(decodeGradientBlock(sealEnvelope('MGB1', parts, [])).eventTimeMs).toBeNull();
});

test('gradient block: reads an aligned message in place', () => {
  const message = golden('gradient-block');
  const { sections } = decodeGradientBlock(message);
  expect(sections[0].gradients.buffer).toBe(message.buffer);
});

test('gradient block: writes the leading rows of longer arrays', () => {
  const section = {
    table: 0,
    dim: 1,
    count: 1,
    keys: Uint32Array.of(1, 2, 3, 4),
    gradients: Float32Array.of(5, 6),
    curvature: Float32Array.of(7, 8),
    occurrences: Uint32Array.of(9, 10),
  };
  const read = decodeGradientBlock(encodeGradientBlock({ ...exampleGradientBlock, sections: [section] }));
  expect(read.sections).toEqual([
    {
      ...section,
      keys: Uint32Array.of(1, 2),
      gradients: Float32Array.of(5),
      curvature: Float32Array.of(7),
      occurrences: Uint32Array.of(9),
    },
  ]);
});

test('gradient block: decoding gives back what was encoded, bit for bit (property)', () => {
  fc.assert(
    fc.property(anyGradientBlock, (block) => {
      expect(bitsOf(decodeGradientBlock(encodeGradientBlock(block)))).toEqual(bitsOf(block));
    }),
  );
});

test('gradient block: every other value of every byte is noticed', () => {
  for (const name of ['gradient-block', 'gradient-block-seen'])
    eachFlip(golden(name), allMasks, (damaged) => {
      expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(damaged));
    });
});

test('gradient block: every truncation and extension is noticed', () => {
  for (const name of ['gradient-block', 'gradient-block-seen'])
    eachTruncation(golden(name), (damaged) => {
      expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(damaged));
    });
});

test('gradient block: damage of random blocks is noticed (property)', () => {
  fc.assert(
    fc.property(anyGradientBlock, fc.integer({ min: 1, max: 255 }), (block, mask) => {
      const message = encodeGradientBlock(block);
      const look = (damaged: Uint8Array) =>
        expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(damaged));
      eachFlip(message, [mask], look);
      eachTruncation(message, look);
    }),
    { numRuns: 25 },
  );
});

test('gradient block: random bytes give MILL_BLOCK_INVALID (property)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(bytes));
    }),
  );
});

test('gradient block: sound envelopes around any metadata give a block or MILL_BLOCK_INVALID (property)', () => {
  const anyPart = fc.oneof(fc.string(), fc.integer(), fc.maxSafeNat(), fc.double(), fc.jsonValue());
  const anyEntry = fc.oneof(fc.array(fc.oneof(fc.nat(3), anyPart), { maxLength: 5 }), anyPart);
  const { producer, sequence, previous, model, fingerprint, partition, timeMs } = exampleGradientBlock;
  const sound = [producer, sequence, previous, model, fingerprint, partition, timeMs];
  const anyMetadata = fc.oneof(
    fc.array(anyPart, { maxLength: 9 }),
    fc.array(anyEntry, { maxLength: 3 }).map((layout) => [...sound, layout]),
  );
  fc.assert(
    fc.property(anyMetadata, fc.uint32Array({ maxLength: 20 }), (metadata, body) => {
      const message = sealEnvelope('MGB1', metadata, [body]);
      expectNothingBut(['MILL_BLOCK_INVALID'], () => decodeGradientBlock(message));
    }),
    { numRuns: 300 },
  );
});

const row = [Uint32Array.of(1, 2), Float32Array.of(3)];

test('gradient block: what the faults below are faults of is read', () => {
  const sound = ['p', 1, 0, 'm', 1, 0, 5, []];
  expect(decodeGradientBlock(sealEnvelope('MGB1', sound, [])).sections.length).toBe(0);
  const ofOneRow = ['p', 1, 0, 'm', 1, 0, 5, [[0, 1, 1, 0]]];
  expect(decodeGradientBlock(sealEnvelope('MGB1', ofOneRow, row)).sections.length).toBe(1);
  const longest = ['p', 1, 0, 'm', 1, 0, 5, new Array(tablesMax).fill([0, rowFloatsMax, 0, 0])];
  expect(decodeGradientBlock(sealEnvelope('MGB1', longest, [])).sections.length).toBe(tablesMax);
});

test.each([
  { fault: 'metadata of seven parts', metadata: ['p', 1, 0, 'm', 1, 0, []] },
  { fault: 'a producer without a name', metadata: [1, 1, 0, 'm', 1, 0, 5, []] },
  { fault: 'a model without a name', metadata: ['p', 1, 0, null, 1, 0, 5, []] },
  { fault: 'a sequence with a fraction', metadata: ['p', 1.5, 0, 'm', 1, 0, 5, []] },
  { fault: 'a sequence below zero', metadata: ['p', -1, 0, 'm', 1, 0, 5, []] },
  { fault: 'a sequence beyond 2^53', metadata: ['p', 2 ** 54, 0, 'm', 1, 0, 5, []] },
  { fault: 'a previous that is text', metadata: ['p', 1, '0', 'm', 1, 0, 5, []] },
  { fault: 'a fingerprint below zero', metadata: ['p', 1, 0, 'm', -1, 0, 5, []] },
  { fault: 'a partition with a fraction', metadata: ['p', 1, 0, 'm', 1, 0.5, 5, []] },
  { fault: 'a time that is text', metadata: ['p', 1, 0, 'm', 1, 0, 'now', []] },
  { fault: 'a layout that is no list', metadata: ['p', 1, 0, 'm', 1, 0, 5, {}] },
  { fault: 'a section that is no list', metadata: ['p', 1, 0, 'm', 1, 0, 5, [5]] },
  { fault: 'a table below zero', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[-1, 1, 1, 0]]], body: row },
  { fault: 'a dim of 0', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, 0, 1, 0]]], body: row.slice(0, 1) },
  { fault: 'a dim over the limit', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, rowFloatsMax + 1, 0, 0]]] },
  { fault: 'an unknown flag', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, 1, 1, 4]]], body: row },
  { fault: 'occurrences beyond its body', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, 1, 1, 2]]], body: row },
  { fault: 'an event time that is text', metadata: ['p', 1, 0, 'm', 1, 0, 5, [], 'now'] },
  { fault: 'an event time below zero', metadata: ['p', 1, 0, 'm', 1, 0, 5, [], -1] },
  { fault: 'more rows than its body', metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, 1, 2, 0]]], body: row },
  { fault: 'fewer rows than its body', metadata: ['p', 1, 0, 'm', 1, 0, 5, []], body: row },
  {
    fault: 'a count whose bytes are beyond all numbers',
    metadata: ['p', 1, 0, 'm', 1, 0, 5, [[0, 1_000, 2 ** 53 - 1, 1]]],
    body: row,
  },
  {
    fault: 'more sections than tables may be',
    metadata: ['p', 1, 0, 'm', 1, 0, 5, new Array(tablesMax + 1).fill([0, 1, 0, 0])],
  },
])('gradient block: $fault is refused', ({ metadata, body = [] }) => {
  expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(sealEnvelope('MGB1', metadata, body)));
});

test('gradient block: a later version may add parts to the metadata', () => {
  const metadata = ['p', 1, 0, 'm', 1, 0, 5, [], 7, 'more'];
  expect(decodeGradientBlock(sealEnvelope('MGB1', metadata, [])).sections).toEqual([]);
});

test('gradient block: one over the message limit is not built', () => {
  const count = messageBytesMax / 12;
  const section = {
    table: 0,
    dim: 1,
    count,
    keys: new Uint32Array(2 * count),
    gradients: new Float32Array(count),
    curvature: null,
  };
  expectCode('MILL_BLOCK_INVALID', () =>
    encodeGradientBlock({ ...exampleGradientBlock, sections: [section] }),
  );
});
