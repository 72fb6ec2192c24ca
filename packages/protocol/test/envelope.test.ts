import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { openEnvelope, sealEnvelope } from '../src/envelope.ts';
import { messageBytesMax } from '../src/limits.ts';
import { expectCode } from './damage.ts';
import { fromHex, misaligned, toHex } from './golden.ts';

/** A message whose checksum is right, whatever its bytes from 8 on say. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

test('envelope: lays out magic, checksum, lengths, metadata, padding, body', () => {
  const sealed = sealEnvelope('TEST', 5, [Uint32Array.of(1), Uint8Array.of(2, 3)]);
  // Length 26 = 16 + 1 of metadata + 3 of padding + 6 of body.
  expect(toHex(sealed.subarray(0, 4))).toBe(toHex(new TextEncoder().encode('TEST')));
  expect(toHex(sealed.subarray(8))).toBe('1a000000' + '01000000' + '05000000' + '01000000' + '0203');
});

test('envelope: the body is a view of an aligned message and a copy of another', () => {
  const message = sealEnvelope('TEST', 'xyz', [Uint32Array.of(7)]);
  expect(openEnvelope('TEST', message).body.buffer).toBe(message.buffer);
  const { body, metadata } = openEnvelope('TEST', misaligned(message, 3));
  expect([metadata, [...body], body.byteOffset % 4]).toEqual(['xyz', [7, 0, 0, 0], 0]);
});

test.each([
  { fault: 'another magic', bytes: '54455354 00000000 10000000 00000000', magic: 'TEXT' },
  { fault: 'a metadata length beyond the message', bytes: '54455354 00000000 14000000 05000000 c0000000' },
  // Rounded up and taken to 32 bits this length is 0, and the four bytes after the header are one whole value.
  { fault: 'a metadata length near 2^32', bytes: '54455354 00000000 14000000 fdffffff a3616263' },
  { fault: 'metadata that is no MessagePack', bytes: '54455354 00000000 14000000 01000000 c1000000' },
  { fault: 'no metadata at all', bytes: '54455354 00000000 10000000 00000000' },
  { fault: 'metadata of two values', bytes: '54455354 00000000 14000000 02000000 01020000' },
])('envelope: $fault is refused though the checksum is right', ({ bytes, magic = 'TEST' }) => {
  expectCode('MILL_BLOCK_INVALID', () => openEnvelope(magic, withChecksum(fromHex(bytes))));
});

test('envelope: a message of just the limit is sealed, a longer one is not', () => {
  const room = messageBytesMax - 20;
  const sealed = sealEnvelope('TEST', null, [new Uint8Array(room)]);
  expect(openEnvelope('TEST', sealed).body.length).toBe(room);
  expectCode('MILL_BLOCK_INVALID', () => sealEnvelope('TEST', null, [new Uint8Array(room + 1)]));
});
