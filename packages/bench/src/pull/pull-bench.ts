/** The whole benchmark: starts the stores, checks them, measures each setting in turns and sums up. */
import { median, quantile, rounded } from '../common/statistics.ts';
import { checkAnswers } from './check-answers.ts';
import { driveRound } from './drive.ts';
import { headline, type PullParameters, type Setting, settings } from './parameters.ts';
import { openRedisStore } from './redis-store.ts';
import type { RowStore } from './row-store.ts';
import { openShardStore } from './shard-store.ts';
import { makeRequests, type Request } from './workload.ts';

/** One store at one setting: medians over the rounds; quantiles over the requests of all rounds. */
export interface Figures {
  readonly keysPerSecond: number;
  readonly msP50: number;
  readonly msP99: number;
}

export interface SettingResult {
  readonly keysPerRequest: number;
  readonly inFlight: number;
  readonly millrace: Figures;
  /** Null where there is no redis-server. */
  readonly redis: Figures | null;
  /** Median over the rounds of Millrace's keys per second over those of Redis in the same round. */
  readonly ratioToRedis: number | null;
}

export interface PullResult {
  /** Of the headline setting, 2,600 keys and 8 in flight. */
  readonly keysPerSecond: number;
  readonly ratioToRedis: number | null;
  readonly settings: readonly SettingResult[];
  /** In the shard's process, without a socket, 2,600 keys at once. */
  readonly lookupKeysPerSecond: number;
  /** Copying 2,600 rows whose index is known, one thread: the limit. */
  readonly gatherKeysPerSecond: number;
  readonly redisVersion: string | null;
  /** SHA-256 over the rows that the stores were checked with. */
  readonly resultHash: string;
}

export interface PullBenchOptions extends PullParameters {
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

/** Steps that onStep counts up to. */
export function stepsOf({ rounds }: PullParameters): number {
  return 2 + (rounds + 1) * settings.length;
}

interface Samples {
  readonly rates: number[];
  readonly latenciesMs: number[];
}

export async function runPullBench(options: PullBenchOptions): Promise<PullResult> {
  const { onStep } = options;
  onStep(0, 'filling a shard');
  const shard = await openShardStore(options);
  try {
    onStep(1, 'filling Redis');
    const redis = await openRedisStore(options);
    try {
      const { lookupKeysPerSecond, gatherKeysPerSecond } = shard.ready;
      const { results, resultHash } = await measureAll(redis ? [shard, redis] : [shard], options);
      const best = results.find(
        ({ keysPerRequest, inFlight }) => keysPerRequest === headline.count && inFlight === headline.inFlight,
      );
      return {
        keysPerSecond: best?.millrace.keysPerSecond ?? Number.NaN,
        ratioToRedis: best?.ratioToRedis ?? null,
        settings: results,
        lookupKeysPerSecond: rounded(lookupKeysPerSecond),
        gatherKeysPerSecond: rounded(gatherKeysPerSecond),
        redisVersion: redis?.version ?? null,
        resultHash,
      };
    } finally {
      await redis?.close();
    }
  } finally {
    await shard.close();
  }
}

/** The stores take turns within each round, so that what else the machine does meets both. */
async function measureAll(
  stores: readonly RowStore[],
  options: PullBenchOptions,
): Promise<{ results: readonly SettingResult[]; resultHash: string }> {
  const requestsOf = new Map<number, readonly Request[]>();
  for (const { count } of settings) requestsOf.set(count, makeRequests({ ...options, count }));
  const checked = [...requestsOf.values()].map((requests) => requests[0]);
  const hashes = new Set<string>();
  for (const store of stores) hashes.add(await checkAnswers(store, checked, options));

  const samples = settings.map(() => stores.map((): Samples => ({ rates: [], latenciesMs: [] })));
  let done = 2;
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const [s, setting] of settings.entries()) {
      options.onStep(done, `${setting.count} keys × ${setting.inFlight} in flight, round ${round}`);
      done += 1;
      for (const [place, store] of stores.entries()) {
        const requests = requestsOf.get(setting.count) ?? [];
        const measured = await driveRound(store, requests, { ...setting, roundMs: options.roundMs });
        // Round 0 warms up.
        if (round === 0) continue;
        samples[s][place].rates.push(measured.keysPerSecond);
        for (const latencyMs of measured.latenciesMs) samples[s][place].latenciesMs.push(latencyMs);
      }
    }
  }
  const results = settings.map((setting, s) => resultOf(setting, samples[s]));
  return { results, resultHash: [...hashes].join(' ') };
}

function resultOf({ count, inFlight }: Setting, [millrace, redis]: readonly Samples[]): SettingResult {
  const ratios = redis ? millrace.rates.map((rate, round) => rate / redis.rates[round]) : [];
  return {
    keysPerRequest: count,
    inFlight,
    millrace: figuresOf(millrace),
    redis: redis ? figuresOf(redis) : null,
    ratioToRedis: redis ? rounded(median(ratios)) : null,
  };
}

function figuresOf({ rates, latenciesMs }: Samples): Figures {
  return {
    keysPerSecond: rounded(median(rates)),
    msP50: rounded(quantile(latenciesMs, 0.5)),
    msP99: rounded(quantile(latenciesMs, 0.99)),
  };
}
