/**
 * How long after a click is sent a score shows it, through the public API, while the node scores half of what it can. The load
 * is not logged, so nothing but the probes' clicks is learned; each probe has rows of its own, and the net's weights are to stay as
 * they are (denseLearningRate), or another probe's click would change this one's score.
 */
import type { MillraceClient } from '@millrace/sdk';
import { stepCounter } from '../common/progress.ts';
import { quantile, rounded } from '../common/statistics.ts';
import { openLoadDriver } from './load-driver.ts';
import { openMillraceStack } from './millrace-stack.ts';
import type { ScoreParameters } from './parameters.ts';
import { figuresOf, type RateFigures, searchRates, searchRunsMax } from './rate-search.ts';
import { fieldNames, makeScoreRequests, modelName } from './workload.ts';

export interface FreshnessResult {
  /** From sending a click to the first score that shows it. */
  readonly msP50: number;
  readonly msP95: number;
  readonly msP99: number;
  readonly probes: number;
  /** Clicks that no score has shown within five seconds. */
  readonly missed: number;
  readonly capacity: RateFigures;
  /** Of the load beside the probes. */
  readonly load: RateFigures;
}

export interface FreshnessBenchOptions extends ScoreParameters {
  readonly probes: number;
  /** Of the capacity. */
  readonly loadShare: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

const requestsKept = 256;
/** Probes under way at once. */
const probers = 4;
const askEveryMs = 5;
const giveUpMs = 5_000;
/** Nothing else changes a probe's rows, so any change is its click's. */
const movedBy = 1e-5;

export function freshnessStepsOf(parameters: ScoreParameters): number {
  return 2 + searchRunsMax(1, parameters);
}

export async function runFreshnessBench(options: FreshnessBenchOptions): Promise<FreshnessResult> {
  const { onStep, loadShare, seed } = options;
  const next = stepCounter(0, onStep);
  next('starting a cluster');
  const stack = await openMillraceStack(options, options.env);
  try {
    const driver = await openLoadDriver(makeScoreRequests(options, requestsKept));
    try {
      const [{ best }] = await searchRates([stack], driver, options, next);
      const rate = loadShare * best.requestsPerSecond;
      next(`${options.probes} clicks beside ${Math.round(rate)} requests/s`);
      const runMs = Math.max(4_000, options.probes * 60);
      const loading = driver.drive(stack, { rate, inFlight: 0, runMs, warmMs: 0, seed });
      const { freshnessMs, missed } = await probe(stack.cluster.client, options.probes);
      const load = await loading;
      return {
        msP50: rounded(quantile(freshnessMs, 0.5)),
        msP95: rounded(quantile(freshnessMs, 0.95)),
        msP99: rounded(quantile(freshnessMs, 0.99)),
        probes: freshnessMs.length,
        missed,
        capacity: figuresOf(best),
        load: figuresOf(load),
      };
    } finally {
      await driver.close();
    }
  } finally {
    await stack.close();
  }
}

async function probe(client: MillraceClient, probes: number) {
  const freshnessMs: number[] = [];
  let missed = 0;
  let started = 0;
  const one = async (n: number) => {
    const item = Object.fromEntries(fieldNames.map((name) => [name, `probe-${n}`]));
    const request = { model: modelName, items: [item] };
    const requestId = `probe-${n}`;
    const [before] = (await client.score({ ...request, requestId })).scores;
    const clickedMs = performance.now();
    await client.sendOutcomes({ model: modelName, requestId, index: 0 });
    for (;;) {
      const [now] = (await client.score({ ...request, log: false })).scores;
      const tookMs = performance.now() - clickedMs;
      if (Math.abs(now - before) > movedBy) {
        freshnessMs.push(tookMs);
        return;
      }
      if (tookMs > giveUpMs) {
        missed += 1;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    }
  };
  const prober = async () => {
    while (started < probes) {
      started += 1;
      await one(started);
    }
  };
  await Promise.all(Array.from({ length: probers }, prober));
  return { freshnessMs, missed };
}
