/**
 * A put block: rows that somebody has, put whole into one partition, in the same log and the same chains as gradient blocks.
 * Envelope "MPB1" (envelope.ts) with
 *
 *   metadata  [producer, sequence, previous, model, fingerprint, partition, timeMs, [[table, dim, stateFloats, count], …]]
 *   body      for each section in turn:
 *               keys     uint32[count, 2]            low word, high word; keys differ
 *               weights  float32[count, dim]
 *               state    float32[count, stateFloats] of the optimizers; stateFloats 0: none, rows start afresh
 *
 * A row that is there is overwritten, one that is not is made, whatever its table asks before it admits a key.
 */
import { floatsAt, wordsAt } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { MillraceError } from './errors.ts';
import type { ProducerMark } from './gradient-block.ts';
import { optimizerFloatsMax, rowFloatsMax, tablesMax } from './limits.ts';
import { isCount } from './record-checks.ts';

export const putMagic = 'MPB1';

export interface PutSection {
  /** Place of the table in the model file. */
  readonly table: number;
  /** Weights of one row. */
  readonly dim: number;
  /** Optimizer floats of one row; 0: none are here. */
  readonly stateFloats: number;
  readonly count: number;
  /** uint32[count, 2] */
  readonly keys: Uint32Array;
  /** float32[count, dim] */
  readonly weights: Float32Array;
  /** float32[count, stateFloats] */
  readonly state: Float32Array;
}

export interface PutBlock extends ProducerMark {
  readonly model: string;
  readonly fingerprint: number;
  readonly partition: number;
  /** When the block was made, Unix ms of the producer. For people and metrics, never for the fold. */
  readonly timeMs: number;
  readonly sections: readonly PutSection[];
}

/** Bytes of a block. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodePutBlock(block: PutBlock): Uint8Array {
  const layout: number[][] = [];
  const body: ArrayBufferView[] = [];
  for (const { table, dim, stateFloats, count, keys, weights, state } of block.sections) {
    layout.push([table, dim, stateFloats, count]);
    body.push(
      keys.subarray(0, 2 * count),
      weights.subarray(0, dim * count),
      state.subarray(0, stateFloats * count),
    );
  }
  const { producer, sequence, previous, model, fingerprint, partition, timeMs } = block;
  const metadata = [producer, sequence, previous, model, fingerprint, partition, timeMs, layout];
  return sealEnvelope(putMagic, metadata, body);
}

/** Reads a block; its arrays are views of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodePutBlock(message: Uint8Array): PutBlock {
  const { metadata, body } = openEnvelope(putMagic, message);
  if (!Array.isArray(metadata) || metadata.length < 8) throw invalid('metadata of 8 parts');
  const [producer, sequence, previous, model, fingerprint, partition, timeMs, layout] = metadata as unknown[];
  if (typeof producer !== 'string' || typeof model !== 'string') throw invalid('names of producer and model');
  if (!isCount(sequence) || !isCount(previous) || !isCount(fingerprint) || !isCount(partition))
    throw invalid('whole numbers in the metadata');
  if (typeof timeMs !== 'number') throw invalid('a time');
  if (!Array.isArray(layout) || layout.length > tablesMax) throw invalid(`at most ${tablesMax} sections`);
  const sections: PutSection[] = [];
  let offset = 0;
  for (const entry of layout as unknown[]) {
    const section = sectionAt(body, offset, entry);
    sections.push(section);
    offset += 4 * section.count * (2 + section.dim + section.stateFloats);
  }
  if (offset !== body.length) throw invalid('a body as long as its sections say');
  return { producer, sequence, previous, model, fingerprint, partition, timeMs, sections };
}

function sectionAt(body: Uint8Array, offset: number, entry: unknown): PutSection {
  const [table, dim, stateFloats, count] = Array.isArray(entry) ? (entry as unknown[]) : [];
  if (!isCount(table) || !isCount(dim) || !isCount(stateFloats) || !isCount(count))
    throw invalid('numbers in each section');
  if (dim < 1 || dim > rowFloatsMax || stateFloats > optimizerFloatsMax)
    throw invalid('a section of known form');
  const weightsAt = offset + 8 * count;
  const stateAt = weightsAt + 4 * dim * count;
  if (stateAt + 4 * stateFloats * count > body.length) throw invalid('a body as long as its sections say');
  return {
    table,
    dim,
    stateFloats,
    count,
    keys: wordsAt(body, offset, 2 * count),
    weights: floatsAt(body, weightsAt, dim * count),
    state: floatsAt(body, stateAt, stateFloats * count),
  };
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a put block: wanted ${wanted}`);
}
