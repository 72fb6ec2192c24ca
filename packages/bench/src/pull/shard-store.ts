/** Starts the shard process and reads it through the client that inference nodes and updaters use. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createPullClient, createReadMarks, type PullClient } from '@millrace/client';
import { tableLayouts } from '@millrace/core';
import { MillraceError, type ModelFile, type PartitionMap, partitionSetText } from '@millrace/protocol';
import { type ClusterView, createTcpNetwork, type ShardSight, systemClock } from '@millrace/runtime';
import { forkBeside } from '../common/fork.ts';
import type { PullParameters } from './parameters.ts';
import type { RowStore } from './row-store.ts';
import type { ShardReady } from './shard-process.ts';
import { benchModel } from './workload.ts';

export interface ShardStore extends RowStore {
  /** What the shard measured in its own process. */
  readonly ready: ShardReady;
}

/** The shard is filled and listens when this resolves. */
export async function openShardStore(parameters: PullParameters): Promise<ShardStore> {
  const child = forkBeside('./shard-process', import.meta.url, [JSON.stringify(parameters)]);
  try {
    const ready = await readyOf(child);
    const file = benchModel(parameters.partitions, parameters.seed);
    const client = createPullClient({
      network: createTcpNetwork(),
      view: viewOf(file, ready.port),
      clock: systemClock,
      cluster: 'bench',
      role: 'bench',
      requestTimeoutMs: 10_000,
    });
    const close = async () => {
      client.close();
      await end(child);
    };
    return { name: 'millrace', answersUnknown: true, ready, ask: askThrough(client, file), close };
  } catch (error) {
    await end(child);
    throw error;
  }
}

function askThrough(client: PullClient, file: ModelFile): RowStore['ask'] {
  const [layout] = tableLayouts(file);
  const marks = createReadMarks();
  return async ({ keys, count }, out) => {
    marks.count = 0;
    await client.pull({ model: file.name, layout, keys, count, out, marks, onAbsent: 'fail' });
  };
}

async function readyOf(child: ChildProcess): Promise<ShardReady> {
  const stop = new AbortController();
  const { signal } = stop;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new MillraceError('MILL_INTERNAL', `the shard process ended with ${code} before it was ready`);
  });
  try {
    const [ready] = await Promise.race([once(child, 'message', { signal }), ended]);
    return ready as ShardReady;
  } finally {
    ended.catch(() => {});
    stop.abort();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  // Its word to end: it exits by itself, so that a profile that it was asked for (--cpu-prof) is written.
  child.disconnect();
  await exited;
}

/** A cluster that never changes: one live shard that owns and has ready all there is. */
function viewOf(file: ModelFile, port: number): ClusterView {
  const shard = 'bench-1';
  const partitions = file.partitions ?? 0;
  const owners = Array.from({ length: partitions }, () => [0]);
  const map = { model: file.name, epoch: 1, shards: [shard], owners } as PartitionMap;
  const counts = {
    rows: 0,
    bytes: 0,
    sequence: 0,
    applied: 0,
    duplicates: 0,
    rejected: 0,
    readyPartitions: partitionSetText(partitions, () => true),
    behind: 0,
    stalenessMs: null,
  };
  const models = [{ model: file.name, epoch: 1, partitions, ready: partitions, ...counts }];
  const address = { host: '127.0.0.1', port };
  const lease = { shard, startedMs: 0, renewal: 0, ...address, zone: '', draining: false, models };
  const sights: readonly ShardSight[] = [{ lease, live: true }];
  return {
    models: new Map([[file.name, file]]),
    mapOf: () => map,
    mapRevisionOf: () => 1,
    offerMap() {},
    shards: () => sights,
    quiet: false,
    isAwaited: () => false,
    onChange: () => () => {},
    waitFor: async () => {},
    close: async () => {},
  };
}
