/**
 * A running cluster under load while its parts are killed, stopped and cut off in turn, one at a time: the next harm is done
 * only when the cluster is whole again. Then everything that was answered is compared with everything that was learned.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { partitionsDefault, replicasDefault } from '@millrace/protocol';
import { eventually, pause } from '../eventually.ts';
import { type LocalClusterFixture, startLocalCluster } from '../local-cluster-fixture.ts';
import { auditOf, countsOfRequests, storedIn } from './audit.ts';
import { auditBlockChains } from './block-chains.ts';
import { type ChaosReport, harmCounts, quantile, recoveryOf, rounded } from './chaos-report.ts';
import { compareNodes } from './dense-agreement.ts';
import { type Harm, type HarmTarget, harmsFrom } from './harms.ts';
import { harmText, inflict, processOf } from './inflict.ts';
import { settledEvents } from './settle.ts';
import { type Subjects, startSubjects } from './subjects.ts';
import { verifyCluster } from './verify-cluster.ts';
import type { Before } from './wholeness.ts';

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
  /** Names of harms, such as `kill shard`, to do no others. Default: all. */
  readonly only?: readonly string[];
  /** Directory that the logs of all processes are copied to at the end. Default: none. */
  readonly logsTo?: string;
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
/** Beyond what a stop can hold up a request that another node has answered meanwhile, or a click. */
const joinMarginMs = 6_000;
/** A click is sent again for the join window less this. */
const clickMarginMs = 2_000;
const told = 5;

/** @throws when the cluster does not start, or does not become whole again. It is stopped and its directory removed in any case. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { shards, inference, watch } = options;
  watch.say(`starting ${shards} shards, ${inference} inference nodes, an updater and nats-server`);
  const env = { ...frequentSnapshots, ...options.env };
  const cluster = await startLocalCluster({ shards, inference, natsWays: 'own', env });
  let subjects: Subjects | null = null;
  try {
    const joinWindowMs = options.lastsMsMax + joinMarginMs;
    const clickPatienceMs = joinWindowMs - clickMarginMs;
    subjects = await startSubjects(cluster, { shards, joinWindowMs, clickPatienceMs });
    const done = await harmInTurn(options, cluster, subjects);
    watch.say('load stops');
    await subjects.stop();
    watch.say('waiting until everything is learned');
    return await reportOn({ options, env, cluster, subjects, done });
  } finally {
    await subjects?.stop().catch(() => undefined);
    await subjects?.close().catch(() => undefined);
    const { logsTo } = options;
    if (logsTo !== undefined)
      await cp(join(cluster.directory, 'logs'), logsTo, { recursive: true }).catch(() => undefined);
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
  subjects: Subjects,
): Promise<Done> {
  const { seconds, harmsMax = Number.POSITIVE_INFINITY, signal, watch } = options;
  const harms: Harm[] = [];
  const recoveries = new Map<HarmTarget, number[]>();
  const startedMs = performance.now();
  const elapsed = () => (performance.now() - startedMs) / 1_000;
  let now = 'whole';
  const redraw = setInterval(() => {
    const { scored, failures, degradedAtMs } = subjects.figures();
    watch.progress({
      seconds: elapsed(),
      harms: harms.length,
      now,
      scored,
      failed: failures.length,
      degraded: degradedAtMs.length,
    });
  }, sightMs);
  const becomesWhole = async (before: readonly Before[], killed: string | null) => {
    const check = async () => {
      const missing = await subjects.missing(before, killed);
      now = missing ?? 'whole';
      if (missing !== null) throw new Error(missing);
    };
    await eventually(check, { withinMs: wholeMsMax, everyMs: lookMs });
  };
  try {
    await becomesWhole(subjects.before(), null);
    for (const harm of harmsFrom(options)) {
      await pause(calmMs);
      if (signal?.aborted || elapsed() >= seconds || harms.length >= harmsMax) break;
      now = harmText(harm);
      watch.say(`${elapsed().toFixed(1).padStart(6)} s  ${now}`);
      harms.push(harm);
      const figuresBefore = subjects.figures();
      const before = subjects.before();
      const { back } = await inflict(cluster, harm);
      const overMs = performance.now();
      now = `${processOf(harm)} not back`;
      await back;
      await becomesWhole(before, harm.kind === 'kill' ? processOf(harm) : null).catch((error: Error) => {
        throw new Error(`${processOf(harm)} was harmed and the cluster is not whole again: ${error.message}`);
      });
      const recovery = (performance.now() - overMs) / 1_000;
      recoveries.set(harm.target, [...(recoveries.get(harm.target) ?? []), recovery]);
      const figures = subjects.figures();
      const failed = figures.failures.length - figuresBefore.failures.length;
      const degraded = figures.degradedAtMs.length - figuresBefore.degradedAtMs.length;
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
  readonly subjects: Subjects;
  readonly done: Done;
}

async function reportOn({ options, env, cluster, subjects, done }: ReportInput): Promise<ChaosReport> {
  const { counting, dense } = subjects;
  const bus = await cluster.bus();
  const events = await settledEvents(bus, counting.file.name, counting.wholeness);
  await settledEvents(bus, dense.file.name, dense.wholeness);
  const owners = Math.min(replicasDefault, options.shards);
  const partitions = [counting, dense].map(({ file }) => file.partitions ?? partitionsDefault);
  const statesMin = owners * partitions.reduce((sum, count) => sum + count, 0);
  const verify = await verifyCluster(cluster, { statesMin, env });
  const { ledger } = counting.load;
  const sent = [...new Set([...ledger.scored, ...ledger.failures.map(({ request }) => request)])];
  const audit = auditOf(ledger, storedIn(events), await countsOfRequests(bus, counting.file, sent));
  const chains = [await auditBlockChains(bus, counting.file), await auditBlockChains(bus, dense.file)];
  if (audit.suspects.length > 0) options.watch.say(`suspect requests: ${audit.suspects.join(', ')}`);
  const { scored, failures, degradedAtMs, latenciesMs } = subjects.figures();
  const at = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  return {
    seed: options.seed,
    seconds: rounded(done.seconds, 1),
    kills: done.harms.length,
    harms: harmCounts(done.harms),
    scored,
    failedScores: failures.length,
    degradedScores: degradedAtMs.length,
    acknowledgedClicks: ledger.acknowledged.size,
    learnedClicks: audit.learnedClicks,
    lostBlocks: chains.reduce((sum, { lost }) => sum + lost, 0),
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
    denseNodes: await compareNodes(cluster.urls, bus, dense.file),
    trimmedLogs: (await (await bus.kv('trims')).keys()).length,
    p50Ms: rounded(quantile(latenciesMs, 0.5), 1),
    p99Ms: rounded(quantile(latenciesMs, 0.99), 1),
    failures: [
      ...failures.slice(0, told).map(({ atMs, code, message }) => `${at(atMs)} ${code}: ${message}`),
      ...degradedAtMs.slice(0, told).map((atMs) => `${at(atMs)} degraded`),
    ],
  };
}
