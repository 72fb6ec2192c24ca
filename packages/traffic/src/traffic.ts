/**
 * The demo's traffic: score requests as a shop would send them, with the truth known and the clicks that follow.
 * Everything is a function of (seed, step): no clock, no state but the step, so that any step can be played at once and a
 * run can go on where the last one ended.
 *
 *   step n:  user    a newcomer in about one of seven, else one seen before       visits.ts, arrivals.ts
 *            context an hour of the day and a placement
 *            items   eight candidates, popular ones often, a new one now and then
 *            truth   the probability of a click on each                           truth.ts
 *            clicks  drawn from it, each with its delay
 */
import { normalAt, uniformAt } from './counter-random.ts';
import { streams } from './streams.ts';
import { baseLogitFrom, createTruth, type Truth } from './truth.ts';
import { type Visit, visitAt } from './visits.ts';
import { categoryNames, countryNames, deviceNames, placementNames, segmentNames } from './world.ts';

export interface TrafficOptions {
  /** uint32; another seed is another world. */
  readonly seed: number;
  /** First step to play. Default 0. */
  readonly startAt?: number;
  /**
   * Step from which the drifted truth holds; Infinity for no drift. Default 2,000, which is 16,000 impressions: a third of a
   * minute at 100 requests a second.
   */
  readonly driftStep?: number;
}

/** A score request of the demo model; part of `ScoreRequest`. */
export interface DemoRequest {
  /** `demo-` seed `-` step: unique within a world. */
  readonly requestId: string;
  readonly user: {
    readonly user: string;
    readonly segment: string;
    readonly country: string;
    readonly device: string;
  };
  readonly context: { readonly hour: number; readonly placement: string };
  readonly items: readonly { readonly item: string; readonly category: string; readonly price: number }[];
}

/** A click that will come. */
export interface DemoClick {
  /** Place of the item in the request. */
  readonly index: number;
  /** Time from impression to click, ms, 0 … 5,000. */
  readonly delayMs: number;
}

/** One request, with what only the simulator knows. */
export interface Impression {
  readonly step: number;
  readonly request: DemoRequest;
  /** float64[items]: the true click probability of each item at this moment. */
  readonly truth: Float64Array;
  /** In the order of the items, each at most once. */
  readonly clicks: readonly DemoClick[];
}

export interface Traffic {
  /** Step that `next` will play; to go on later, start there. */
  readonly step: number;
  next(): Impression;
}

const driftStepDefault = 2_000;
/** A click rate at which a minute of traffic holds enough clicks to learn from. */
const clickRate = 0.125;
/** Visits from which the base of the truth is found: 2,048 impressions, a few milliseconds of work. */
const baseVisits = 256;

/** The same seed and drift give the same impression at a step, wherever the playing started. */
export function createTraffic(options: TrafficOptions): Traffic {
  const { seed, driftStep = driftStepDefault } = options;
  const truth = createTruth(seed);
  const base = baseLogitOf(seed, truth);
  let step = options.startAt ?? 0;

  return {
    get step() {
      return step;
    },
    next() {
      const visit = visitAt(seed, step);
      const drifted = step >= driftStep;
      const probabilities = Float64Array.from(visit.items, (item) => {
        return 1 / (1 + Math.exp(-base - truth.logitOf(visit, item, { drifted })));
      });
      const impression = {
        step,
        request: requestFrom(visit, `demo-${seed}-${step}`),
        truth: probabilities,
        clicks: clicksAt(seed, step, probabilities),
      };
      step++;
      return impression;
    },
  };
}

/** Every world has the same click rate, whatever its effects came out as. */
function baseLogitOf(seed: number, truth: Truth): number {
  const logits: number[] = [];
  for (let step = 0; step < baseVisits; step++) {
    const visit = visitAt(seed, step);
    for (const item of visit.items) logits.push(truth.logitOf(visit, item, { drifted: false }));
  }
  return baseLogitFrom(logits, clickRate);
}

function requestFrom(visit: Visit, requestId: string): DemoRequest {
  const { user, items } = visit;
  return {
    requestId,
    user: {
      user: `u${user.number}`,
      segment: segmentNames[user.segment],
      country: countryNames[user.country],
      device: deviceNames[visit.device],
    },
    context: { hour: visit.hour, placement: placementNames[visit.placement] },
    items: items.map(({ number, category, price }) => {
      return { item: `i${number}`, category: categoryNames[category], price };
    }),
  };
}

/** Half of the clicks come within this time. */
const clickDelayMsMedian = 1_200;
/** Deviation of the delay's logarithm: one click in forty takes longer than 3.9 s. */
const clickDelaySpread = 0.6;
/** Later clicks come now, so that a join window of six seconds misses none. */
const clickDelayMsMax = 5_000;

function clicksAt(seed: number, step: number, truth: Float64Array): DemoClick[] {
  const clicks: DemoClick[] = [];
  for (let index = 0; index < truth.length; index++) {
    if (uniformAt(seed, streams.clicks, step, index) >= truth[index]) continue;
    const factor = Math.exp(clickDelaySpread * normalAt(seed, streams.clickDelays, step, index));
    clicks.push({ index, delayMs: Math.min(Math.round(clickDelayMsMedian * factor), clickDelayMsMax) });
  }
  return clicks;
}
