/** A client on a small cluster of real shard ends: one model of eight partitions, leases and maps as a test sets them. */
import {
  applyGradients,
  fingerprintOf,
  partitionOf,
  type TableLayout,
  tableLayouts,
  writeInitialRow,
} from '@millrace/core';
import {
  encodeGradientBlock,
  encodePartitionMap,
  encodeShardLease,
  type ModelFile,
  type ModelLease,
  type PartitionMap,
  partitionSetText,
} from '@millrace/protocol';
import {
  type ClusterView,
  createLogger,
  createManualClock,
  createMemoryBus,
  createTcpNetwork,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import {
  createModelShard,
  listenForPulls,
  type ModelShard,
  openPartition,
  takePartition,
} from '@millrace/shard';
import { onTestFinished } from 'vitest';
import { createPullClient, type PullClient, type PullClientOptions } from '../src/pull-client.ts';
import { createReadMarks, type PullRequest } from '../src/row-source.ts';

export const partitions = 8;
const optimizer = { type: 'sgd', learningRate: 1 } as const;
const initializer = { type: 'uniform', scale: 1 } as const;
export const file: ModelFile = {
  name: 'ads',
  label: 'y',
  partitions,
  tables: [
    { name: 'ids', wide: { optimizer }, embedding: { dim: 2, optimizer, initializer } },
    { name: 'bare', embedding: { dim: 1, optimizer, initializer } },
  ],
  fields: [{ name: 'ad', type: 'sparse', table: 'ids' }],
  net: 'fm',
  loss: 'logloss',
  seed: 3,
};
export const [ids, bare] = tableLayouts(file);
export const requestTimeoutMs = 400;
export const allPartitions = Array.from({ length: partitions }, (_, partition) => partition);
export const logger = createLogger({ service: 'test', level: 'silent' });

export interface ServedShard {
  readonly port: number;
  readonly model: ModelShard;
  /** Keys of pulls that came. */
  readonly pulled: () => number;
  close(): Promise<void>;
}

/** A real shard server that holds and reads `held`; row "ids" of every key of `learned` has been stepped by −1. */
export async function serve(options: {
  readonly shard: string;
  readonly token?: string;
  readonly held: readonly number[];
  readonly learned?: Uint32Array;
  readonly map?: () => PartitionMap | null;
}): Promise<ServedShard> {
  const model = createModelShard(file);
  for (const partition of options.held) {
    const state = takePartition(model, partition);
    const payload = blockOf(partition, options.learned ?? new Uint32Array(0));
    applyGradients(state, { sequence: 100 + partition, payload }, 'report');
    openPartition(model, partition);
  }
  let pulled = 0;
  const server = await listenForPulls({
    network: createTcpNetwork(),
    clock: createManualClock(0),
    host: '127.0.0.1',
    port: 0,
    cluster: 'demo',
    token: options.token ?? null,
    shard: options.shard,
    connectionsMax: 64,
    holdings: {
      models: new Map([[file.name, model]]),
      tables: new Map(model.layouts.map(({ tableId }, table) => [tableId, { shard: model, table }])),
      mapOf: () => options.map?.() ?? null,
    },
    logger,
    onPull: (keys) => {
      pulled += keys;
    },
  });
  onTestFinished(() => server.close());
  return { port: server.port, model, pulled: () => pulled, close: () => server.close() };
}

/** A gradient block that steps row "ids" of those of `keys` that fall on the partition by −1. */
export function blockOf(partition: number, keys: Uint32Array): Uint8Array {
  const mine: number[] = [];
  for (let i = 0; i < keys.length; i += 2) {
    if (partitionOf(keys[i], keys[i + 1], partitions) === partition) mine.push(keys[i], keys[i + 1]);
  }
  const count = mine.length / 2;
  const gradients = new Float32Array(ids.dim * count).fill(1);
  const section = { table: 0, dim: ids.dim, count, keys: Uint32Array.from(mine), gradients, curvature: null };
  const mark = { producer: 'p', sequence: 1, previous: 0, model: file.name, timeMs: 0, partition };
  return encodeGradientBlock({ ...mark, fingerprint: fingerprintOf(file), sections: [section] });
}

export interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  readonly client: PullClient;
  /** @param ready  partitions that it says it answers for; all when left out */
  lease(shard: string, port: number, ready?: readonly number[]): Promise<void>;
  map(epoch: number, shards: string[], owners: number[][], former?: number[][]): Promise<PartitionMap>;
}

export async function openStage(change: Partial<PullClientOptions> = {}): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(bus, clock);
  const client = createPullClient({
    network: createTcpNetwork(),
    view,
    clock,
    cluster: 'demo',
    role: 'test',
    requestTimeoutMs,
    ...change,
  });
  onTestFinished(async () => {
    client.close();
    await view.close();
  });
  let renewal = 0;
  return {
    bus,
    clock,
    view,
    client,
    async lease(shard, port, ready = allPartitions) {
      renewal += 1;
      const counts = { rows: 0, bytes: 0, sequence: 0, applied: 0, duplicates: 0, rejected: 0 };
      const models: ModelLease[] = [
        {
          model: 'ads',
          epoch: 1,
          partitions,
          ready: ready.length,
          ...counts,
          readyPartitions: partitionSetText(partitions, (partition) => ready.includes(partition)),
          behind: 0,
          stalenessMs: null,
        },
      ];
      const lease = {
        shard,
        startedMs: 1,
        renewal,
        host: '127.0.0.1',
        port,
        zone: '',
        draining: false,
        models,
      };
      await (await bus.kv('shards')).put(shard, encodeShardLease(lease));
    },
    async map(epoch, shards, owners, former) {
      const map = { model: 'ads', epoch, shards, owners, ...(former && { former }) };
      await (await bus.kv('maps')).put('ads', encodePartitionMap(map));
      return map;
    },
  };
}

/** Distinct keys in an order that has nothing to do with their partitions. */
export function keysOf(count: number): Uint32Array {
  return Uint32Array.from({ length: 2 * count }, (_, i) =>
    i % 2 === 0 ? (i * 2_654_435_761 + 17) >>> 0 : i * 7,
  );
}

export function requestOf(
  keys: Uint32Array,
  options: { readonly layout?: TableLayout; readonly onAbsent?: 'default' | 'fail' } = {},
): PullRequest {
  const { layout = ids, onAbsent = 'fail' } = options;
  const count = keys.length / 2;
  const out = new Float32Array(count * layout.dim).fill(Number.NaN);
  return { model: 'ads', layout, keys, count, out, marks: createReadMarks(), onAbsent };
}

export function firstRows({ keys, count, layout }: PullRequest): number[] {
  const rows = new Float32Array(count * layout.dim);
  for (let i = 0; i < count; i += 1) {
    writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], rows, i * layout.dim);
  }
  return Array.from(rows);
}

export const steppedRows = (request: PullRequest) => firstRows(request).map((w) => Math.fround(w - 1));

export const marksOf = ({ marks }: PullRequest) =>
  Array.from({ length: marks.count }, (_, i) => [marks.partitions[i], marks.sequences[i]]).sort(
    ([a], [b]) => a - b,
  );

/** True for both words of a key that falls on an even partition. */
export const onEven = (keys: Uint32Array, i: number) =>
  partitionOf(keys[i & ~1], keys[i | 1], partitions) % 2 === 0;
export const halves = allPartitions.map((partition) => [partition % 2]);
export const even = allPartitions.filter((partition) => partition % 2 === 0);
export const odd = allPartitions.filter((partition) => partition % 2 === 1);
/** Owners take turns by partition: even ones are asked of the first. */
export const both = allPartitions.map(() => [0, 1]);

/** Two shards that hold everything, each asked for one half. */
export async function openTwins(
  change: Partial<PullClientOptions> = {},
): Promise<Stage & { readonly a: ServedShard; readonly b: ServedShard }> {
  const stage = await openStage(change);
  const learned = keysOf(3_000);
  const a = await serve({ shard: 'a', held: allPartitions, learned });
  const b = await serve({ shard: 'b', held: allPartitions, learned });
  await stage.lease('a', a.port);
  await stage.lease('b', b.port);
  await stage.map(1, ['a', 'b'], both);
  return { ...stage, a, b };
}
