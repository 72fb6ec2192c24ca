/**
 * At which sequences the rows of a score were read, as an impression carries it, so that the score can be computed again.
 *
 *   offset  size
 *   0       8     base: highest sequence, uint32 low and high word
 *   8       8·n   for each read: uint32 table << 16 | partition, uint32 base − sequence
 *
 * All integers are little-endian. A partition of one table that stands there twice was read in parts, at both sequences.
 */
import { highWordOf, lowWordOf, sequenceFrom } from './bytes.ts';
import { MillraceError } from './errors.ts';

export interface LoggedRead {
  /** Place of the table in the model file. */
  readonly table: number;
  readonly partition: number;
  readonly sequence: number;
}

const headBytes = 8;
const readBytes = 8;

/** Sequences more than 2^32 − 1 below the highest are written as that far below it; such a score cannot be computed again. */
export function encodeReadLog(reads: readonly LoggedRead[]): Uint8Array {
  const base = reads.reduce((highest, { sequence }) => Math.max(highest, sequence), 0);
  const bytes = new Uint8Array(headBytes + readBytes * reads.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, lowWordOf(base), true);
  view.setUint32(4, highWordOf(base), true);
  for (const [i, { table, partition, sequence }] of reads.entries()) {
    view.setUint32(headBytes + readBytes * i, ((table << 16) | partition) >>> 0, true);
    view.setUint32(headBytes + readBytes * i + 4, Math.min(0xffff_ffff, base - sequence), true);
  }
  return bytes;
}

/** Reads what encodeReadLog wrote. Throws MILL_EVENT_INVALID. */
export function decodeReadLog(bytes: Uint8Array): readonly LoggedRead[] {
  if (bytes.length < headBytes || (bytes.length - headBytes) % readBytes !== 0) {
    throw new MillraceError(
      'MILL_EVENT_INVALID',
      `cannot read an impression's reads: wanted ${headBytes} bytes and ${readBytes} a read, found ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const base = sequenceFrom(view.getUint32(0, true), view.getUint32(4, true));
  return Array.from({ length: (bytes.length - headBytes) / readBytes }, (_, i) => {
    const place = view.getUint32(headBytes + readBytes * i, true);
    const below = view.getUint32(headBytes + readBytes * i + 4, true);
    return { table: place >>> 16, partition: place & 0xffff, sequence: base - below };
  });
}
