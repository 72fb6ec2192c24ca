/** How much of a model's partition replicas change their place between two maps. */
import { ownersOf } from '@millrace/core';
import type { PartitionMap } from '@millrace/protocol';

/** Owners by `after` that were none by `before`, over all owners by `after`. */
export function movedShare(before: PartitionMap, after: PartitionMap): number {
  let moved = 0;
  let all = 0;
  for (let partition = 0; partition < after.owners.length; partition += 1) {
    const had = ownersOf(before, partition);
    const has = ownersOf(after, partition);
    all += has.length;
    moved += has.filter((shard) => !had.includes(shard)).length;
  }
  return moved / all;
}
