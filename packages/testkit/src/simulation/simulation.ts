/**
 * One run of the whole product: shards, inference nodes and updaters of production code on a simulated NATS, network, clock
 * and disk, under seeded harm, held against the invariants as it goes and at its end. Nothing in it depends on the machine or
 * the time of day.
 */
import { jsonBytes } from '@millrace/protocol';
import { type Adversary, createAdversary, shardNames } from './adversary.ts';
import { type Audit, createAudit } from './audit.ts';
import { type Coverage, createCoverage } from './coverage.ts';
import { checkEnd, settle } from './end-check.ts';
import { type Random, randomFrom } from './random.ts';
import { checkScores } from './score-check.ts';
import { type ClusterSettings, openSimulatedCluster, type SimulatedCluster } from './simulated-cluster.ts';
import { modelFrom } from './simulation-models.ts';
import { createSnapshotAudit, type SnapshotAudit } from './snapshot-audit.ts';
import { createVisitors, type Visitors } from './visitors.ts';
import { type Climate, calm, climateFrom, weatherFrom } from './weather.ts';
import { watchWire } from './wire-watch.ts';
import { createWorld, type Violation } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** The run ends as soon as this invariant is broken; null: it goes to its end. Default null. */
  readonly until?: string | null;
  /** Told of each event of the trace. */
  readonly onNote?: (atMs: number, text: string) => void;
  /** Told of each line that a process logs. */
  readonly onLog?: (line: string) => void;
}

export interface SimulationReport {
  readonly seed: number;
  /** What was broken; empty when all is well. */
  readonly violations: readonly Violation[];
  /** Equal for equal seeds. */
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly harms: Readonly<Record<string, number>>;
  /** What the run met, by name: scores, restores, moves, … */
  readonly figures: Readonly<Record<string, number>>;
}

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { seed, steps, until = null, onNote, onLog } = options;
  const random = randomFrom(seed);
  const world = createWorld(random, onNote);
  const onRejection = (reason: unknown) =>
    world.violate(
      'defect',
      `a promise was left to reject: ${reason instanceof Error ? reason.stack : reason}`,
    );
  process.on('unhandledRejection', onRejection);
  try {
    const climate = climateFrom(random);
    const weather = weatherFrom(random, climate);
    const file = modelFrom(random, climate === 'absences' ? 'dense' : 'any');
    const settings = { ...settingsFrom(random, climate), ...cacheOf(seed) };
    const cluster = openSimulatedCluster({ world, weather, file, settings, ...(onLog && { onLog }) });
    const coverage = createCoverage(cluster);
    const snapshotAudit = createSnapshotAudit(cluster);
    cluster.onLeft = coverage.onLeft;
    cluster.onBlob = snapshotAudit.onBlob;
    cluster.network.watch = (shard) => watchWire(world, shard, coverage.onAnswer);
    cluster.nats.put(cluster.nats.bucket('models'), file.name, jsonBytes(file));
    startAll(cluster, random);
    const audit = createAudit(cluster);
    const visitors = createVisitors(cluster, coverage);
    const adversary = createAdversary(cluster);
    const parts = { cluster, coverage, audit, snapshotAudit, visitors, adversary };
    const isFound = () => until !== null && world.violations.some(({ invariant }) => invariant === until);
    await world.runUntil(3_000);
    for (let step = 0; step < steps && !isFound(); step += 1) await takeStep(parts, random);
    if (isFound()) return reportOf(seed, parts, 0);
    adversary.relent();
    calm(weather);
    await settle(cluster, audit);
    const recomputed = await checkScores(world, cluster.truth, visitors.answers);
    coverage.end();
    if (world.violations.length === 0) await checkEnd(cluster, visitors);
    audit.close();
    return reportOf(seed, parts, recomputed);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

interface Parts {
  readonly cluster: SimulatedCluster;
  readonly coverage: Coverage;
  readonly audit: Audit;
  readonly snapshotAudit: SnapshotAudit;
  readonly visitors: Visitors;
  readonly adversary: Adversary;
}

/** Two seeds of three have a cache, one of them one that is too small. By seed: the others stay as they were without it. */
function cacheOf(seed: number): Pick<ClusterSettings, 'cacheRows' | 'cacheStalenessMsMax'> {
  return { cacheRows: [0, 10, 1_000][seed % 3], cacheStalenessMsMax: 2_000 };
}

function settingsFrom(
  random: Random,
  climate: Climate,
): Omit<ClusterSettings, 'cacheRows' | 'cacheStalenessMsMax'> {
  const replicas = random.pick([1, 2, 2, 2, 3]);
  return {
    replicas,
    minReplicas: random.chance(0.5) ? 1 : Math.min(2, replicas),
    snapshotEveryMs: climate === 'absences' ? 500 : random.pick([1_500, 4_000, 8_000]),
    snapshotChains: climate === 'absences' ? 2 : random.pick([2, 2, 2, 3]),
    hasSharedStore: climate === 'absences' || random.chance(0.9),
    hasOwnDisks: random.chance(0.6),
    batchDelayUs: random.pick([50, 1_000, 5_000]),
    lanes: 1 + random.whole(2),
    queueRowsMax: 40,
    swapEveryMs: random.pick([0, 100, 400]),
    pullTimeoutMs: random.pick([300, 1_000]),
    drainMsMax: 15_000,
  };
}

function startAll(cluster: SimulatedCluster, random: Random): void {
  for (const name of shardNames.slice(0, 2 + random.whole(3))) cluster.start(cluster.host(name, 'shard'));
  cluster.start(cluster.host('node-a', 'node'));
  if (random.chance(0.5)) cluster.start(cluster.host('node-b', 'node'));
  cluster.start(cluster.host('updater-a', 'updater'));
}

async function takeStep({ cluster, visitors, audit, adversary }: Parts, random: Random): Promise<void> {
  const { world, hosts } = cluster;
  if (random.chance(0.9)) visitors.visit();
  if (random.chance(0.02)) visitors.burst();
  if (random.chance(0.02)) visitors.junk();
  if (random.chance(0.08)) {
    const shards = hosts.filter(({ shard }) => shard !== null);
    if (shards.length > 0) audit.ask(random.pick(shards));
  }
  if (random.chance(0.08)) adversary.strike();
  const pauseMs = random.chance(0.02) ? 6_000 * random.uniform() : 400 * random.uniform();
  await world.runUntil(world.nowMs + pauseMs);
}

function reportOf(
  seed: number,
  { cluster, visitors, audit, snapshotAudit, adversary }: Parts,
  recomputed: number,
): SimulationReport {
  const { world, truth, hosts } = cluster;
  return {
    seed,
    violations: world.violations,
    traceHash: world.traceHash,
    virtualMs: Math.round(world.nowMs),
    events: world.steps,
    harms: adversary.counts,
    figures: {
      scores: visitors.counts.answered,
      degraded: visitors.counts.degraded,
      refused: visitors.counts.refused,
      strict: visitors.counts.strict,
      recomputed,
      audited: audit.reports,
      snapshotsAudited: snapshotAudit.restored,
      examples: truth.joined().examples,
      blocks: truth.partitions.reduce((sum, { applied }) => sum + applied.length, 0),
      starts: hosts.reduce((sum, { starts }) => sum + starts, 0),
      ...cluster.figures,
    },
  };
}
