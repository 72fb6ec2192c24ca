/**
 * A dense gradient block: what one producer's batch changes in the dense weights. Envelope "MDB1" (envelope.ts) with
 *
 *   metadata  [producer, sequence, previous, model, fingerprint, timeMs, parameters]
 *   body      gradients float32[parameters], summed over the batch; laid out as the net's parameters
 */
import { floatsAt } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { MillraceError } from './errors.ts';
import type { ProducerMark } from './gradient-block.ts';

const magic = 'MDB1';

export interface DenseBlock extends ProducerMark {
  readonly model: string;
  readonly fingerprint: number;
  /** When the batch was made, Unix ms of the producer; never for the fold. */
  readonly timeMs: number;
  /** float32[parameters] */
  readonly gradients: Float32Array;
}

/** Bytes of a block. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodeDenseBlock(block: DenseBlock): Uint8Array {
  const { producer, sequence, previous, model, fingerprint, timeMs, gradients } = block;
  return sealEnvelope(
    magic,
    [producer, sequence, previous, model, fingerprint, timeMs, gradients.length],
    [gradients],
  );
}

/** Reads a block; its array is a view of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodeDenseBlock(message: Uint8Array): DenseBlock {
  const { metadata, body } = openEnvelope(magic, message);
  if (!Array.isArray(metadata) || metadata.length < 7) throw invalid('metadata of 7 parts');
  const [producer, sequence, previous, model, fingerprint, timeMs, parameters] = metadata as unknown[];
  if (typeof producer !== 'string' || typeof model !== 'string') throw invalid('names of producer and model');
  for (const value of [sequence, previous, fingerprint, parameters]) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid('whole numbers in the metadata');
  }
  if (typeof timeMs !== 'number') throw invalid('a time');
  if (body.length !== 4 * (parameters as number)) throw invalid(`${parameters} floats`);
  return {
    producer,
    sequence: sequence as number,
    previous: previous as number,
    model,
    fingerprint: fingerprint as number,
    timeMs,
    gradients: floatsAt(body, 0, parameters as number),
  };
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a dense block: wanted ${wanted}`);
}
