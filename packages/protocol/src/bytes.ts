/**
 * Raw numbers on the wire are little-endian and are read in place as typed arrays. That is right on every machine that
 * Node.js runs on but s390x; there the process stops at start rather than swap bytes silently.
 */
import { invariant } from './errors.ts';

invariant(
  new Uint8Array(new Uint32Array([1]).buffer)[0] === 1,
  'this machine is big-endian, which is not supported',
);

const two32 = 4_294_967_296;

/** A copy of `bytes` at an aligned address when it is not at one already, so that typed views can lie over it. */
export function alignedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
}

/** float32 view of `count` numbers from byte `offset` of 4-byte aligned `bytes`. */
export function floatsAt(bytes: Uint8Array, offset: number, count: number): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset + offset, count);
}

/** uint32 view of `count` numbers from byte `offset` of 4-byte aligned `bytes`. */
export function wordsAt(bytes: Uint8Array, offset: number, count: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count);
}

/** The bytes of a typed array, not copied. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Low word of a sequence (an integer below 2^53), for two uint32 on the wire. */
export function lowWordOf(sequence: number): number {
  return sequence >>> 0;
}

/** High word of a sequence. */
export function highWordOf(sequence: number): number {
  return Math.floor(sequence / two32);
}

/** A sequence from its two words. */
export function sequenceFrom(low: number, high: number): number {
  return high * two32 + low;
}
