/**
 * A cluster of real processes under load goes from two shards to three and back, and everything that was answered is compared
 * with everything that was learned.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { PartitionMap } from '@millrace/protocol';
import { type Bus, createLogger, systemClock, watchCluster } from '@millrace/runtime';
import {
  auditBlockChains,
  auditOf,
  type ChaosLoad,
  compareOwners,
  countingModel,
  countsOfRequests,
  eventually,
  type LocalClusterFixture,
  pause,
  settledEvents,
  startChaosLoad,
  startLocalCluster,
  startMillrace,
  storedIn,
  watchWholeness,
} from '@millrace/testkit';
import { quantile, rounded } from '../common/statistics.ts';
import { createLogWriter } from '../recover/fill-log.ts';
import { movedShare } from './moved-share.ts';
import type { ReshardParameters } from './parameters.ts';

export interface ReshardResult {
  readonly failedScores: number;
  readonly degradedScores: number;
  readonly lostBlocks: number;
  readonly doubleApplied: number;
  readonly lostExamples: number;
  /** Owners that are new after a move, over all owners: 2 → 3 shards, 3 → 2 shards. */
  readonly movedShareUp: number;
  readonly movedShareDown: number;
  /** From the start, or the end, of the third shard's process to every partition having its owners ready. */
  readonly secondsUp: number;
  readonly secondsDown: number;
  readonly scored: number;
  readonly scoreMsP99: { readonly calm: number; readonly moving: number };
  /** `equal`, or how the owners of a partition differ at the end. */
  readonly owners: string;
}

export interface ReshardBenchOptions extends ReshardParameters {
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

export const steps = 6;
const wholeMsMax = 120_000;
const joinWindowMs = 6_000;
const third = 'shard-2';

export async function runReshardBench(options: ReshardBenchOptions): Promise<ReshardResult> {
  options.onStep(0, 'starting a cluster of two shards');
  const cluster = await startLocalCluster({ shards: 2, env: { MILL_SNAPSHOT_EVERY_MS: '2000' } });
  let load: ChaosLoad | null = null;
  try {
    const file = {
      ...countingModel('reshard', { joinWindowMs, batchDelayMs: 20 }),
      partitions: options.partitions,
    };
    await cluster.client.createModel(file);
    const bus = await cluster.bus();
    options.onStep(1, `filling ${options.rows} rows`);
    await createLogWriter(bus, file, 1).touch(0, options.rows);
    await becomesWhole(cluster, bus, file.name, 2);
    load = startChaosLoad({
      urls: cluster.urls,
      model: file.name,
      callers: options.callers,
      pauseMs: 10,
      clickPatienceMs: joinWindowMs - 2_000,
    });
    const moves = await moveUpAndDown(cluster, bus, file.name, load, options);
    options.onStep(5, 'waiting until everything is learned');
    const ledger = await load.stop();
    const wholeness = await watchWholeness(cluster, bus, file.name, 2);
    const events = await settledEvents(bus, file.name, wholeness).finally(() => wholeness.close());
    const { verdict } = await compareOwners(cluster, file.name);
    const sent = [...new Set([...ledger.scored, ...ledger.failures.map(({ request }) => request)])];
    const audit = auditOf(ledger, storedIn(events), await countsOfRequests(bus, file, sent));
    const chains = await auditBlockChains(bus, file);
    return {
      failedScores: ledger.failures.length,
      degradedScores: ledger.degraded.size,
      lostBlocks: chains.lost,
      doubleApplied: audit.doubleExamples,
      lostExamples: audit.lostExamples,
      ...moves,
      scored: ledger.scored.size,
      owners: verdict,
    };
  } finally {
    await load?.stop().catch(() => undefined);
    await cluster.remove();
  }
}

async function moveUpAndDown(
  cluster: LocalClusterFixture,
  bus: Bus,
  model: string,
  load: ChaosLoad,
  { calmMs, onStep }: ReshardBenchOptions,
) {
  const view = await watchCluster(bus, systemClock, createLogger({ service: 'bench', level: 'silent' }));
  const mapNow = () => view.mapOf(model) as PartitionMap;
  try {
    onStep(2, 'load on two shards');
    await pause(calmMs);
    const two = mapNow();
    const calmScores = load.ledger.latenciesMs.length;
    onStep(3, 'a third shard joins');
    const upMs = performance.now();
    const shard = startMillrace(['shard'], {
      env: {
        MILL_NATS_URL: cluster.natsUrl,
        MILL_SHARD_ID: third,
        MILL_SHARD_DATA: join(cluster.directory, third),
        MILL_LOG_LEVEL: 'error',
      },
    });
    const exited = once(shard, 'exit');
    await becomesWhole(cluster, bus, model, 3);
    const secondsUp = (performance.now() - upMs) / 1_000;
    const three = mapNow();
    await pause(calmMs);
    onStep(4, 'it leaves again');
    const downMs = performance.now();
    shard.kill('SIGTERM');
    await exited;
    await becomesWhole(cluster, bus, model, 2);
    const secondsDown = (performance.now() - downMs) / 1_000;
    const moving = load.ledger.latenciesMs.slice(calmScores);
    await pause(calmMs);
    return {
      movedShareUp: rounded(movedShare(two, three)),
      movedShareDown: rounded(movedShare(three, mapNow())),
      secondsUp: rounded(secondsUp),
      secondsDown: rounded(secondsDown),
      scoreMsP99: {
        calm: rounded(quantile(load.ledger.latenciesMs.slice(0, calmScores), 0.99)),
        moving: rounded(quantile(moving, 0.99)),
      },
    };
  } finally {
    await view.close();
  }
}

async function becomesWhole(
  cluster: LocalClusterFixture,
  bus: Bus,
  model: string,
  shards: number,
): Promise<void> {
  const wholeness = await watchWholeness(cluster, bus, model, shards);
  const before = { learned: -1, leases: new Map() };
  const check = async () => {
    const missing = await wholeness.missing(before);
    if (missing !== null) throw new Error(missing);
  };
  await eventually(check, { withinMs: wholeMsMax, everyMs: 50 }).finally(() => wholeness.close());
}
