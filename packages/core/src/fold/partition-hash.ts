/** The hash by which owners, verifiers and snapshots are held to be of one state. */
import { createHash, type Hash } from 'node:crypto';
import { bytesOf } from '@millrace/protocol';
import type { PartitionState } from './partition-fold.ts';

/**
 * SHA-256 over sequence, producers, every row with its optimizer state and clock in key order, and what decides which rows
 * come and go: equal exactly when two owners hold the same state, whatever order their rows were created in.
 */
export function partitionHash(state: PartitionState): string {
  const hash = createHash('sha256');
  const producers = [...state.producers].sort(([a], [b]) => (a < b ? -1 : 1));
  const { model, fingerprint, partition, sequence } = state;
  hash.update(JSON.stringify([model, fingerprint, partition, sequence, producers, ...livesOf(state)]));
  hashRows(hash, state);
  return hash.digest('hex');
}

/**
 * SHA-256 over what a partition has learned: every row with its optimizer state, in key order. Not over how it came to it, so
 * a fold of a log and a learner without one can be compared.
 */
export function rowsHash(state: PartitionState): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([state.model, state.fingerprint, state.partition, ...livesOf(state)]));
  hashRows(hash, state);
  return hash.digest('hex');
}

function hashRows(hash: Hash, state: PartitionState): void {
  for (const [t, table] of state.tables.entries()) {
    const { keys, weights, stateWords, count, layout } = table;
    const order = new Uint32Array(count).map((_, row) => row);
    order.sort((a, b) => keys[2 * a + 1] - keys[2 * b + 1] || keys[2 * a] - keys[2 * b]);
    hash.update(`${layout.name}:${count}`);
    for (const row of order) {
      hash.update(bytesOf(keys.subarray(2 * row, 2 * row + 2)));
      hash.update(bytesOf(weights.subarray(row * layout.dim, (row + 1) * layout.dim)));
      hash.update(bytesOf(stateWords.subarray(row * layout.stateFloats, (row + 1) * layout.stateFloats)));
    }
    const { admission } = state.lives[t];
    if (admission) hash.update(bytesOf(admission.words()));
  }
}

/** Nothing where no table expires, so that such states have the hash that they always had. */
function livesOf({ tables, lives, eventTimeMs }: PartitionState): readonly unknown[] {
  if (tables.every(({ layout }) => layout.expiry === null)) return [];
  return [eventTimeMs, lives.map(({ sweep }) => [sweep.at, sweep.rows])];
}
