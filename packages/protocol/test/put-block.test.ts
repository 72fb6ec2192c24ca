import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDensePutBlock, encodeDensePutBlock } from '../src/dense-put-block.ts';
import { sealEnvelope } from '../src/envelope.ts';
import { decodeGradientBlock } from '../src/gradient-block.ts';
import { messageBytesMax, optimizerFloatsMax, rowFloatsMax, tablesMax } from '../src/limits.ts';
import { decodeAnyDenseBlock, decodePartitionBlock, isDensePutBlock, isPutBlock } from '../src/log-block.ts';
import { decodePutBlock, encodePutBlock } from '../src/put-block.ts';
import {
  anyDensePutBlock,
  anyPutBlock,
  bitsOf,
  exampleDenseBlock,
  exampleDensePutBlock,
  exampleGradientBlock,
  examplePutBlock,
} from './blocks.ts';
import { allMasks, eachFlip, eachTruncation, expectCode, expectNothingBut } from './damage.ts';
import { golden, misaligned, toHex } from './golden.ts';

const kinds = [
  {
    name: 'put-block',
    magic: 'MPB1',
    example: examplePutBlock,
    encode: () => encodePutBlock(examplePutBlock),
    decode: decodePutBlock as (message: Uint8Array) => unknown,
  },
  {
    name: 'dense-put-block',
    magic: 'MDP1',
    example: exampleDensePutBlock,
    encode: () => encodeDensePutBlock(exampleDensePutBlock),
    decode: decodeDensePutBlock as (message: Uint8Array) => unknown,
  },
];

test.each(kinds)('$name: encodes to the golden bytes and reads them at any address', (kind) => {
  const message = golden(kind.name);
  expect(toHex(kind.encode())).toBe(toHex(message));
  for (const bytes of [message, misaligned(message, 1), misaligned(message, 2), misaligned(message, 3)])
    expect(kind.decode(bytes)).toEqual(kind.example);
});

test.each(kinds)(
  '$name: every other value of every byte, every truncation and extension is noticed',
  (kind) => {
    const look = (damaged: Uint8Array) => expectCode('MILL_BLOCK_INVALID', () => kind.decode(damaged));
    eachFlip(golden(kind.name), allMasks, look);
    eachTruncation(golden(kind.name), look);
  },
);

test.each(kinds)(
  '$name: random bytes, and sound envelopes around any metadata, give nothing but its code',
  (kind) => {
    const anyPart = fc.oneof(fc.string(), fc.integer(), fc.nat(4), fc.double(), fc.jsonValue());
    const anyLayout = fc.array(fc.oneof(fc.array(fc.nat(3), { maxLength: 5 }), anyPart), { maxLength: 3 });
    const anyMetadata = fc.oneof(
      fc.array(anyPart, { maxLength: 9 }),
      fc.tuple(anyPart, anyLayout).map(([part, layout]) => ['p', 1, 0, 'm', 1, part, 5, layout]),
      fc.tuple(fc.nat(4), fc.nat(4)).map((counts) => ['p', 1, 0, 'm', 1, 5, ...counts]),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        anyMetadata,
        fc.uint32Array({ maxLength: 12 }),
        (bytes, metadata, body) => {
          expectCode('MILL_BLOCK_INVALID', () => kind.decode(bytes));
          const message = sealEnvelope(kind.magic, metadata, [body]);
          expectNothingBut(['MILL_BLOCK_INVALID'], () => kind.decode(message));
        },
      ),
      { numRuns: 200 },
    );
  },
);

test('put block: decoding gives back what was encoded, bit for bit (property)', () => {
  fc.assert(
    fc.property(anyPutBlock, anyDensePutBlock, (rows, dense) => {
      expect(bitsOf(decodePutBlock(encodePutBlock(rows)))).toEqual(bitsOf(rows));
      expect(bitsOf(decodeDensePutBlock(encodeDensePutBlock(dense)))).toEqual(bitsOf(dense));
    }),
  );
});

test('put block: the magic tells blocks of one log apart', () => {
  const blocks = [
    golden('gradient-block'),
    golden('put-block'),
    golden('dense-block'),
    golden('dense-put-block'),
  ];
  expect(blocks.map(isPutBlock)).toEqual([false, true, false, false]);
  expect(blocks.map(isDensePutBlock)).toEqual([false, false, false, true]);
  expect(blocks.slice(0, 2).map(decodePartitionBlock)).toEqual([exampleGradientBlock, examplePutBlock]);
  expect(blocks.slice(2).map(decodeAnyDenseBlock)).toEqual([exampleDenseBlock, exampleDensePutBlock]);
  expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(blocks[1]));
  for (const decode of [decodePartitionBlock, decodeAnyDenseBlock])
    expectCode('MILL_BLOCK_INVALID', () => decode(new Uint8Array(2)));
});

const row = [Uint32Array.of(1, 2), Float32Array.of(3)];
const layoutOf = (...layout: unknown[]) => ['p', 1, 0, 'm', 1, 0, 5, layout];

test('put block: what the faults below are faults of is read', () => {
  expect(decodePutBlock(sealEnvelope('MPB1', layoutOf([0, 1, 0, 1]), row)).sections.length).toBe(1);
  const longest = new Array(tablesMax).fill([0, rowFloatsMax, optimizerFloatsMax, 0]);
  expect(decodePutBlock(sealEnvelope('MPB1', layoutOf(...longest), [])).sections.length).toBe(tablesMax);
});

test.each([
  { fault: 'metadata of seven parts', metadata: ['p', 1, 0, 'm', 1, 0, []] },
  { fault: 'a producer without a name', metadata: [1, 1, 0, 'm', 1, 0, 5, []] },
  { fault: 'a sequence with a fraction', metadata: ['p', 1.5, 0, 'm', 1, 0, 5, []] },
  { fault: 'a time that is text', metadata: ['p', 1, 0, 'm', 1, 0, 'now', []] },
  { fault: 'a layout that is no list', metadata: ['p', 1, 0, 'm', 1, 0, 5, {}] },
  { fault: 'a section that is no list', metadata: layoutOf(5) },
  { fault: 'a dim of 0', metadata: layoutOf([0, 0, 1, 1]), body: row },
  { fault: 'a dim over the limit', metadata: layoutOf([0, rowFloatsMax + 1, 0, 0]) },
  { fault: 'more optimizer floats than there can be', metadata: layoutOf([0, 1, optimizerFloatsMax + 1, 0]) },
  { fault: 'more rows than its body', metadata: layoutOf([0, 1, 0, 2]), body: row },
  { fault: 'fewer rows than its body', metadata: layoutOf(), body: row },
  {
    fault: 'a count whose bytes are beyond all numbers',
    metadata: layoutOf([0, 1_000, 9, 2 ** 53 - 1]),
    body: row,
  },
  {
    fault: 'more sections than tables may be',
    metadata: layoutOf(...new Array(tablesMax + 1).fill([0, 1, 0, 0])),
  },
])('put block: $fault is refused', ({ metadata, body = [] }) => {
  expectCode('MILL_BLOCK_INVALID', () => decodePutBlock(sealEnvelope('MPB1', metadata, body)));
});

test.each([
  { fault: 'metadata of seven parts', metadata: ['p', 1, 0, 'm', 1, 5, 1] },
  { fault: 'a model without a name', metadata: ['p', 1, 0, null, 1, 5, 1, 0] },
  { fault: 'a sequence below zero', metadata: ['p', -1, 0, 'm', 1, 5, 1, 0] },
  { fault: 'a time that is text', metadata: ['p', 1, 0, 'm', 1, 'now', 1, 0] },
  { fault: 'more floats than its body', metadata: ['p', 1, 0, 'm', 1, 5, 1, 1] },
  { fault: 'counts that are none', metadata: ['p', 1, 0, 'm', 1, 5, 1.5, -0.5] },
])('dense put block: $fault is refused', ({ metadata }) => {
  const message = sealEnvelope('MDP1', metadata, [Float32Array.of(1)]);
  expectCode('MILL_BLOCK_INVALID', () => decodeDensePutBlock(message));
});

test('put block: one over the message limit is not built', () => {
  const count = messageBytesMax / 12;
  const section = { table: 0, dim: 1, stateFloats: 0, count, state: new Float32Array() };
  const arrays = { keys: new Uint32Array(2 * count), weights: new Float32Array(count) };
  expectCode('MILL_BLOCK_INVALID', () =>
    encodePutBlock({ ...examplePutBlock, sections: [{ ...section, ...arrays }] }),
  );
});
