/**
 * A cluster in one process, made of the production code of shards, inference node and updaters, on a memory bus and a clock
 * that is moved by hand. Shards can lag and lose their memory; updaters come, freeze, die and come back, several at a time.
 */
import { addReadMark, type ReadMarks, type RowSource } from '@millrace/client';
import { pullRows } from '@millrace/core';
import { createScoringCore, type ScoringCore } from '@millrace/inference';
import { invariant, MillraceError, type ModelFile, partitionsMax, reasonFrom } from '@millrace/protocol';
import {
  createLogger,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import {
  createModelShard,
  followPartition,
  type ModelShard,
  openPartition,
  takePartition,
} from '@millrace/shard';
import { type ModelUpdater, startModelUpdater } from '@millrace/updater';
import { createMortalProcess, type MortalProcess, type WriteFate } from './mortal-process.ts';
import type { Random } from './random.ts';

export interface SimulatedUpdater {
  readonly process: MortalProcess;
  readonly updater: ModelUpdater;
  /** Code of the error that ended it, '' while none has. */
  failure: string;
}

export interface SimulatedShard {
  readonly process: MortalProcess;
  readonly shard: ModelShard;
}

export interface SimulatedCluster {
  readonly file: ModelFile;
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly core: ScoringCore;
  readonly shards: SimulatedShard[];
  readonly updaters: SimulatedUpdater[];
  /** What the node's writes meet; set around single calls. */
  nodeFate: WriteFate;
  /** What must never happen and did. */
  readonly defects: string[];
  startUpdater(options: UpdaterFaults): Promise<SimulatedUpdater>;
  /** Kills a shard and starts it with an empty memory. */
  restartShard(place: number): Promise<void>;
  /** Lets everything that is under way come to rest. */
  turn(): Promise<void>;
}

export interface UpdaterFaults {
  readonly fateOfWrite: () => WriteFate;
  readonly keepsMessageIds: boolean;
}

const startMs = 1_700_000_000_000;
const logger = createLogger({ service: 'simulation', level: 'silent' });

export async function openSimulatedCluster(file: ModelFile, random: Random): Promise<SimulatedCluster> {
  const bus = createMemoryBus();
  const clock = createManualClock(startMs);
  // Leases are no part of this simulation, so what watches them has a clock that stands still.
  const view = await watchCluster(bus, createManualClock(startMs));
  const shards: SimulatedShard[] = [];
  const defects: string[] = [];
  const rows = rowsOf(shards, random);
  const node = createMortalProcess({
    bus,
    clock,
    rows,
    fateOfWrite: () => cluster.nodeFate,
    keepsMessageIds: true,
  });
  let requests = 0;
  const core = createScoringCore({
    bus: node.bus,
    view,
    clock,
    logger,
    cluster: 'simulation',
    rows,
    engine: 'plain',
    limits: { rowsMax: 512, delayUs: 0, queueRowsMax: 10_000, lanes: 1 },
    swapEveryMs: 0,
    newRequestId: () => {
      requests += 1;
      return `unnamed-${requests}`;
    },
    onFailed: (error) => defects.push(`node: ${error.message}`),
  });
  const cluster: SimulatedCluster = {
    file,
    bus,
    clock,
    core,
    shards,
    updaters: [],
    nodeFate: 'done',
    defects,
    async startUpdater(faults) {
      const process = createMortalProcess({ bus, clock, rows, ...faults });
      const onFailed = (error: Error) => {
        simulated.failure = error instanceof MillraceError ? error.code : reasonFrom(error);
        process.kill();
      };
      const updater = await startModelUpdater(file, {
        ...process,
        logger,
        engine: 'plain',
        drive: 'timers',
        onFailed,
      });
      const simulated: SimulatedUpdater = { process, updater, failure: '' };
      cluster.updaters.push(simulated);
      return simulated;
    },
    async restartShard(place) {
      shards[place].process.kill();
      shards[place] = await startShard(cluster);
    },
    turn: async () => {
      // A batch of scores leaves with one turn of the event loop; everything else comes to rest within a turn.
      for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    },
  };
  shards.push(await startShard(cluster), await startShard(cluster));
  await core.createModel(file.name, file);
  return cluster;
}

async function startShard({ bus, clock, file, defects }: SimulatedCluster): Promise<SimulatedShard> {
  const shard = createModelShard(file);
  const noRows: RowSource = { pull: async () => ({ degraded: false }) };
  const fateOfWrite = (): WriteFate => 'done';
  const process = createMortalProcess({ bus, clock, rows: noRows, fateOfWrite, keepsMessageIds: true });
  for (let partition = 0; partition < shard.partitions; partition += 1) {
    const state = takePartition(shard, partition);
    await followPartition(process.bus, state, {
      onCaughtUp: () => openPartition(shard, partition),
      // Junk is thrown into the log on purpose; that it is passed over is told by the fold.
      onRejected: () => undefined,
      onHole: (sequence) =>
        defects.push(`the log of partition ${partition} lacks a block before ${sequence}`),
      onFailed: (error) => defects.push(`shard: ${error.message}`),
    });
  }
  return { process, shard };
}

const touched = new Uint16Array(partitionsMax);

/** Rows of any of the shards that have all partitions open, as a client would meet them. */
function rowsOf(shards: readonly SimulatedShard[], random: Random): RowSource {
  return {
    async pull({ layout, keys, count, out, marks, onAbsent }) {
      if (onAbsent === 'fail' && random.chance(0.03))
        throw new MillraceError('MILL_SHARD_UNAVAILABLE', 'no owner answers in the simulation');
      const { shard } = random.pick(shards);
      const table = shard.layouts.findIndex(({ tableId }) => tableId === layout.tableId);
      const met = pullRows(shard.readable[table], keys, count, out, 0, touched);
      if (met < 0) throw new MillraceError('MILL_NOT_READY', 'the shard of the simulation catches up');
      noteRead(shard, marks, met);
      return { degraded: false };
    },
  };
}

function noteRead(shard: ModelShard, marks: ReadMarks, met: number): void {
  for (let i = 0; i < met; i += 1) {
    const state = shard.states[touched[i]];
    invariant(state !== null, 'what was read is held');
    addReadMark(marks, touched[i], state.sequence);
  }
}
