/**
 * The true click probability of every user, item and context of the demo's traffic: what the oracle scores with, and what
 * a model can at best learn.
 *
 *   logit =  base
 *          + segment + device + country + category + placement + hour      first order
 *          + quality(item) − price
 *          + category × placement + segment × category + category × hour   crosses
 *          + gain(placement) · taste(user) · character(item)               user × item × context
 *
 * Effects of few values (first order and crosses) carry most of the variance, since a model must find them in one pass over
 * some ten thousand impressions; the personal part is small and rewards a model that knows users and items.
 *
 * At the drift half of the categories change how they do in each placement and at each hour, and a third of the items change
 * in quality: part of what was learned before is wrong from then on.
 */
import { normalAt, uniformAt } from './counter-random.ts';
import { crossEffects, mainEffects } from './effects.ts';
import { streams } from './streams.ts';
import type { Visit } from './visits.ts';
import {
  categoryNames,
  countryNames,
  deviceNames,
  hourCount,
  type Item,
  placementNames,
  segmentNames,
  tasteDim,
  type User,
} from './world.ts';

export interface Truth {
  /**
   * Sum of all effects but the base, for this visit's user and situation.
   * @param moment.drifted whether the visit comes at or after the drift.
   */
  logitOf(visit: Visit, item: Item, moment: { readonly drifted: boolean }): number;
}

/** Standard deviations of the effects, logits. Together about 1.2, with which the oracle reaches an AUC of 0.75 to 0.80. */
const deviations = {
  segment: 0.25,
  device: 0.25,
  country: 0.15,
  category: 0.55,
  placement: 0.5,
  hour: 0.15,
  quality: 0.22,
  price: 0.2,
  categoryPlacement: 0.55,
  segmentCategory: 0.55,
  categoryHour: 0.22,
  taste: 0.22,
};
const busiestHour = 20;
/** How much taste counts in each placement: a feed is personal, a mail to everybody is not. */
const tasteGains = [1.4, 1, 0.8, 0.4];
const driftingItemsShare = 1 / 3;

/** Draws every effect once; the same seed gives the same truth. */
export function createTruth(seed: number): Truth {
  const main = (offset: number, count: number, deviation: number) =>
    mainEffects(seed, streams.effects + offset, count, deviation);
  const segment = main(0, segmentNames.length, deviations.segment);
  const device = main(1, deviceNames.length, deviations.device);
  const country = main(2, countryNames.length, deviations.country);
  const category = main(3, categoryNames.length, deviations.category);
  const placement = main(4, placementNames.length, deviations.placement);
  const before = contextEffects(seed, 'before');
  const after = contextEffects(seed, 'after');
  const segmentCategory = crossEffects(
    seed,
    streams.effects + 5,
    { rows: segmentNames.length, columns: categoryNames.length },
    deviations.segmentCategory,
  );

  return {
    logitOf(visit, item, { drifted }) {
      const { user, device: by, hour, placement: at } = visit;
      const inContext = drifted ? after : before;
      return (
        segment[user.segment] +
        device[by] +
        country[user.country] +
        category[item.category] +
        placement[at] +
        wave(hour - busiestHour, deviations.hour) +
        quality(seed, item.number, drifted) -
        deviations.price * normalPrice(item.price) +
        inContext.placement[item.category * placementNames.length + at] +
        wave(hour - inContext.peakHours[item.category], deviations.categoryHour) +
        segmentCategory[user.segment * categoryNames.length + item.category] +
        tasteGains[at] * deviations.taste * likeness(user, item)
      );
    },
  };
}

/**
 * The base b at which the mean of sigmoid(b + logit) is the wanted click rate, by bisection; the mean grows with b.
 * @param logits float[n], n ≥ 1.
 * @param rate 0 … 1, both excluded.
 */
export function baseLogitFrom(logits: readonly number[], rate: number): number {
  let low = -20;
  let high = 20;
  // Halving 40 logits 40 times leaves 4e-11 of them.
  for (let round = 0; round < 40; round++) {
    const middle = (low + high) / 2;
    let sum = 0;
    for (const logit of logits) sum += 1 / (1 + Math.exp(-middle - logit));
    if (sum / logits.length < rate) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

interface ContextEffects {
  /** [categories, placements], row-major. */
  readonly placement: readonly number[];
  /** Hour at which each category does best. */
  readonly peakHours: readonly number[];
}

/** After the drift the even categories have other effects in placements, and peak at the opposite hour. */
function contextEffects(seed: number, phase: 'before' | 'after'): ContextEffects {
  const shape = { rows: categoryNames.length, columns: placementNames.length };
  const old = crossEffects(seed, streams.effects + 6, shape, deviations.categoryPlacement);
  const oldPeaks = categoryNames.map((_, i) => hourCount * uniformAt(seed, streams.effects + 7, i));
  if (phase === 'before') return { placement: old, peakHours: oldPeaks };
  const fresh = crossEffects(seed, streams.effects + 8, shape, deviations.categoryPlacement);
  const moved = (cell: number) => Math.floor(cell / placementNames.length) % 2 === 0;
  return {
    placement: old.map((effect, cell) => (moved(cell) ? fresh[cell] : effect)),
    peakHours: oldPeaks.map((hour, i) => (i % 2 === 0 ? hour + hourCount / 2 : hour)),
  };
}

/** A day's wave with its peak at 0 and that standard deviation over the day. */
function wave(hoursFromPeak: number, deviation: number): number {
  return deviation * Math.SQRT2 * Math.cos((2 * Math.PI * hoursFromPeak) / hourCount);
}

/** ln(1 + price), centred and scaled: prices are log-normal, so this is about standard normal. */
function normalPrice(price: number): number {
  return (Math.log1p(price) - 3.05) / 0.67;
}

function quality(seed: number, item: number, drifted: boolean): number {
  const moves = drifted && uniformAt(seed, streams.qualityDrift, item) < driftingItemsShare;
  // A moved item draws anew: draw 1 in place of draw 0.
  return deviations.quality * normalAt(seed, streams.quality, item, moves ? 1 : 0);
}

/** taste · character / √dim: standard normal over users and items, about. */
function likeness(user: User, item: Item): number {
  let dot = 0;
  for (let dim = 0; dim < tasteDim; dim++) dot += user.taste[dim] * item.character[dim];
  return dot / Math.sqrt(tasteDim);
}
