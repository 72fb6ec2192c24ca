/** States, logs and stores for tests of snapshots. */
import {
  applyDense,
  applyGradients,
  createDenseState,
  createPartitionState,
  type DenseState,
  type PartitionState,
  tableLayouts,
} from '@millrace/core';
import { encodeDenseBlock, encodeGradientBlock, type ModelFile } from '@millrace/protocol';
import type { PartitionIdentity } from '../src/restore.ts';

/** users: a wide weight and an embedding, with state; bias: one float without state; items: an odd number of state floats. */
export const file: ModelFile = {
  name: 'ads',
  seed: 7,
  partitions: 4,
  tables: [
    {
      name: 'users',
      wide: { optimizer: { type: 'ftrl', alpha: 0.1, l1: 0.25 } },
      embedding: { dim: 3, optimizer: { type: 'rowwise-adagrad', learningRate: 0.125 } },
    },
    { name: 'bias', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } },
    { name: 'items', embedding: { dim: 2, optimizer: { type: 'adam', learningRate: 0.1 } } },
  ],
  fields: [],
  net: {},
} as unknown as ModelFile;

export const layouts = tableLayouts(file);
export const identity: PartitionIdentity = { model: 'ads', fingerprint: 77, partition: 3, layouts };

export function emptyState(): PartitionState {
  return createPartitionState(identity);
}

/** One block: rows `keys` of every table, with gradients that depend on its sequence. */
export function payloadOf(sequence: number, keys: readonly number[], producer = 'u'): Uint8Array {
  return encodeGradientBlock({
    producer,
    sequence,
    previous: 0,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
    timeMs: 0,
    sections: layouts.map(({ dim }, table) => ({
      table,
      dim,
      count: keys.length,
      keys: Uint32Array.from(keys.flatMap((key) => [key, key * 3])),
      gradients: new Float32Array(dim * keys.length).map((_, i) => ((i * 7 + sequence) % 11) / 8 - 0.5),
      curvature: null,
    })),
  });
}

/** Applies a block at every sequence, one a list of keys. */
export function apply(state: PartitionState, blocks: readonly (readonly number[])[], producer = 'u'): void {
  for (const keys of blocks) {
    const sequence = state.sequence + 1;
    const outcome = applyGradients(
      state,
      { sequence, payload: payloadOf(sequence, keys, producer) },
      'accept',
    );
    if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  }
}

export function denseState(parameters = 5): DenseState {
  return createDenseState({
    model: 'ads',
    fingerprint: 77,
    initial: new Float32Array(parameters).map((_, i) => i / 4),
    optimizer: { type: 'adam', learningRate: 0.25 },
  });
}

export function applyDenseBlocks(state: DenseState, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const sequence = state.sequence + 1;
    const gradients = new Float32Array(state.weights.length).map((_, at) => ((at + sequence) % 5) / 4 - 0.5);
    const block = { producer: 'u', sequence, previous: 0, model: 'ads', fingerprint: 77, timeMs: 0 };
    applyDense(state, { sequence, payload: encodeDenseBlock({ ...block, gradients }) }, 'accept');
  }
}

/** Bytes in chunks of `size`, which need not end where blocks do. */
export async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}
