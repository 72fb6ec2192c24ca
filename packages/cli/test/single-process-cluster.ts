/**
 * A whole cluster in one process: the very code of shard, inference node and updater on the memory bus, with a clock that
 * is moved by hand. Reads go straight to the shard's memory. One writer, one reader, no timer: twice the same input gives
 * twice the same bytes.
 */
import { createHash } from 'node:crypto';
import { addReadMark, type RowSource } from '@millrace/client';
import { denseHash, pullRows } from '@millrace/core';
import { createScoringCore, type ScoringCore } from '@millrace/inference';
import type { EngineName } from '@millrace/model';
import { invariant, type ModelFile, partitionsMax } from '@millrace/protocol';
import {
  createManualClock,
  createMemoryBus,
  type Logger,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import {
  createModelShard,
  followPartition,
  type ModelShard,
  openPartition,
  type PartitionFollower,
  reportPartitions,
  takePartition,
} from '@millrace/shard';
import { type ModelUpdater, startModelUpdater } from '@millrace/updater';

export interface SingleProcessOptions {
  readonly file: ModelFile;
  readonly engine: 'auto' | EngineName;
  readonly logger: Logger;
  readonly startMs: number;
  /** Examples of one gradient step. */
  readonly batchExamplesMax: number;
  /** Default: one that forgets what all have read. */
  readonly bus?: MemoryBus;
}

export interface SingleProcessCluster {
  readonly core: ScoringCore;
  readonly updater: ModelUpdater;
  readonly clock: ManualClock;
  readonly bus: MemoryBus;
  readonly shard: ModelShard;
  /** SHA-256 over all partitions and the dense weights, hex. */
  stateHash(): string;
  close(): Promise<void>;
}

export async function openSingleProcessCluster(options: SingleProcessOptions): Promise<SingleProcessCluster> {
  const { file, logger, engine } = options;
  let failure: Error | null = null;
  const onFailed = (error: Error) => {
    failure ??= error;
  };
  const bus = options.bus ?? createMemoryBus({ retain: { events: false, gradients: false, dense: false } });
  const clock = createManualClock(options.startMs);
  // Leases do not lapse in one process, so what watches them has a clock that stands still.
  const view = await watchCluster(bus, createManualClock(options.startMs));
  const shard = createModelShard(file);
  const rows = localRows(shard);
  const followers: PartitionFollower[] = [];
  for (let partition = 0; partition < shard.partitions; partition += 1) {
    const state = takePartition(shard, partition);
    const follower = await followPartition(bus, state, {
      onCaughtUp: () => openPartition(shard, partition),
      onRejected: (sequence, reason) => onFailed(new Error(`block ${sequence} rejected: ${reason}`)),
      onHole: (sequence) => onFailed(new Error(`the log lacks a block before ${sequence}`)),
      onTrimmed: (before) => onFailed(new Error(`the log was trimmed before ${before}`)),
      onInterrupted: onFailed,
      onFailed,
    });
    followers.push(follower);
  }
  let requests = 0;
  const core = createScoringCore({
    bus,
    view,
    clock,
    logger,
    cluster: 'backtest',
    rows,
    archive: null,
    engine,
    limits: { rowsMax: 4_096, delayUs: 0, queueRowsMax: 1_000_000, lanes: 1 },
    swapEveryMs: 0,
    newRequestId: () => {
      requests += 1;
      return String(requests);
    },
    onFailed,
  });
  await core.createModel(file.name, file);
  const updater = await startModelUpdater(file, {
    bus,
    clock,
    logger,
    rows,
    engine,
    batchExamplesMax: options.batchExamplesMax,
    drive: 'manual',
    writer: 'backtest',
    archive: null,
    snapshotEveryMs: 0,
    snapshotChains: 2,
    onFailed,
  });
  return {
    core,
    updater,
    clock,
    bus,
    shard,
    stateHash() {
      if (failure) throw failure;
      const hash = createHash('sha256');
      for (const { stateHash } of reportPartitions(shard)) hash.update(stateHash);
      return hash.update(denseHash(updater.dense)).digest('hex');
    },
    async close() {
      await updater.close();
      await core.close();
      for (const follower of followers) await follower.close();
      await view.close();
      await bus.close();
      if (failure) throw failure;
    },
  };
}

const touched = new Uint16Array(partitionsMax);

/** Rows straight from a shard that holds every partition. */
function localRows(shard: ModelShard): RowSource {
  return {
    async pull({ layout, keys, count, out, marks }) {
      const table = shard.layouts.findIndex(({ tableId }) => tableId === layout.tableId);
      const met = pullRows(shard.readable[table], keys, count, out, 0, touched);
      invariant(met >= 0, 'every partition is in this process');
      for (let i = 0; i < met; i += 1)
        addReadMark(marks, touched[i], shard.states[touched[i]]?.sequence ?? 0);
      return { degraded: false };
    },
  };
}
