/**
 * Golden messages: golden/<name>.hex holds one message in hexadecimal, laid out by hand from the comments above the codecs;
 * the text behind # says what each part is. They are never edited once released: a change of a layout adds a new one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of golden/<name>.hex. */
export function golden(name: string): Uint8Array {
  const text = readFileSync(join(import.meta.dirname, 'golden', `${name}.hex`), 'utf8');
  return fromHex(text.replaceAll(/#.*$/gm, ''));
}

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The same bytes at an address that is 1, 2 or 3 beyond a multiple of 4, as a client library may hand them over. */
export function misaligned(bytes: Uint8Array, by: 1 | 2 | 3): Uint8Array {
  const moved = new Uint8Array(bytes.length + by).subarray(by);
  moved.set(bytes);
  return moved;
}
