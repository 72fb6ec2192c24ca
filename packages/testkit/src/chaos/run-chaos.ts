/**
 * A running cluster under load while its parts are killed, stopped and cut off in turn, one at a time: the next harm is done
 * only when the cluster is whole again. Then everything that was answered is compared with everything that was learned.
 */
import { type ModelFile, partitionsDefault, replicasDefault } from '@millrace/protocol';
import { countingModel } from '../counting-model.ts';
import { eventually, pause } from '../eventually.ts';
import { type LocalClusterFixture, startLocalCluster } from '../local-cluster-fixture.ts';
import { auditOf, countsOfRequests, storedIn } from './audit.ts';
import { auditBlockChains } from './block-chains.ts';
import { type ChaosLoad, type Ledger, startChaosLoad } from './chaos-load.ts';
import { type ChaosReport, harmCounts, quantile, recoveryOf, rounded } from './chaos-report.ts';
import { type Harm, type HarmTarget, harmsFrom } from './harms.ts';
import { harmText, inflict, processOf } from './inflict.ts';
import { settledEvents } from './settle.ts';
import { verifyCluster } from './verify-cluster.ts';
import { type Before, type Wholeness, watchWholeness } from './wholeness.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** New harms are begun for so long. */
  readonly seconds: number;
  /** Or until so many are done. Default: no limit. */
  readonly harmsMax?: number;
  readonly shards: number;
  readonly inference: number;
  /** A stop or a cut lasts between these. */
  readonly lastsMsMin: number;
  readonly lastsMsMax: number;
  /** Settings of all processes, over those that make snapshots frequent. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the run early, as if its time were over. */
  readonly signal?: AbortSignal;
  readonly watch: ChaosWatch;
}

export interface ChaosWatch {
  /** Told in plain words what is being done. */
  say(line: string): void;
  /** Told a few times a second. */
  progress(sight: ChaosSight): void;
}

export interface ChaosSight {
  readonly seconds: number;
  readonly harms: number;
  /** What is being harmed, or what is not back yet. */
  readonly now: string;
  readonly scored: number;
  readonly failed: number;
  readonly degraded: number;
}

/** So that recoveries start from snapshots and the log is trimmed many times in a run. */
const frequentSnapshots = { MILL_SNAPSHOT_EVERY_MS: '2000' };
/** Time between a whole cluster and the next harm. */
const calmMs = 500;
const wholeMsMax = 60_000;
const lookMs = 100;
const sightMs = 250;
const callers = 4;
const callerPauseMs = 10;
/** Beyond what a stop can hold up a request that another node has answered meanwhile, or a click. */
const joinMarginMs = 6_000;
const failuresTold = 5;

/** @throws when the cluster does not start, or does not become whole again. It is stopped and its directory removed in any case. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { shards, inference, watch } = options;
  const joinWindowMs = options.lastsMsMax + joinMarginMs;
  const file = countingModel('chaos', { joinWindowMs, batchDelayMs: 20 });
  watch.say(`starting ${shards} shards, ${inference} inference nodes, an updater and nats-server`);
  const env = { ...frequentSnapshots, ...options.env };
  const cluster = await startLocalCluster({ shards, inference, natsWays: 'own', env });
  let load: ChaosLoad | null = null;
  let wholeness: Wholeness | null = null;
  try {
    await cluster.client.createModel(file);
    wholeness = await watchWholeness(cluster, await cluster.bus(), file.name, shards);
    load = startChaosLoad({
      urls: cluster.urls,
      model: file.name,
      callers,
      pauseMs: callerPauseMs,
      clickPatienceMs: joinWindowMs - 2_000,
    });
    const done = await harmInTurn(options, cluster, load, wholeness);
    watch.say('load stops');
    const ledger = await load.stop();
    watch.say('waiting until everything is learned');
    return await reportOn({ options, env, cluster, file, ledger, wholeness, done });
  } finally {
    await load?.stop().catch(() => undefined);
    await wholeness?.close().catch(() => undefined);
    await cluster.remove();
  }
}

interface Done {
  readonly harms: readonly Harm[];
  readonly recoveries: ReadonlyMap<HarmTarget, readonly number[]>;
  readonly seconds: number;
}

async function harmInTurn(
  options: ChaosOptions,
  cluster: LocalClusterFixture,
  load: ChaosLoad,
  wholeness: Wholeness,
): Promise<Done> {
  const { seconds, harmsMax = Number.POSITIVE_INFINITY, signal, watch } = options;
  const harms: Harm[] = [];
  const recoveries = new Map<HarmTarget, number[]>();
  const startedMs = performance.now();
  const elapsed = () => (performance.now() - startedMs) / 1_000;
  let now = 'whole';
  const redraw = setInterval(() => {
    const { scored, failures, degraded } = load.ledger;
    const counts = { scored: scored.size, failed: failures.length, degraded: degraded.size };
    watch.progress({ seconds: elapsed(), harms: harms.length, now, ...counts });
  }, sightMs);
  const becomesWhole = async (before: Before, killed: string | null) => {
    const check = async () => {
      const missing = await wholeness.missing(before, killed);
      now = missing ?? 'whole';
      if (missing !== null) throw new Error(missing);
    };
    await eventually(check, { withinMs: wholeMsMax, everyMs: lookMs });
  };
  try {
    await becomesWhole(wholeness.before(), null);
    for (const harm of harmsFrom(options)) {
      await pause(calmMs);
      if (signal?.aborted || elapsed() >= seconds || harms.length >= harmsMax) break;
      now = harmText(harm);
      watch.say(`${elapsed().toFixed(1).padStart(6)} s  ${now}`);
      harms.push(harm);
      const failedBefore = load.ledger.failures.length;
      const degradedBefore = load.ledger.degraded.size;
      const before = wholeness.before();
      const { back } = await inflict(cluster, harm);
      const overMs = performance.now();
      now = `${processOf(harm)} not back`;
      await back;
      await becomesWhole(before, harm.kind === 'kill' ? processOf(harm) : null).catch((error: Error) => {
        throw new Error(`${processOf(harm)} was harmed and the cluster is not whole again: ${error.message}`);
      });
      const recovery = (performance.now() - overMs) / 1_000;
      recoveries.set(harm.target, [...(recoveries.get(harm.target) ?? []), recovery]);
      const failed = load.ledger.failures.length - failedBefore;
      const degraded = load.ledger.degraded.size - degradedBefore;
      watch.say(`          whole after ${recovery.toFixed(1)} s, ${failed} failed, ${degraded} degraded`);
    }
    return { harms, recoveries, seconds: elapsed() };
  } finally {
    clearInterval(redraw);
  }
}

interface ReportInput {
  readonly options: ChaosOptions;
  readonly env: Readonly<Record<string, string>>;
  readonly cluster: LocalClusterFixture;
  readonly file: ModelFile;
  readonly ledger: Ledger;
  readonly wholeness: Wholeness;
  readonly done: Done;
}

async function reportOn({
  options,
  env,
  cluster,
  file,
  ledger,
  wholeness,
  done,
}: ReportInput): Promise<ChaosReport> {
  const bus = await cluster.bus();
  const events = await settledEvents(bus, file.name, wholeness);
  const statesMin = (file.partitions ?? partitionsDefault) * Math.min(replicasDefault, options.shards);
  const verify = await verifyCluster(cluster, { model: file.name, statesMin, env });
  const sent = [...new Set([...ledger.scored, ...ledger.failures.map(({ request }) => request)])];
  const counts = await countsOfRequests(bus, file, sent);
  const audit = auditOf(ledger, storedIn(events), counts);
  const chains = await auditBlockChains(bus, file);
  if (audit.suspects.length > 0) options.watch.say(`suspect requests: ${audit.suspects.join(', ')}`);
  return {
    seed: options.seed,
    seconds: rounded(done.seconds, 1),
    kills: done.harms.length,
    harms: harmCounts(done.harms),
    scored: ledger.scored.size,
    failedScores: ledger.failures.length,
    degradedScores: ledger.degraded.size,
    acknowledgedClicks: ledger.acknowledged.size,
    learnedClicks: audit.learnedClicks,
    lostBlocks: chains.lost,
    doubleApplied: audit.doubleExamples,
    lostExamples: audit.lostExamples,
    lostClicks: audit.lostClicks,
    doubleClicks: audit.doubleClicks,
    lostImpressions: audit.lostImpressions,
    clicksWithoutImpression: audit.clicksWithoutImpression,
    recoverySeconds: Object.fromEntries(
      [...done.recoveries].map(([target, seconds]) => [target, recoveryOf(seconds)]),
    ),
    verify,
    trimmedPartitions: (await (await bus.kv('trims')).keys()).length,
    p50Ms: rounded(quantile(ledger.latenciesMs, 0.5), 1),
    p99Ms: rounded(quantile(ledger.latenciesMs, 0.99), 1),
    failures: ledger.failures
      .slice(0, failuresTold)
      .map(({ atMs, code, message }) => `${(atMs / 1_000).toFixed(1)} s ${code}: ${message}`),
  };
}
