/**
 * What splitting gains: items scored a second, with what the items of a request share done once, against the same engine with
 * everything done for each item (unsplit-net.ts of model). From features to logits, rows at hand.
 *
 *   whole   everything for each item
 *   fresh   split, with nothing kept from turn to turn and weights that are new: an item is new when a turn first meets it
 *   known   split, at weights that stay: most items are known from requests before
 *
 * They take turns, and of each the median turn counts: what else the machine does meets all of them alike.
 */
import type { PartitionState } from '@millrace/core';
import { type OpenNet, sigmoid, unsplitPlan, unsplitShape } from '@millrace/model';
import { createRequestScorer, type RequestFeatures } from './request-scorer.ts';

export interface SplitSpeeds {
  /** Items a second. */
  readonly whole: number;
  readonly fresh: number;
  readonly known: number;
  /** Largest difference of an item's logit, and of its score, from what the whole net says. */
  readonly logitDifference: number;
  readonly scoreDifference: number;
}

export interface SplitTurns {
  /** Turns of each, behind one that warms up. */
  readonly turns: number;
  /** A turn ends after so many seconds, or with the last request. */
  readonly turnSeconds: number;
  /** Seconds since some moment, of a clock or of the processor. */
  readonly seconds: () => number;
}

/** Requests between two looks at the clock, which costs as much as a few items. */
const lookEvery = 10;
const kinds = ['whole', 'known', 'fresh'] as const;

/**
 * @param net     scored with what its dense fold has learned.
 * @param states  by partition, all of them; only read.
 */
export async function measureSplit(
  net: OpenNet,
  states: readonly PartitionState[],
  requests: readonly RequestFeatures[],
  { turns, turnSeconds, seconds }: SplitTurns,
): Promise<SplitSpeeds> {
  const { shape, plan, engine, versions, dense } = net;
  const { scales } = versions.current;
  const programs = {
    whole: engine.compile(unsplitShape(shape)),
    known: engine.compile(shape),
    fresh: engine.compile(shape),
  };
  const scorers = {
    whole: createRequestScorer(unsplitPlan(plan), programs.whole, states),
    known: createRequestScorer(plan, programs.known, states),
  };
  const kept = { whole: programs.whole.load(dense.weights), known: programs.known.load(dense.weights) };
  // One request a batch; the lists are made before the time counts.
  const batches = requests.map((request) => [request] as const);

  const turnOf = async (kind: (typeof kinds)[number]): Promise<number> => {
    const loaded = kind === 'fresh' ? programs.fresh.load(dense.weights) : kept[kind];
    const { score } = kind === 'fresh' ? createRequestScorer(plan, programs.fresh, states) : scorers[kind];
    // A version is warmed up before it takes traffic: code, sessions and memory are there.
    await score(loaded, scales, batches[batches.length - 1]);
    const start = seconds();
    let spent = 0;
    let items = 0;
    // A slow net is measured by fewer requests, or this takes minutes.
    for (let n = 0; n < batches.length && spent < turnSeconds; n += 1) {
      await score(loaded, scales, batches[n]);
      items += requests[n].items.length;
      if ((n + 1) % lookEvery === 0 || n + 1 === batches.length) spent = seconds() - start;
    }
    if (kind === 'fresh') loaded.dispose();
    return items / spent;
  };

  const speeds: Record<(typeof kinds)[number], number[]> = { whole: [], known: [], fresh: [] };
  for (let turn = 0; turn <= turns; turn += 1) {
    for (const kind of kinds) {
      const speed = await turnOf(kind);
      if (turn > 0) speeds[kind].push(speed);
    }
  }
  let logitDifference = 0;
  let scoreDifference = 0;
  for (const batch of batches) {
    const wanted = await scorers.whole.score(kept.whole, scales, batch);
    const found = await scorers.known.score(kept.known, scales, batch);
    for (let i = 0; i < batch[0].items.length; i += 1) {
      logitDifference = Math.max(logitDifference, Math.abs(found[i] - wanted[i]));
      scoreDifference = Math.max(scoreDifference, Math.abs(sigmoid(found[i]) - sigmoid(wanted[i])));
    }
  }
  for (const loaded of Object.values(kept)) loaded.dispose();
  for (const program of Object.values(programs)) program.dispose();
  const { whole, known, fresh } = speeds;
  return {
    whole: medianOf(whole),
    known: medianOf(known),
    fresh: medianOf(fresh),
    logitDifference,
    scoreDifference,
  };
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
