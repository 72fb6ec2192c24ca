/** One hash of all that a model has learned, so that two ways of learning can be compared. */
import { createHash } from 'node:crypto';
import { type DenseState, denseWeightsHash, type PartitionState, rowsHash } from '@millrace/core';

/**
 * SHA-256, hex, over the rows and optimizer state of all partitions and the dense weights with theirs; not over log sequences
 * and producers, which a learner without a log has none of.
 * @param states by partition, all of them.
 */
export function learnedHash(states: readonly PartitionState[], dense: DenseState): string {
  const hash = createHash('sha256');
  for (const state of states) hash.update(rowsHash(state));
  return hash.update(denseWeightsHash(dense)).digest('hex');
}
