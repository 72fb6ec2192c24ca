/** Reads what the logs of a cluster hold, over any bus: the events of a model, and the fold of its gradients. */

import type { PartitionState } from '@millrace/core';
import {
  applyDense,
  applyGradients,
  createDenseState,
  createPartitionState,
  type DenseState,
  fingerprintOf,
  partitionHash,
  tableLayouts,
} from '@millrace/core';
import { compileNet, denseOptimizerOf, initialParameters } from '@millrace/model';
import {
  decodeEvent,
  denseSubject,
  type Event,
  eventsSubject,
  gradientsSubject,
  type LogName,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, LogMessage } from '@millrace/runtime';

/** All events of a model that the log holds now, in order. */
export async function readEvents(bus: Bus, model: string): Promise<readonly Event[]> {
  const events: Event[] = [];
  await readToHead(bus, 'events', eventsSubject(modelNameFrom(model)), ({ payload }) => {
    events.push(decodeEvent(payload));
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

/** Folds the whole gradient log of a model as it is now, from nothing. */
export async function foldGradients(bus: Bus, file: ModelFile): Promise<LogFold> {
  const states: PartitionState[] = [];
  const batches = new Set<number>();
  let holes = 0;
  for (let partition = 0; partition < (file.partitions ?? partitionsDefault); partition += 1) {
    const state = createPartitionState({
      model: file.name,
      fingerprint: fingerprintOf(file),
      partition,
      layouts: tableLayouts(file),
    });
    states.push(state);
    await readToHead(bus, 'gradients', gradientsSubject(modelNameFrom(file.name), partition), (message) => {
      const outcome = applyGradients(state, message, 'report');
      if (outcome.kind === 'applied' || outcome.kind === 'gap') batches.add(outcome.block.sequence);
      if (outcome.kind !== 'gap') return;
      holes += 1;
      applyGradients(state, message, 'accept');
    });
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

/** Folds the whole dense log of a model as it is now, from its initial weights. */
export async function foldDense(bus: Bus, file: ModelFile): Promise<DenseState> {
  const shape = compileNet(file);
  const state = createDenseState({
    model: file.name,
    fingerprint: fingerprintOf(file),
    initial: initialParameters(shape, file.seed),
    optimizer: denseOptimizerOf(file),
  });
  await readToHead(bus, 'dense', denseSubject(modelNameFrom(file.name)), (message) => {
    applyDense(state, message, 'report');
  });
  return state;
}

/** Hands over every message of `subject` up to its head as it is now. */
async function readToHead(
  bus: Bus,
  log: LogName,
  subject: string,
  take: (message: LogMessage) => void,
): Promise<void> {
  const head = await bus.headOf(log, subject);
  if (head === 0) return;
  let reached = () => {};
  let failed = (_error: Error) => {};
  const done = new Promise<void>((resolve, reject) => {
    reached = resolve;
    failed = reject;
  });
  const reader = await bus.read(log, {
    subject,
    from: 1,
    onMessage(message) {
      if (message.sequence <= head) take(message);
      if (message.sequence >= head) reached();
    },
    onError: failed,
  });
  await done.finally(() => reader.close());
}
