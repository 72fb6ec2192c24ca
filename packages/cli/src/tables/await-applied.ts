/** Waits until the shards have applied what was put, as their leases tell. */
import { MillraceError, partitionSetFrom } from '@millrace/protocol';
import type { Clock, ClusterView } from '@millrace/runtime';

const lookEveryMs = 200;

export interface AwaitAppliedOptions {
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly model: string;
  /** Newest sequence by partition, 0 where nothing was put. */
  readonly heads: readonly number[];
  readonly waitMsMax: number;
}

/**
 * A shard has applied everything once a lease of its, written after the last block was acknowledged, tells the newest sequence
 * of its partitions or a later one, and nothing behind; every partition needs a shard that answers for it.
 * @throws MILL_TIMEOUT
 */
export async function awaitApplied(options: AwaitAppliedOptions): Promise<void> {
  const { view, clock, model, heads, waitMsMax } = options;
  const before = new Map(view.shards().map(({ lease }) => [lease.shard, lease.renewal]));
  const isApplied = () => {
    const open = new Set(heads.flatMap((head, partition) => (head > 0 ? [partition] : [])));
    for (const { lease, live } of view.shards()) {
      const told = lease.models.find((each) => each.model === model);
      if (!live || !told) continue;
      const holds = partitionSetFrom(told.readyPartitions);
      const mine = [...open].filter((partition) => holds(partition));
      const newest = Math.max(0, ...heads.filter((_, partition) => holds(partition)));
      const isFresh = lease.renewal > (before.get(lease.shard) ?? 0);
      if (!isFresh || told.behind > 0 || told.sequence < newest) return false;
      for (const partition of mine) open.delete(partition);
    }
    return open.size === 0;
  };
  const startMs = clock.monotonicMs();
  while (!isApplied()) {
    if (clock.monotonicMs() - startMs > waitMsMax)
      throw new MillraceError(
        'MILL_TIMEOUT',
        `what was put into "${model}" is in its log, but not every shard has applied it within ${waitMsMax} ms`,
      );
    await new Promise<void>((resolve) => clock.setTimer(lookEveryMs, resolve));
  }
}
