/**
 * The dense weights are one more fold: gradients in log order, one optimizer step each. Inference nodes and updaters fold
 * the same log and so hold the same weights at the same sequence; that sequence is the dense version (I5).
 *
 *   weights, gradients  [ the net's parameters | count, mean, M2 of each field with running moments ]
 */
import { createHash } from 'node:crypto';
import {
  bytesOf,
  type DenseBlock,
  type DensePutBlock,
  decodeAnyDenseBlock,
  isMillraceError,
  MillraceError,
  type OptimizerSpec,
} from '@millrace/protocol';
import { areFinite } from '../finite.ts';
import { createOptimizer } from '../optimizer/create-optimizer.ts';
import { createMoments, momentFloats } from '../optimizer/moments.ts';
import type { Optimizer, SegmentView } from '../optimizer/optimizer.ts';
import { type Producers, placeInChain } from './producers.ts';

/** A run of the weights and what steps it. */
export interface DenseSegment {
  readonly weightsAt: number;
  readonly dim: number;
  readonly stateAt: number;
  readonly optimizer: Optimizer;
}

export interface DenseState {
  readonly model: string;
  readonly fingerprint: number;
  /** float32[parameters + 3 · moments]; changed in place by applyDense. */
  readonly weights: Float32Array;
  /** float32[optimizer state] */
  readonly optimizerState: Float32Array;
  readonly segments: readonly DenseSegment[];
  sequence: number;
  readonly producers: Producers;
  readonly counts: { applied: number; duplicates: number; rejected: number };
}

export type DenseOutcome =
  | { readonly kind: 'applied' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'gap' }
  | { readonly kind: 'rejected'; readonly error: MillraceError };

/**
 * @param options.initial float32[parameters], taken over.
 * @param options.moments fields with running moments; default 0.
 */
export function createDenseState(options: {
  model: string;
  fingerprint: number;
  initial: Float32Array;
  optimizer: OptimizerSpec;
  moments?: number;
}): DenseState {
  const { initial, moments = 0 } = options;
  const optimizer = createOptimizer(options.optimizer);
  const dim = initial.length;
  const optimizerState = new Float32Array(optimizer.stateFloats(dim));
  if (dim > 0) optimizer.start({ w: initial, wAt: 0, s: optimizerState, sAt: 0, dim });
  const momentsDim = moments * momentFloats;
  const segments = [
    { weightsAt: 0, dim, stateAt: 0, optimizer },
    { weightsAt: dim, dim: momentsDim, stateAt: optimizerState.length, optimizer: createMoments() },
  ].filter((segment) => segment.dim > 0);
  return {
    model: options.model,
    fingerprint: options.fingerprint,
    weights: moments === 0 ? initial : withRoom(initial, momentsDim),
    optimizerState,
    segments,
    sequence: 0,
    producers: new Map(),
    counts: { applied: 0, duplicates: 0, rejected: 0 },
  };
}

function withRoom(weights: Float32Array, floats: number): Float32Array {
  const longer = new Float32Array(weights.length + floats);
  longer.set(weights);
  return longer;
}

/** Applies one message of the dense log; rules as in partition-fold.ts. */
export function applyDense(
  state: DenseState,
  message: { readonly sequence: number; readonly payload: Uint8Array },
  onGap: 'report' | 'accept',
): DenseOutcome {
  if (message.sequence <= state.sequence) return { kind: 'stale' };
  try {
    const block = decodeAnyDenseBlock(message.payload);
    refuseUnfit(state, block);
    const place = placeInChain(state.producers, block);
    if (place === 'gap' && onGap === 'report') return { kind: 'gap' };
    state.sequence = message.sequence;
    if (place === 'duplicate') {
      state.counts.duplicates += 1;
      return { kind: 'duplicate' };
    }
    if ('gradients' in block) takeStep(state, block.gradients);
    else put(state, block);
    state.counts.applied += 1;
    state.producers.set(block.producer, block.sequence);
    return { kind: 'applied' };
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    state.sequence = message.sequence;
    state.counts.rejected += 1;
    return { kind: 'rejected', error };
  }
}

/**
 * One step without a log, as a block of these gradients at the next sequence would make it.
 * @param gradients float32[parameters]; only read.
 * @returns false when they are not finite: the weights stay as they are then.
 */
export function stepDense(state: DenseState, gradients: Float32Array): boolean {
  state.sequence += 1;
  if (!areFinite(gradients)) {
    state.counts.rejected += 1;
    return false;
  }
  takeStep(state, gradients);
  state.counts.applied += 1;
  return true;
}

function takeStep(state: DenseState, gradients: Float32Array): void {
  for (const segment of state.segments) {
    segment.optimizer.step(viewOf(state, segment), { g: gradients, h: gradients, at: segment.weightsAt });
  }
}

/** SHA-256 over what was learned, weights and optimizer state, and not over the log that it was learned from. */
export function denseWeightsHash(state: DenseState): string {
  return createHash('sha256')
    .update(JSON.stringify([state.model, state.fingerprint]))
    .update(bytesOf(state.weights))
    .update(bytesOf(state.optimizerState))
    .digest('hex');
}

/** Refused whole, the same way by everybody: a foreign block, one of other floats, one with a float that is not finite. */
function refuseUnfit(state: DenseState, block: DenseBlock | DensePutBlock): void {
  if (block.model !== state.model || block.fingerprint !== state.fingerprint) {
    throw new MillraceError(
      'MILL_BLOCK_FOREIGN',
      `cannot apply a dense block: it must be for ${state.model} (${state.fingerprint})`,
    );
  }
  const floats = 'gradients' in block ? block.gradients : block.weights;
  const optimizerFloats = 'gradients' in block ? 0 : block.state.length;
  if (floats.length !== state.weights.length || ![0, state.optimizerState.length].includes(optimizerFloats)) {
    throw new MillraceError(
      'MILL_BLOCK_FOREIGN',
      `cannot apply a dense block: wanted ${state.weights.length} floats, found ${floats.length}` +
        (optimizerFloats > 0
          ? `, and ${state.optimizerState.length} of optimizer state, found ${optimizerFloats}`
          : ''),
    );
  }
  if (!areFinite(floats) || !('gradients' in block || areFinite(block.state))) {
    throw new MillraceError('MILL_BLOCK_INVALID', 'cannot apply a dense block: every float must be finite');
  }
}

/** Weights as they are given; the optimizer as given, or as it starts with them. */
function put(state: DenseState, { weights, state: optimizerState }: DensePutBlock): void {
  state.weights.set(weights);
  if (optimizerState.length > 0) state.optimizerState.set(optimizerState);
  else for (const segment of state.segments) segment.optimizer.start(viewOf(state, segment));
}

function viewOf({ weights, optimizerState }: DenseState, segment: DenseSegment): SegmentView {
  return { w: weights, wAt: segment.weightsAt, s: optimizerState, sAt: segment.stateAt, dim: segment.dim };
}

/** SHA-256 over sequence, producers, weights and optimizer state. */
export function denseHash(state: DenseState): string {
  const producers = [...state.producers].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([state.model, state.fingerprint, state.sequence, producers]))
    .update(bytesOf(state.weights))
    .update(bytesOf(state.optimizerState))
    .digest('hex');
}
