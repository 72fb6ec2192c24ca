/** A whole cluster on one memory bus that keeps its logs, some learned visits, and the commands' view of its past. */
import type { EngineName } from '@millrace/model';
import type { ModelFile, PartitionReport, ScoreRequest, ScoreResponse } from '@millrace/protocol';
import {
  createLogger,
  createManualClock,
  createMemoryBlobs,
  createMemoryBus,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import { reportPartitions } from '@millrace/shard';
import {
  type Archive,
  captureDense,
  capturePartition,
  createArchive,
  partitionIdentity,
} from '@millrace/snapshot';
import { onTestFinished } from 'vitest';
import type { HistorySource } from '../../src/history/history-source.ts';
import type { OwnerInspector } from '../../src/history/inspect-owners.ts';
import { openSingleProcessCluster, type SingleProcessCluster } from '../single-process-cluster.ts';

/** Every kind of feature, a number normalised as learning goes, wide, fm and layers, and rows whose first values are not 0. */
export const deep: ModelFile = {
  name: 'deep',
  label: 'click',
  item: 'item',
  partitions: 8,
  tables: [
    {
      name: 'features',
      wide: { optimizer: { type: 'adagrad', learningRate: 0.3, initialAccumulator: 1 } },
      embedding: { dim: 4, optimizer: { type: 'adagrad', learningRate: 0.2, initialAccumulator: 1 } },
    },
    { name: 'weights', wide: { optimizer: { type: 'ftrl', alpha: 0.3, l1: 0.01 } } },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'features' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'features' },
    { name: 'tags', type: 'multi', scope: 'item', table: 'features', pooling: 'mean' },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'standardize' } },
  ],
  crosses: [{ name: 'user-item', fields: ['user', 'item'], table: 'weights' }],
  net: {
    wide: true,
    fm: true,
    layers: [{ units: 24 }, { units: 7, activation: 'tanh' }],
    optimizer: { type: 'adam', learningRate: 0.01 },
  },
  loss: 'logloss',
  seed: 5,
  learning: { negatives: 'at-once', joinWindowMs: 5_000 },
};

/** A sum over keys and a normalised number: no dense weights, yet a dense state. Negatives count after the window. */
export const linear: ModelFile = {
  ...deep,
  name: 'line',
  tables: [deep.tables[1]],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'weights' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'weights' },
    { name: 'price', type: 'dense', scope: 'item', table: 'weights', transform: { type: 'standardize' } },
  ],
  crosses: [],
  net: 'linear',
  learning: { joinWindowMs: 5_000 },
};

export interface PastCluster {
  readonly cluster: SingleProcessCluster;
  readonly source: HistorySource;
  readonly archive: Archive;
  readonly bus: MemoryBus;
  readonly inspector: OwnerInspector;
  /** Scores, clicks on some, learns, and lets a second pass; answers by request id. */
  visit(count: number): Promise<Map<string, { request: ScoreRequest; answer: ScoreResponse }>>;
  /** Writes a full snapshot of every partition and of the dense weights, as they are. */
  snapshot(): Promise<void>;
}

export async function openPastCluster(
  file: ModelFile,
  engine: EngineName = 'plain',
  change: (reports: readonly PartitionReport[], shard: string) => readonly PartitionReport[] = (same) => same,
): Promise<PastCluster> {
  const bus = createMemoryBus();
  const logger = createLogger({ service: 'test', level: 'silent' });
  const cluster = await openSingleProcessCluster({
    file,
    engine,
    logger,
    startMs: 1_000_000,
    batchExamplesMax: 64,
    bus,
  });
  const view = await watchCluster(bus, createManualClock(0));
  onTestFinished(async () => {
    await view.close();
    await cluster.close();
  });
  const damaged: string[] = [];
  const archive = createArchive({
    stores: [{ name: 'shared', blobs: createMemoryBlobs() }],
    onDamaged: (_, path) => damaged.push(path),
  });
  const random = randomFrom(file.seed);
  let visits = 0;
  const requestOf = (): ScoreRequest => {
    visits += 1;
    return {
      model: file.name,
      requestId: `visit-${visits}`,
      user: { user: `u${random(20)}` },
      items: Array.from({ length: 1 + random(6) }, () => ({
        item: `i${random(30)}`,
        tags: [`t${random(5)}`, `t${random(5)}`],
        price: random(1_000) / 10,
      })),
    };
  };
  return {
    cluster,
    bus,
    archive,
    source: { bus, archive, view, damaged },
    inspector: {
      async inspect(_, partition) {
        return ['shard-0', 'shard-1'].map((shard) => {
          const reports = change(reportPartitions(cluster.shard, partition), shard);
          return { shard, report: reports[0] ?? null, reason: 'it does not hold the partition' };
        });
      },
      close() {},
    },
    async visit(count) {
      const seen = new Map<string, { request: ScoreRequest; answer: ScoreResponse }>();
      while (seen.size < count) {
        // Several at once, so that they share a batch, and never the same number of them twice in a row.
        const requests = Array.from({ length: Math.min(count - seen.size, 1 + random(9)) }, requestOf);
        const answers = await Promise.all(requests.map((request) => cluster.core.score(request)));
        for (const [i, request] of requests.entries()) {
          seen.set(request.requestId as string, { request, answer: answers[i] });
          if (random(2) === 0) continue;
          const clicked = random(request.items.length);
          await cluster.core.acceptOutcomes([
            { model: file.name, requestId: request.requestId as string, index: clicked, value: 1 },
          ]);
        }
        cluster.clock.advanceBy(700);
        await bus.settle();
        await cluster.updater.flush();
        await bus.settle();
      }
      return seen;
    },
    async snapshot() {
      for (const [partition, state] of cluster.shard.states.entries()) {
        if (state === null) continue;
        const { model, fingerprint } = partitionIdentity(file, partition);
        const name = { sequence: state.sequence, base: null };
        await archive.write('shared', { model, fingerprint, fold: partition }, name, [
          ...capturePartition(state, null),
        ]);
      }
      const { dense } = cluster.updater;
      const fold = { model: file.name, fingerprint: dense.fingerprint, fold: 'dense' } as const;
      await archive.write('shared', fold, { sequence: dense.sequence, base: null }, [...captureDense(dense)]);
    },
  };
}

/** Whole numbers below a limit: a linear congruential generator, Numerical Recipes' constants. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
