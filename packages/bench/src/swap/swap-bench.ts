/**
 * A cluster of real processes whose versions and live weights are swapped under load. Each label move has the node load the
 * next version from the store, warm it up, send requests to it and let the one before the last go; beside each, new dense
 * weights come through the log to the live line. Phases with and without swaps alternate, so that what else goes on in the
 * machine meets both.
 */
import { fingerprintOf } from '@millrace/core';
import { denseSubject, encodeDensePutBlock, modelNameFrom } from '@millrace/protocol';
import { openVersionRegistry } from '@millrace/registry';
import { type Bus, systemClock } from '@millrace/runtime';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { eventually, pause, startLocalCluster } from '@millrace/testkit';
import { forkModule } from '../common/fork.ts';
import { median, rounded } from '../common/statistics.ts';
import { likeVersions, type References } from './judge-answers.ts';
import type { LoadEnd, LoadOrder, Phase } from './load-process.ts';
import type { SwapParameters } from './parameters.ts';
import { requestsOf, swapModel, weightsOf } from './swap-model.ts';

export interface SwapResult {
  readonly swaps: number;
  /** Swaps of the live line's weights that answers have shown. */
  readonly liveSwaps: number;
  /** Answers, and those that failed. */
  readonly answers: number;
  readonly errors: number;
  /** Answers of which a score has not the bits of the version that the answer names. */
  readonly mixed: number;
  /** Versions that answered, of as many as there are; through the label, and on the live line. */
  readonly versionsSeen: number;
  /** Of the phases' 99th percentiles, with swaps over without: median over the pairs of phases. */
  readonly p99Ratio: number;
  readonly p50Ratio: number;
  /** Medians over phases, ms. */
  readonly p99Ms: { readonly without: number; readonly with: number };
  readonly p50Ms: { readonly without: number; readonly with: number };
  /** From asking for a label's move to its being served, loading and warm-up included, ms: median and largest. */
  readonly swapMs: { readonly median: number; readonly max: number };
  readonly engine: string;
}

export interface SwapBenchOptions extends SwapParameters {
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

const patience = { withinMs: 20_000, everyMs: 50 };
const requestCount = 16;
const label = 'stable';

/** Steps that onStep is told of. */
export function stepsOf({ pairs }: SwapParameters): number {
  return 2 + 2 * pairs;
}

export async function runSwapBench(options: SwapBenchOptions): Promise<SwapResult> {
  options.onStep(0, 'starting a cluster');
  const cluster = await startLocalCluster({ shards: 1, engine: 'auto', env: { MILL_LOG_LEVEL: 'error' } });
  const client = createMillraceClient({ url: cluster.urls, retries: 0, timeoutMs: 10_000 });
  try {
    await client.createModel(swapModel);
    await client.waitUntilReady();
    options.onStep(1, 'making versions');
    return await swapUnderLoad(cluster.urls, client, await cluster.bus(), options);
  } finally {
    await client.close();
    await cluster.remove();
  }
}

async function swapUnderLoad(
  urls: readonly string[],
  client: MillraceClient,
  bus: Bus,
  options: SwapBenchOptions,
): Promise<SwapResult> {
  const { versions, pairs, swaps, callers, pauseMs, items } = options;
  const requests = requestsOf(requestCount, options.items);
  const references = await makeVersions(client, bus, options);
  const live = createLiveSwaps(bus, versions);
  await live.put(0);
  await eventually(async () => {
    const { version } = await client.score({ ...requests[0], version: 'live' });
    if (live.placeOf(version) !== 0) throw new Error('the live line has not the first weights yet');
  }, patience);
  await client.versions.setLabel(swapModel.name, label, { version: 1 });
  const load = forkModule('./load-process', import.meta.url);
  const order = <Answer = object>(wanted: LoadOrder) => load.ask<Answer>(wanted);
  const calm: Phase[] = [];
  const swapping: Phase[] = [];
  const swapTimesMs: number[] = [];
  let end: LoadEnd;
  let done = 0;
  let step = 1;
  const perPhase = Math.ceil(swaps / pairs);
  /** Weights that the live line gets, and where the label goes, with the swap of number `n`. */
  const swap = async (n: number) => {
    const place = n % versions;
    const startMs = performance.now();
    await Promise.all([
      client.versions.setLabel(swapModel.name, label, { version: place + 1, reason: `swap ${n}` }),
      live.put(place),
    ]);
    swapTimesMs.push(performance.now() - startMs);
  };
  try {
    await order({ kind: 'start', urls, callers, pauseMs, items, requests: requestCount, references });
    // The first requests of connections and caches are nobody's phase.
    await pause(options.swapEveryMs * 2);
    for (let pair = 0; pair < pairs; pair += 1) {
      // Whichever comes first meets what is left of the one before.
      for (const kind of pair % 2 === 0 ? (['calm', 'swapping'] as const) : (['swapping', 'calm'] as const)) {
        options.onStep(++step, kind === 'calm' ? 'load alone' : 'load and swaps');
        await order({ kind: 'take' });
        const count = Math.min(perPhase, swaps - done);
        for (let n = 0; n < count; n += 1) {
          const untilMs = performance.now() + options.swapEveryMs;
          if (kind === 'swapping') await swap(done + n + 1);
          await pause(Math.max(0, untilMs - performance.now()));
        }
        if (kind === 'swapping') done += count;
        (kind === 'calm' ? calm : swapping).push(await order<Phase>({ kind: 'take' }));
      }
    }
    end = await order<LoadEnd>({ kind: 'stop', live: live.places });
  } finally {
    await load.close();
  }
  const { engine } = await client.score(requests[0]);
  const ratios = (of: keyof Phase) => swapping.map((phase, i) => phase[of] / calm[i][of]);
  const medianOf = (phases: readonly Phase[], of: keyof Phase) =>
    rounded(median(phases.map((phase) => phase[of])));
  return {
    swaps: done,
    liveSwaps: end.liveSeen,
    answers: end.answers,
    errors: end.errors,
    mixed: end.mixed,
    versionsSeen: end.versionsSeen,
    p99Ratio: rounded(median(ratios('p99Ms'))),
    p50Ratio: rounded(median(ratios('p50Ms'))),
    p99Ms: { without: medianOf(calm, 'p99Ms'), with: medianOf(swapping, 'p99Ms') },
    p50Ms: { without: medianOf(calm, 'p50Ms'), with: medianOf(swapping, 'p50Ms') },
    swapMs: { median: rounded(median(swapTimesMs)), max: rounded(Math.max(...swapTimesMs)) },
    engine,
  };
}

/** Makes versions 1 … n and asks each for every request. @throws when two versions could not be told apart. */
async function makeVersions(
  client: MillraceClient,
  bus: Bus,
  { versions, items }: SwapParameters,
): Promise<References> {
  const { name: model } = swapModel;
  const registry = await openVersionRegistry(bus, systemClock);
  // Nothing but what the label points at, and pointed at before, is loaded.
  await client.versions.setPolicy(model, { type: 'latest', count: 0 });
  const references: (readonly number[])[][] = [];
  for (let place = 0; place < versions; place += 1) {
    const made = { model, kind: 'imported', parent: null, weights: weightsOf(place), code: 'bench' } as const;
    const { version } = await registry.addVersion(made);
    await client.versions.load(model, version);
    const scores: (readonly number[])[] = [];
    for (const request of requestsOf(requestCount, items))
      scores.push((await client.score({ ...request, version })).scores);
    references.push(scores);
    await client.versions.unload(model, version);
  }
  // Labels load them again; what was unloaded by hand is forgotten.
  await client.versions.setPolicy(model, { type: 'latest', count: 0 });
  if (likeVersions(references) > 0)
    throw new Error('two versions score an item alike: nothing could be told');
  return references;
}

/** Puts the weights of versions into the live line by its log. */
function createLiveSwaps(bus: Bus, versions: number) {
  // Made beforehand: this process shares the machine with the one that is measured.
  const weights = Array.from({ length: versions }, (_, place) => weightsOf(place));
  const subject = denseSubject(modelNameFrom(swapModel.name));
  const fingerprint = fingerprintOf(swapModel);
  /** By sequence in the dense log, whose weights were put. */
  const placeAt = new Map<number, number>();
  let put = 0;
  return {
    get places() {
      return [...placeAt];
    },
    placeOf: (sequence: number) => placeAt.get(sequence),
    async put(place: number): Promise<void> {
      const mark = { producer: 'swap-bench', sequence: put + 1, previous: put };
      put += 1;
      const block = encodeDensePutBlock({
        ...mark,
        model: swapModel.name,
        fingerprint,
        timeMs: systemClock.now(),
        weights: weights[place],
        state: new Float32Array(0),
      });
      placeAt.set(await bus.append('dense', subject, block), place);
    },
  };
}
