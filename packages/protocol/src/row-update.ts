/**
 * What a shard tells of rows that its log changed, for those who keep copies: notice mill.rows.<model>. Envelope "MRU1"
 * (envelope.ts) with
 *
 *   metadata  [model, fingerprint, numbers]
 *   numbers   for each partition      partition, previous, sequence, 1: any row may have changed (else 0), sections
 *             for each of its sections     table, dim, rows, forgotten
 *   body      for each section in that order
 *               keys     uint32[rows + forgotten, 2]   low word, high word
 *               weights  float32[rows, dim]            of the first `rows` keys, as they are at `sequence`
 *
 * A partition's part covers every change in (previous, sequence]: whoever stood anywhere between the two and takes it stands
 * at `sequence`. One that stands before `previous` has missed something. Keys that are forgotten changed too, and their
 * weights were too many to tell. A row that went has its first values, like any key without one.
 */
import { floatsAt, wordsAt } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { MillraceError } from './errors.ts';
import type { Sequence } from './ids.ts';
import { partitionsMax, rowFloatsMax, tablesMax } from './limits.ts';

const magic = 'MRU1';
const numbersOfPartition = 5;
const numbersOfSection = 4;

export interface RowUpdate {
  readonly model: string;
  readonly fingerprint: number;
  readonly partitions: readonly PartitionUpdate[];
}

export interface PartitionUpdate {
  readonly partition: number;
  readonly previous: Sequence;
  readonly sequence: Sequence;
  /** Any row may have changed; there are no sections then. */
  readonly whole: boolean;
  readonly sections: readonly RowUpdateSection[];
}

export interface RowUpdateSection {
  /** Place in the model file. */
  readonly table: number;
  readonly dim: number;
  /** Keys with weights, and behind them keys without. */
  readonly rows: number;
  readonly forgotten: number;
  /** uint32[2 · (rows + forgotten)] */
  readonly keys: Uint32Array;
  /** float32[rows · dim] */
  readonly weights: Float32Array;
}

/** Bytes of a notice. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodeRowUpdate({ model, fingerprint, partitions }: RowUpdate): Uint8Array {
  const numbers: number[] = [];
  const body: ArrayBufferView[] = [];
  for (const { partition, previous, sequence, whole, sections } of partitions) {
    numbers.push(partition, previous, sequence, whole ? 1 : 0, sections.length);
    for (const { table, dim, rows, forgotten, keys, weights } of sections) {
      numbers.push(table, dim, rows, forgotten);
      body.push(keys.subarray(0, 2 * (rows + forgotten)), weights.subarray(0, rows * dim));
    }
  }
  return sealEnvelope(magic, [model, fingerprint, numbers], body);
}

/** Reads a notice; its arrays are views of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodeRowUpdate(message: Uint8Array): RowUpdate {
  const { metadata, body } = openEnvelope(magic, message);
  if (!Array.isArray(metadata) || metadata.length < 3) throw invalid('metadata of 3 parts');
  const [model, fingerprint, numbers] = metadata as unknown[];
  if (typeof model !== 'string' || !isCount(fingerprint)) throw invalid('a name and a fingerprint');
  if (!Array.isArray(numbers) || !numbers.every(isCount)) throw invalid('whole numbers in the metadata');
  const partitions: PartitionUpdate[] = [];
  const place = { number: 0, byte: 0 };
  while (place.number < numbers.length) partitions.push(partitionFrom(numbers as number[], body, place));
  if (place.byte !== body.length) throw invalid(`${place.byte} bytes of keys and weights`);
  return { model, fingerprint, partitions };
}

interface ReadPlace {
  number: number;
  byte: number;
}

function partitionFrom(numbers: readonly number[], body: Uint8Array, place: ReadPlace): PartitionUpdate {
  if (place.number + numbersOfPartition > numbers.length) throw invalid('five numbers a partition');
  const [partition, previous, sequence, whole, count] = numbers.slice(place.number);
  if (partition >= partitionsMax || previous > sequence || whole > 1 || count > tablesMax)
    throw invalid('a partition whose sequences ascend');
  place.number += numbersOfPartition;
  const sections: RowUpdateSection[] = [];
  for (let s = 0; s < count; s += 1) {
    if (place.number + numbersOfSection > numbers.length) throw invalid('four numbers a section');
    sections.push(sectionFrom(numbers, body, place));
  }
  return { partition, previous, sequence, whole: whole === 1, sections };
}

function sectionFrom(numbers: readonly number[], body: Uint8Array, place: ReadPlace): RowUpdateSection {
  const [table, dim, rows, forgotten] = numbers.slice(place.number, place.number + numbersOfSection);
  if (table >= tablesMax || dim === 0 || dim > rowFloatsMax) throw invalid('a table of rows');
  const keyWords = 2 * (rows + forgotten);
  if (4 * (keyWords + rows * dim) > body.length - place.byte)
    throw invalid(`${rows} rows of ${dim} floats and ${forgotten} keys`);
  const keys = wordsAt(body, place.byte, keyWords);
  const weights = floatsAt(body, place.byte + 4 * keyWords, rows * dim);
  place.number += numbersOfSection;
  place.byte += 4 * (keyWords + rows * dim);
  return { table, dim, rows, forgotten, keys, weights };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a notice of rows: wanted ${wanted}`);
}
