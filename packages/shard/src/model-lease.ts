/** What a shard says of one model in its lease. */
import { partitionBytes, partitionRows } from '@millrace/core';
import { type ModelLease, partitionSetText } from '@millrace/protocol';
import type { HeldModel } from './holdings.ts';
import { isReadable } from './model-shard.ts';

export function leaseFrom(model: HeldModel, nowMs: number): ModelLease {
  const { shard, holdings, owned, staleness } = model;
  const counts = { rows: 0, bytes: 0, sequence: 0, applied: 0, duplicates: 0, rejected: 0, ready: 0 };
  const partitions: number[] = [];
  const sequences: number[] = [];
  for (const partition of owned) {
    const state = shard.states[partition];
    partitions.push(partition);
    sequences.push(state?.sequence ?? 0);
    if (!state) continue;
    counts.rows += partitionRows(state);
    counts.bytes += partitionBytes(state);
    counts.sequence = Math.max(counts.sequence, state.sequence);
    counts.applied += state.counts.applied;
    counts.duplicates += state.counts.duplicates;
    counts.rejected += state.counts.rejected;
    if (isReadable(shard, partition)) counts.ready += 1;
  }
  let behind = 0;
  let gone = 0;
  for (const holding of holdings.values()) {
    behind += holding.behind;
    if (holding.phase === 'gone') gone += 1;
  }
  return {
    model: shard.file.name,
    epoch: model.epoch,
    partitions: owned.size,
    readyPartitions: partitionSetText(shard.partitions, (partition) => isReadable(shard, partition)),
    behind,
    ...(gone > 0 ? { gone } : {}),
    ...counts,
    stalenessMs: staleness.ofRead(partitions, sequences, partitions.length, nowMs),
  };
}
