/** Which partitions of a model this shard tells of: those that it is the first ready holder of, as the view has it. */
import { holdersOf } from '@millrace/core';
import { partitionSetFrom } from '@millrace/protocol';
import type { Clock, ClusterView } from '@millrace/runtime';
import { isReadable, type ModelShard } from './model-shard.ts';

/** What was found is looked at again after so long, ms: looking at it for each block would cost more than the notices. */
const lookEveryMs = 500;

export interface TellingOptions {
  readonly clock: Clock;
  readonly view: ClusterView;
  readonly shard: string;
  readonly model: ModelShard;
}

/**
 * Two that both think that they are first do no harm, since equal sequences have equal rows; while none does, copies are not
 * kept fresh and are not used once they are too old.
 */
export function createTelling({ clock, view, shard, model }: TellingOptions): (partition: number) => boolean {
  const first = new Uint8Array(model.partitions);
  let lookedMs = Number.NEGATIVE_INFINITY;
  const look = () => {
    lookedMs = clock.monotonicMs();
    first.fill(0);
    const map = view.mapOf(model.file.name);
    if (map === null) return;
    const answers = new Map<string, (partition: number) => boolean>();
    for (const { lease, live } of view.shards()) {
      const told = live ? lease.models.find(({ model: name }) => name === map.model) : undefined;
      if (told) answers.set(lease.shard, partitionSetFrom(told.readyPartitions));
    }
    for (let partition = 0; partition < first.length; partition += 1) {
      if (!isReadable(model, partition)) continue;
      const holder = holdersOf(map, partition).find(
        (name) => name === shard || answers.get(name)?.(partition) === true,
      );
      if (holder === shard) first[partition] = 1;
    }
  };
  return (partition) => {
    if (clock.monotonicMs() - lookedMs > lookEveryMs) look();
    return first[partition] === 1 && isReadable(model, partition);
  };
}
