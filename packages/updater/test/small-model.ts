/**
 * A model whose gradients do not depend on what was learned: every learning rate is 0, so each example leaves the same
 * gradient whenever and with whatever others it is learned. Each item has a key of its own, so what was learned of it can be
 * read from the log.
 */

import type { PullRequest, RowSource } from '@millrace/client';
import {
  applyGradients,
  createPartitionState,
  fingerprintOf,
  type PartitionState,
  partitionOf,
  pullRowsPlainly,
  tableLayouts,
} from '@millrace/core';
import type { Example } from '@millrace/joiner';
import {
  createBatchSpace,
  createFeatureEncoder,
  gatherSpace,
  type OpenNet,
  openNet,
  tablesToPull,
} from '@millrace/model';
import {
  decodeDenseBlock,
  decodeGradientBlock,
  denseSubject,
  gradientsSubject,
  invariant,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import { type Bus, createLogger, type LogMessage, type LogReader } from '@millrace/runtime';

export const partitions = 3;

export const file: ModelFile = {
  name: 'ads',
  label: 'clicked',
  item: 'ad',
  partitions,
  tables: [{ name: 'ids', wide: { optimizer: { type: 'adagrad', learningRate: 0 } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'hour', type: 'dense', transform: { type: 'standardize', mean: 1_000, deviation: 300 } },
  ],
  bias: false,
  net: {
    wide: true,
    layers: [{ units: 2, activation: 'tanh' }],
    optimizer: { type: 'sgd', learningRate: 0 },
  },
  loss: 'logloss',
  seed: 5,
  learning: { joinWindowMs: 100 },
};

export const model = modelNameFrom(file.name);
export const quietLogger = createLogger({ service: 'test', level: 'silent' });

/** Rows as a shard has them: folds of the gradient log, all partitions in one process. */
export interface Shard extends RowSource {
  readonly states: readonly PartitionState[];
  close(): Promise<void>;
}

export async function openShard(bus: Bus, of: ModelFile = file): Promise<Shard> {
  const layouts = tableLayouts(of);
  const readers: LogReader[] = [];
  const states: PartitionState[] = [];
  for (let partition = 0; partition < (of.partitions ?? 64); partition += 1) {
    const state = createPartitionState({
      model: of.name,
      fingerprint: fingerprintOf(of),
      partition,
      layouts,
    });
    states.push(state);
    const subject = gradientsSubject(modelNameFrom(of.name), partition);
    const onMessage = (message: LogMessage) => void applyGradients(state, message, 'accept');
    const onError = (error: Error) => {
      throw error;
    };
    readers.push(await bus.read('gradients', { subject, from: 1, onMessage, onError }));
  }
  return {
    states,
    async pull({ layout, keys, count, out }: PullRequest) {
      const table = layouts.findIndex(({ tableId }) => tableId === layout.tableId);
      pullRowsPlainly(
        states.map(({ tables }) => tables[table]),
        keys,
        count,
        out,
      );
      return { degraded: false };
    },
    async close() {
      for (const reader of readers) await reader.close();
    },
  };
}

export function openSmallNet(of: ModelFile = file): Promise<OpenNet> {
  return openNet(of, { wanted: 'plain', onSkip: () => {} });
}

/** Everything a log holds on one subject. */
export async function messagesOn(bus: Bus, log: 'gradients' | 'dense' | 'events', subject: string) {
  const messages: { sequence: number; payload: Uint8Array }[] = [];
  const reader = await bus.read(log, {
    subject,
    from: 1,
    onMessage: ({ sequence, payload }) => void messages.push({ sequence, payload: new Uint8Array(payload) }),
    onError: (error) => {
      throw error;
    },
  });
  await reader.close();
  return messages;
}

export interface Learned {
  /** Sum of the gradients that each key got, by `partition high low`. */
  readonly gradients: ReadonlyMap<string, number>;
  /** Batches that the dense log applies, and the sum of their gradients. */
  readonly denseBatches: readonly number[];
  readonly dense: readonly number[];
  /** Blocks that were passed over as repeats, dense ones included. */
  readonly repeats: number;
}

/** Reads the logs by the rule of the fold: each producer sequence once a partition. A hole in a chain throws. */
export async function learnedFrom(bus: Bus): Promise<Learned> {
  const gradients = new Map<string, number>();
  let repeats = 0;
  const chain = () => {
    let last = 0;
    return ({ sequence, previous }: { sequence: number; previous: number }) => {
      if (sequence <= last) {
        repeats += 1;
        return false;
      }
      if (previous !== last)
        throw new Error(`block ${sequence} follows ${previous}, and ${last} was the last`);
      last = sequence;
      return true;
    };
  };
  for (let partition = 0; partition < partitions; partition += 1) {
    const isNext = chain();
    for (const { payload } of await messagesOn(bus, 'gradients', gradientsSubject(model, partition))) {
      const block = decodeGradientBlock(payload);
      if (!isNext(block)) continue;
      const [section] = block.sections;
      for (let i = 0; i < section.count; i += 1) {
        const key = `${partition} ${section.keys[2 * i + 1]} ${section.keys[2 * i]}`;
        gradients.set(key, (gradients.get(key) ?? 0) + section.gradients[i]);
      }
    }
  }
  const isNext = chain();
  const denseBatches: number[] = [];
  const dense: number[] = [];
  for (const { payload } of await messagesOn(bus, 'dense', denseSubject(model))) {
    const block = decodeDenseBlock(payload);
    if (!isNext(block)) continue;
    denseBatches.push(block.sequence);
    block.gradients.forEach((gradient, i) => {
      dense[i] = (dense[i] ?? 0) + gradient;
    });
  }
  return { gradients, denseBatches, dense, repeats };
}

/** What must have been learned of examples: for each item's key Σ shown · σ(z) − clicked, and the dense gradients' sum. */
export async function wantedFrom(examples: readonly Example[]) {
  const net = await openSmallNet();
  const gradients = new Map<string, number>();
  const dense = new Float32Array(net.shape.parameters);
  if (examples.length > 0) {
    const space = createBatchSpace(net.plan);
    const encoder = createFeatureEncoder(net.plan);
    examples.forEach(({ user, context, item }, i) => {
      encoder.beginRequest(user, context);
      encoder.addItem(space.batch, item, i);
    });
    // Rows that were never stepped: all 0.
    tablesToPull(space);
    const out = {
      logits: new Float32Array(examples.length),
      logitGradients: new Float32Array(examples.length),
      embeddings: new Float32Array(0),
      parameters: dense,
    };
    const shown = Float32Array.from(examples, (example) => example.shown);
    const clicked = Float32Array.from(examples, (example) => example.clicked);
    await net.program.gradients(
      net.versions.current.loaded,
      gatherSpace(space, net.versions.current.scales),
      shown,
      clicked,
      out,
    );
    const [{ keys, keyOf, occurrences }] = space.batch.tables;
    invariant(occurrences === examples.length, 'each example has the key of its item and no other');
    for (let i = 0; i < occurrences; i += 1) {
      const [low, high] = [keys[2 * keyOf[i]], keys[2 * keyOf[i] + 1]];
      const key = `${partitionOf(low, high, partitions)} ${high} ${low}`;
      gradients.set(key, (gradients.get(key) ?? 0) + out.logitGradients[i]);
    }
  }
  net.dispose();
  return { gradients, dense };
}
