/** Reads what the logs of a cluster hold, over any bus: the events of a model, and the fold of its gradients. */

import type { PartitionState } from '@millrace/core';
import { type DenseState, partitionHash } from '@millrace/core';
import { initialDense } from '@millrace/model';
import {
  decodeEvent,
  decodePartitionBlock,
  type Event,
  eventsSubject,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { type Archive, createArchive, foldDenseAt, foldPartitionAt, readStretch } from '@millrace/snapshot';

/** All events of a model that the log holds now, in order. */
export async function readEvents(bus: Bus, model: string): Promise<readonly Event[]> {
  const events: Event[] = [];
  const subject = eventsSubject(modelNameFrom(model));
  const through = await bus.headOf('events', subject);
  await readStretch(bus, { log: 'events', subject, from: 1, through }, ({ payload }) => {
    events.push(decodeEvent(payload));
    return 'on';
  });
  return events;
}

export interface LogFold {
  /** By partition. */
  readonly states: readonly PartitionState[];
  /** By partition; what a shard that owns it reports at the same sequence. */
  readonly hashes: readonly string[];
  /** Blocks in the log that a producer published again, and those that no shard can apply. */
  readonly duplicates: number;
  readonly rejected: number;
  /** Blocks whose predecessor the log lacks. */
  readonly holes: number;
  /** Numbers of the batches that have an applied block in the log, ascending. */
  readonly batches: readonly number[];
}

/** Folds the gradient log of a model as it is now, from nothing or from where snapshots allowed to trim it. */
export async function foldGradients(bus: Bus, file: ModelFile): Promise<LogFold> {
  const archive = await archiveOf(bus);
  const states: PartitionState[] = [];
  const batches = new Set<number>();
  let holes = 0;
  for (let partition = 0; partition < (file.partitions ?? partitionsDefault); partition += 1) {
    const state = await foldPartitionAt({
      bus,
      archive,
      file,
      partition,
      until: now,
      start: 'oldest',
      onTaken({ payload }, outcome) {
        if (outcome === 'applied' || outcome === 'hole') batches.add(decodePartitionBlock(payload).sequence);
        if (outcome === 'hole') holes += 1;
      },
    });
    states.push(state);
  }
  const sum = (of: (state: PartitionState) => number) =>
    states.reduce((total, state) => total + of(state), 0);
  return {
    states,
    hashes: states.map(partitionHash),
    duplicates: sum(({ counts }) => counts.duplicates),
    rejected: sum(({ counts }) => counts.rejected),
    holes,
    batches: [...batches].sort((a, b) => a - b),
  };
}

/** Folds the dense log of a model as it is now, from its initial weights or from a snapshot. */
export async function foldDense(bus: Bus, file: ModelFile): Promise<DenseState> {
  const initial = () => initialDense(file);
  const archive = await archiveOf(bus);
  return foldDenseAt({ bus, archive, model: file.name, initial, until: now, start: 'oldest' });
}

/** As far as the log goes. */
const now = { sequence: Number.MAX_SAFE_INTEGER };

async function archiveOf(bus: Bus): Promise<Archive> {
  return createArchive({
    stores: [{ name: 'shared', blobs: await bus.blobs('snapshots') }],
    onDamaged(store, path, error) {
      throw new Error(`snapshot ${path} in store ${store} is damaged`, { cause: error });
    },
  });
}
