/**
 * A dense put block: dense weights that somebody has, put whole, in the log and the chains of dense gradient blocks.
 * Envelope "MDP1" (envelope.ts) with
 *
 *   metadata  [producer, sequence, previous, model, fingerprint, timeMs, parameters, stateFloats]
 *   body      weights float32[parameters], laid out as the net's parameters
 *             state   float32[stateFloats] of the optimizer; stateFloats 0: none, it starts afresh
 */
import { floatsAt } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { MillraceError } from './errors.ts';
import type { ProducerMark } from './gradient-block.ts';
import { isCount } from './record-checks.ts';

export const densePutMagic = 'MDP1';

export interface DensePutBlock extends ProducerMark {
  readonly model: string;
  readonly fingerprint: number;
  /** When the block was made, Unix ms of the producer; never for the fold. */
  readonly timeMs: number;
  /** float32[parameters] */
  readonly weights: Float32Array;
  /** float32[state floats], empty: none is here. */
  readonly state: Float32Array;
}

/** Bytes of a block. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodeDensePutBlock(block: DensePutBlock): Uint8Array {
  const { producer, sequence, previous, model, fingerprint, timeMs, weights, state } = block;
  const mark = [producer, sequence, previous, model, fingerprint, timeMs];
  return sealEnvelope(densePutMagic, [...mark, weights.length, state.length], [weights, state]);
}

/** Reads a block; its arrays are views of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodeDensePutBlock(message: Uint8Array): DensePutBlock {
  const { metadata, body } = openEnvelope(densePutMagic, message);
  if (!Array.isArray(metadata) || metadata.length < 8) throw invalid('metadata of 8 parts');
  const [producer, sequence, previous, model, fingerprint, timeMs, parameters, stateFloats] =
    metadata as unknown[];
  if (typeof producer !== 'string' || typeof model !== 'string') throw invalid('names of producer and model');
  if (!isCount(sequence) || !isCount(previous) || !isCount(fingerprint))
    throw invalid('whole numbers in the metadata');
  if (typeof timeMs !== 'number') throw invalid('a time');
  if (!isCount(parameters) || !isCount(stateFloats) || body.length !== 4 * (parameters + stateFloats))
    throw invalid('as many floats as it says');
  const weights = floatsAt(body, 0, parameters);
  const state = floatsAt(body, 4 * parameters, stateFloats);
  return { producer, sequence, previous, model, fingerprint, timeMs, weights, state };
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a dense put block: wanted ${wanted}`);
}
