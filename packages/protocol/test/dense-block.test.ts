import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDenseBlock, encodeDenseBlock } from '../src/dense-block.ts';
import { sealEnvelope } from '../src/envelope.ts';
import { decodeGradientBlock } from '../src/gradient-block.ts';
import { denseParametersMax, messageBytesMax } from '../src/limits.ts';
import { anyDenseBlock, bitsOf, exampleDenseBlock } from './blocks.ts';
import { allMasks, eachFlip, eachTruncation, expectCode, expectNothingBut } from './damage.ts';
import { golden, misaligned, toHex } from './golden.ts';

test('dense block: encodes to the golden bytes', () => {
  expect(toHex(encodeDenseBlock(exampleDenseBlock))).toBe(toHex(golden('dense-block')));
});

test('dense block: reads the golden bytes at any address', () => {
  const message = golden('dense-block');
  for (const bytes of [message, misaligned(message, 1), misaligned(message, 2), misaligned(message, 3)]) {
    expect(decodeDenseBlock(bytes)).toEqual(exampleDenseBlock);
  }
});

test('dense block: is not taken for a gradient block', () => {
  expectCode('MILL_BLOCK_INVALID', () => decodeGradientBlock(golden('dense-block')));
  expectCode('MILL_BLOCK_INVALID', () => decodeDenseBlock(golden('gradient-block')));
});

test('dense block: decoding gives back what was encoded, bit for bit (property)', () => {
  fc.assert(
    fc.property(anyDenseBlock, (block) => {
      expect(bitsOf(decodeDenseBlock(encodeDenseBlock(block)))).toEqual(bitsOf(block));
    }),
  );
});

test('dense block: every other value of every byte is noticed', () => {
  eachFlip(golden('dense-block'), allMasks, (damaged) => {
    expectCode('MILL_BLOCK_INVALID', () => decodeDenseBlock(damaged));
  });
});

test('dense block: every truncation and extension is noticed', () => {
  eachTruncation(golden('dense-block'), (damaged) => {
    expectCode('MILL_BLOCK_INVALID', () => decodeDenseBlock(damaged));
  });
});

test('dense block: random bytes, and sound envelopes around any metadata, give nothing but its code (property)', () => {
  const anyPart = fc.oneof(fc.string(), fc.integer(), fc.nat(4), fc.double(), fc.jsonValue());
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(anyPart, { maxLength: 8 }),
      fc.uint32Array({ maxLength: 4 }),
      (bytes, metadata, body) => {
        expectCode('MILL_BLOCK_INVALID', () => decodeDenseBlock(bytes));
        const message = sealEnvelope('MDB1', metadata, [body]);
        expectNothingBut(['MILL_BLOCK_INVALID'], () => decodeDenseBlock(message));
      },
    ),
  );
});

test.each([
  { fault: 'metadata of six parts', metadata: ['p', 1, 0, 'm', 1, 5] },
  { fault: 'a model without a name', metadata: ['p', 1, 0, null, 1, 5, 2] },
  { fault: 'a sequence below zero', metadata: ['p', -1, 0, 'm', 1, 5, 2] },
  { fault: 'a time that is text', metadata: ['p', 1, 0, 'm', 1, '5', 2] },
  { fault: 'more parameters than its body', metadata: ['p', 1, 0, 'm', 1, 5, 3] },
  { fault: 'fewer parameters than its body', metadata: ['p', 1, 0, 'm', 1, 5, 1] },
])('dense block: $fault is refused', ({ metadata }) => {
  expectCode('MILL_BLOCK_INVALID', () =>
    decodeDenseBlock(sealEnvelope('MDB1', metadata, [new Float32Array(2)])),
  );
});

test('dense block: the largest net fits a message, a larger one is not built', () => {
  const largest = { ...exampleDenseBlock, gradients: new Float32Array(denseParametersMax) };
  expect(decodeDenseBlock(encodeDenseBlock(largest)).gradients.length).toBe(denseParametersMax);
  const larger = { ...exampleDenseBlock, gradients: new Float32Array(messageBytesMax / 4) };
  expectCode('MILL_BLOCK_INVALID', () => encodeDenseBlock(larger));
});
