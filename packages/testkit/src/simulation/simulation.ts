/**
 * Seeded disorder over the production code, and what must hold after it:
 *
 *   each example is learned once            the rows of a counting model tell, and the learned and positive counts
 *   the log is the truth                    a fold of it from nothing equals every shard, and the dense weights everywhere
 *   nothing stops                           no defect, no hole, no score refused
 *
 * Updaters die before and after writes, freeze while others take over and wake up behind them; shards lag and start anew;
 * answers of the log get lost; blocks come twice, damaged, and in the wrong place.
 */
import type { ModelFile } from '@millrace/protocol';
import { createDisorder } from './disorder.ts';
import { randomFrom } from './random.ts';
import { openSimulatedCluster, type SimulatedCluster, type SimulatedUpdater } from './simulated-cluster.ts';
import { createTraffic, type Traffic } from './traffic.ts';
import { verify } from './verify.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** With a join window, and `plain` to compute. */
  readonly file: ModelFile;
  readonly steps: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly visits: number;
  readonly examples: number;
  readonly clicks: number;
  /** Updaters that were started, and those that found themselves superseded. */
  readonly updaters: number;
  readonly fenced: number;
  readonly shardRestarts: number;
  readonly batches: number;
  readonly duplicateBlocks: number;
  readonly rejectedBlocks: number;
  /** Equal for equal seeds. */
  readonly stateHash: string;
  /** What was broken; empty when all is well. */
  readonly violations: readonly string[];
}

/** Runs one simulation to its end. Nothing in it depends on the machine or the time of day. */
export async function simulate({ seed, file, steps }: SimulationOptions): Promise<SimulationReport> {
  const random = randomFrom(seed);
  const cluster = await openSimulatedCluster(file, random);
  const windowMs = file.learning?.joinWindowMs ?? 0;
  const traffic = createTraffic(cluster, windowMs, random);
  const disorder = createDisorder(cluster, random);
  await disorder.startUpdater();
  for (let step = 0; step < steps; step += 1) {
    await traffic.visit();
    if (random.chance(0.02)) await traffic.appendJunk();
    await disorder.step();
    const ms = random.chance(0.01) ? 2 * windowMs : 1 + random.whole(60);
    await passTime(cluster, traffic, ms);
  }
  const last = await disorder.end();
  await settle(cluster, traffic, last);
  const { ledger } = traffic;
  const { fold, stateHash, violations } = await verify({ cluster, ledger, disorder, last });
  return {
    seed,
    visits: ledger.visits,
    examples: ledger.examples,
    clicks: ledger.clicks,
    updaters: cluster.updaters.length,
    fenced: cluster.updaters.filter(({ failure }) => failure === 'MILL_FENCED').length,
    shardRestarts: disorder.shardRestarts,
    batches: fold.batches.length,
    duplicateBlocks: fold.duplicates,
    rejectedBlocks: fold.rejected,
    stateHash,
    violations,
  };
}

const sliceMs = 25;
const settleSlicesMax = 4_000;

async function passTime(cluster: SimulatedCluster, traffic: Traffic, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= sliceMs) {
    cluster.clock.advanceBy(Math.min(sliceMs, left));
    await cluster.turn();
    await traffic.sendDue();
  }
  await cluster.turn();
}

/** Lets time pass until all that was sent is learned; visits go on until late outcomes have found their windows closed. */
async function settle(cluster: SimulatedCluster, traffic: Traffic, last: SimulatedUpdater): Promise<void> {
  for (let slices = 0; slices < settleSlicesMax; slices += 1) {
    const { learned, openImpressions } = last.updater.counters;
    const isDone = learned === traffic.ledger.examples && openImpressions === 0;
    if (traffic.outcomesDue === 0 && isDone) return;
    if (traffic.outcomesDue > 0 && slices % 100 === 0) await traffic.visit();
    await passTime(cluster, traffic, sliceMs);
  }
}
