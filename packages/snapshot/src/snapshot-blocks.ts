/**
 * What follows the header of a snapshot. Each block is an envelope (protocol/envelope.ts) that names the snapshot it is of,
 * by the header's checksum, and its place in it, from 1:
 *
 *   MSR1  rows of a table     [header checksum, place, table, rows]
 *         keys uint32[rows, 2] · weights float32[rows, dim] · state float32[rows, state floats]
 *   MSD1  keys that went      [header checksum, place, table, keys]     before the rows of their table, in a delta alone
 *         uint32[keys, 2]
 *   MSA1  admission's memory  [header checksum, place, table, at, words]
 *         uint32[words], which belong to words[at …] of the table's
 *   MSF1  floats of a dense   [header checksum, place, array, at, floats]     array 0: weights, 1: optimizer state
 *         float32[floats], which belong to array[at …]
 *   MSE1  end                 [header checksum, place]
 *         uint32[place]: checksums of all blocks before, the header's first
 *
 * The end seals the rest: a block that is missing, repeated, in another place or of another snapshot is found out even where
 * its own checksum is right.
 */
import { floatsAt, sealEnvelope, wordsAt } from '@millrace/protocol';
import { invalid, isCount, openBlock } from './snapshot-header.ts';

/**
 * Bytes of a body: large enough that headers and checksums cost nothing, small enough that whoever encodes or reads one
 * holds the processor for well below a millisecond where rows lie together, and for about two where each is a cache miss.
 */
export const bodyBytesWanted = 256 * 1024;

const rowsMagic = 'MSR1';
const goneMagic = 'MSD1';
const admissionMagic = 'MSA1';
const floatsMagic = 'MSF1';
const endMagic = 'MSE1';

/** Whose block it is, and which. */
export interface BlockPlace {
  /** Checksum of the header's block. */
  readonly of: number;
  readonly place: number;
}

export interface RowsBlock {
  readonly kind: 'rows';
  readonly table: number;
  readonly count: number;
  /** uint32[count, 2] */
  readonly keys: Uint32Array;
  /** float32[count, dim] */
  readonly weights: Float32Array;
  /** float32[count, stateFloats] */
  readonly state: Float32Array;
}

export interface FloatsBlock {
  readonly kind: 'floats';
  readonly array: 'weights' | 'state';
  /** Place of the first float in the array. */
  readonly at: number;
  readonly floats: Float32Array;
}

export interface GoneBlock {
  readonly kind: 'gone';
  readonly table: number;
  /** uint32[keys, 2] */
  readonly keys: Uint32Array;
}

export interface AdmissionBlock {
  readonly kind: 'admission';
  readonly table: number;
  /** Place of the first word. */
  readonly at: number;
  readonly words: Uint32Array;
}

export interface EndBlock {
  readonly kind: 'end';
  /** uint32[place] */
  readonly checksums: Uint32Array;
}

/** What stands between the header and the end. */
export type ContentBlock = RowsBlock | GoneBlock | AdmissionBlock | FloatsBlock;
export type SnapshotBlock = ContentBlock | EndBlock;

/** The checksum that a sealed envelope carries. */
export function checksumOf(block: Uint8Array): number {
  return new DataView(block.buffer, block.byteOffset).getUint32(4, true);
}

export function encodeRows({ of, place }: BlockPlace, rows: Omit<RowsBlock, 'kind'>): Uint8Array {
  const { table, count, keys, weights, state } = rows;
  return sealEnvelope(rowsMagic, [of, place, table, count], [keys, weights, state]);
}

export function encodeGone({ of, place }: BlockPlace, { table, keys }: Omit<GoneBlock, 'kind'>): Uint8Array {
  return sealEnvelope(goneMagic, [of, place, table, keys.length / 2], [keys]);
}

export function encodeAdmission(
  { of, place }: BlockPlace,
  { table, at, words }: Omit<AdmissionBlock, 'kind'>,
): Uint8Array {
  return sealEnvelope(admissionMagic, [of, place, table, at, words.length], [words]);
}

export function encodeFloats({ of, place }: BlockPlace, block: Omit<FloatsBlock, 'kind'>): Uint8Array {
  const { array, at, floats } = block;
  const metadata = [of, place, array === 'weights' ? 0 : 1, at, floats.length];
  return sealEnvelope(floatsMagic, metadata, [floats]);
}

/** @param checksums of all blocks before, `place` of them. */
export function encodeEnd({ of, place }: BlockPlace, checksums: readonly number[]): Uint8Array {
  return sealEnvelope(endMagic, [of, place], [Uint32Array.from(checksums)]);
}

/**
 * Opens the block that must stand at `place`; its arrays are views of `block` where that is aligned.
 * @param forms floats a row of each table: [dim, state floats].
 * @throws MILL_SNAPSHOT_INVALID
 */
export function decodeBlock(
  block: Uint8Array,
  { of, place }: BlockPlace,
  forms: readonly (readonly [dim: number, stateFloats: number])[],
): SnapshotBlock {
  const magic = Buffer.from(block.buffer, block.byteOffset, block.length).toString('latin1', 0, 4);
  if (![rowsMagic, goneMagic, admissionMagic, floatsMagic, endMagic].includes(magic))
    throw invalid('a block of known kind');
  const { metadata, body } = openBlock(magic, block);
  const numbers = metadata as readonly number[];
  if (!Array.isArray(metadata) || !metadata.every(isCount)) throw invalid('counts before each body');
  if (numbers[0] !== of) throw invalid('blocks of one snapshot, found one of another');
  if (numbers[1] !== place) throw invalid(`block ${place}, found block ${numbers[1]}`);
  if (magic === rowsMagic) return rowsFrom(numbers, body, forms);
  if (magic === goneMagic) return goneFrom(numbers, body, forms.length);
  if (magic === admissionMagic) return admissionFrom(numbers, body, forms.length);
  if (magic === floatsMagic) return floatsFrom(numbers, body);
  if (body.length !== 4 * place) throw invalid(`${place} checksums at the end`);
  return { kind: 'end', checksums: wordsAt(body, 0, place) };
}

function rowsFrom(
  [, , table, count]: readonly number[],
  body: Uint8Array,
  forms: readonly (readonly [dim: number, stateFloats: number])[],
): RowsBlock {
  const form = forms[table];
  if (form === undefined || count === undefined) throw invalid('rows of a table that the header names');
  const [dim, stateFloats] = form;
  if (body.length !== count * 4 * (2 + dim + stateFloats)) throw invalid(`${count} rows of that table`);
  return {
    kind: 'rows',
    table,
    count,
    keys: wordsAt(body, 0, 2 * count),
    weights: floatsAt(body, 8 * count, dim * count),
    state: floatsAt(body, 4 * count * (2 + dim), stateFloats * count),
  };
}

function goneFrom([, , table, count]: readonly number[], body: Uint8Array, tables: number): GoneBlock {
  if (!(table < tables) || body.length !== 8 * count) throw invalid('keys that went of a table');
  return { kind: 'gone', table, keys: wordsAt(body, 0, 2 * count) };
}

function admissionFrom(
  [, , table, at, count]: readonly number[],
  body: Uint8Array,
  tables: number,
): AdmissionBlock {
  if (!(table < tables) || body.length !== 4 * count) throw invalid('words of the admission of a table');
  return { kind: 'admission', table, at, words: wordsAt(body, 0, count) };
}

function floatsFrom([, , array, at, count]: readonly number[], body: Uint8Array): FloatsBlock {
  if (array === undefined || array > 1 || at === undefined || body.length !== 4 * count)
    throw invalid('floats of weights or of optimizer state');
  return { kind: 'floats', array: array === 0 ? 'weights' : 'state', at, floats: floatsAt(body, 0, count) };
}
