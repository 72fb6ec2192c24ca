/**
 * At which sequences the rows of a score were read, as an impression carries it, so that the score can be computed again.
 * Every logged score has one, so it is small: unsigned numbers of 7 bits a byte, low ones first, the top bit set on all but
 * the last (LEB128).
 *
 *   base                 the highest sequence
 *   for each read, ascending by place:
 *     step               its place, table · 4,096 + partition, less the place of the read before (0 before the first)
 *     below              base − its sequence
 *
 * Partitions that are learned together stand at sequences close to each other, so a read mostly takes 2 or 3 bytes. A
 * partition of one table that stands there twice was read in parts, at both sequences. One that the score needed and that
 * does not stand there gave no answer: first values stood in for its rows.
 */
import { MillraceError } from './errors.ts';
import { partitionsMax } from './limits.ts';

export interface LoggedRead {
  /** Place of the table in the model file. */
  readonly table: number;
  readonly partition: number;
  readonly sequence: number;
}

/** Bytes of the largest whole number that is written, 2^53 − 1. */
const numberBytesMax = 8;

/** Number of a table's partition; ascends by table, then by partition. */
export function readPlaceOf(table: number, partition: number): number {
  return table * partitionsMax + partition;
}

/** Bytes of reads in any order; the same read twice is written twice. */
export function encodeReadLog(reads: readonly LoggedRead[]): Uint8Array {
  const placed = reads.map(({ table, partition, sequence }) => ({
    place: readPlaceOf(table, partition),
    sequence,
  }));
  placed.sort((a, b) => a.place - b.place || a.sequence - b.sequence);
  const places = Uint32Array.from(placed, ({ place }) => place);
  const sequences = Float64Array.from(placed, ({ sequence }) => sequence);
  return encodePlacedReads(places, sequences, placed.length);
}

/**
 * As encodeReadLog, for a writer of many.
 * @param places     uint32[count], from readPlaceOf, ascending.
 * @param sequences  float64[count], by place in `places`.
 */
export function encodePlacedReads(places: Uint32Array, sequences: Float64Array, count: number): Uint8Array {
  if (count * 2 * numberBytesMax + numberBytesMax > scratch.length) {
    scratch = new Uint8Array((count + 1) * 4 * numberBytesMax);
  }
  let base = 0;
  for (let i = 0; i < count; i += 1) base = Math.max(base, sequences[i]);
  let at = writeNumber(0, base);
  let before = 0;
  for (let i = 0; i < count; i += 1) {
    at = writeNumber(at, places[i] - before);
    at = writeNumber(at, base - sequences[i]);
    before = places[i];
  }
  return scratch.slice(0, at);
}

/** Reads what encodeReadLog wrote. Throws MILL_EVENT_INVALID. */
export function decodeReadLog(bytes: Uint8Array): readonly LoggedRead[] {
  const numbers: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (value > Number.MAX_SAFE_INTEGER) throw invalid('whole numbers below 2^53', 'a larger one');
    if (byte >= 0x80) continue;
    numbers.push(value);
    value = 0;
    scale = 1;
  }
  if (scale !== 1 || numbers.length % 2 !== 1)
    throw invalid('a base and two numbers a read', `${bytes.length} bytes that end amid one`);
  const base = numbers[0];
  const reads: LoggedRead[] = [];
  let place = 0;
  for (let i = 1; i < numbers.length; i += 2) {
    place += numbers[i];
    const sequence = base - numbers[i + 1];
    if (sequence < 0) throw invalid('sequences', String(sequence));
    reads.push({ table: Math.floor(place / partitionsMax), partition: place % partitionsMax, sequence });
  }
  return reads;
}

/** Kept between calls; what is returned is a copy of its beginning. */
let scratch = new Uint8Array(1_024);

/** Writes to `scratch` at `at`; returns where the next number goes. */
function writeNumber(at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest >= 0x80) {
    scratch[to] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
    to += 1;
  }
  scratch[to] = rest;
  return to + 1;
}

function invalid(wanted: string, found: string): MillraceError {
  return new MillraceError(
    'MILL_EVENT_INVALID',
    `cannot read an impression's reads: wanted ${wanted}, found ${found}`,
  );
}
