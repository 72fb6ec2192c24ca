/** An impression that waits for its outcomes, and what has been taught of each of its items. */
import type { Features, FirstChoice, Impression, Outcome } from '@millrace/protocol';
import type { Choice, RankedFirst } from './example.ts';
import type { Waiting } from './fold-time.ts';

/** What has been taught of an item: nothing yet, that it is a negative, the same but sampling passed it over, a positive. */
export type Taught = 0 | 1 | 2 | 3;
export const taughtNothing: Taught = 0;
export const taughtNegative: Taught = 1;
export const passedOver: Taught = 2;
export const taughtPositive: Taught = 3;

export interface Entry extends Waiting {
  readonly requestId: string;
  readonly user: Features;
  readonly context: Features;
  readonly items: readonly Features[];
  /** Place of each in the request; undefined: they stand in its order. */
  readonly places: readonly number[] | undefined;
  /** Version that scored; undefined: the live line. */
  readonly modelVersion: number | undefined;
  /** float32[items], little-endian. */
  readonly scores: DataView;
  /** Experiment arms that it is in, and the unit of each; undefined: none. */
  readonly arm: string | undefined;
  readonly units: readonly number[] | undefined;
  /** What a shadow arm made of it, float32[items], little-endian; undefined: none did. */
  readonly shadow:
    | {
        readonly arm: string;
        readonly unit: number;
        readonly scores: DataView;
        readonly greedy: Choice | undefined;
      }
    | undefined;
  /** How its first item came there; undefined: no order was drawn, or none that says so. */
  readonly ranked: RankedFirst | undefined;
  /** Share of its negatives that is kept. */
  readonly rate: number;
  /** −ln(rate) */
  readonly offset: number;
  /** Taught[items] */
  readonly taught: Uint8Array;
  /** [items], a bit for each kind of outcome that came. */
  readonly seen: Uint16Array;
}

export function entryFrom(impression: Impression, at: Waiting): Entry {
  const { requestId, user, context, items, places, arm, units, shadow, negativeRate: rate = 1 } = impression;
  return {
    ...at,
    requestId,
    user,
    context,
    items,
    places,
    arm,
    units,
    modelVersion: impression.modelVersion,
    shadow: shadow && {
      arm: shadow.arm,
      unit: shadow.unit,
      scores: viewOf(shadow.scores),
      greedy: shadow.greedy && choiceOf(shadow.greedy, places),
    },
    ranked: rankedFirst(impression),
    scores: viewOf(impression.scores),
    rate,
    offset: rate < 1 ? -Math.log(rate) : 0,
    taught: new Uint8Array(items.length),
    seen: new Uint16Array(items.length),
  };
}

function rankedFirst({ propensities, places, greedy }: Impression): RankedFirst | undefined {
  if (propensities === undefined || greedy === undefined) return undefined;
  const propensity = viewOf(propensities).getFloat32(0, true);
  // Nothing can be shown with probability 0: whoever writes so has drawn otherwise.
  return propensity > 0 && propensity <= 1 ? { propensity, greedy: choiceOf(greedy, places) } : undefined;
}

function choiceOf({ place, score }: FirstChoice, places: readonly number[] | undefined): Choice {
  return { isShown: place === (places?.[0] ?? 0), score };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Place of an outcome's item in its impression, −1 when it is not there. */
export function placeOf(
  outcome: Outcome,
  { items, places }: Pick<Entry, 'items' | 'places'>,
  itemField: string | undefined,
): number {
  if (outcome.item === undefined) {
    const index = outcome.index ?? 0;
    // A ranked impression stands in the order shown, and its outcomes name places in the request.
    if (places !== undefined) return places.indexOf(index);
    return index < items.length ? index : -1;
  }
  if (itemField === undefined) return -1;
  return items.findIndex((item) => {
    const value = Object.hasOwn(item, itemField) ? item[itemField] : null;
    return value !== null && value !== '' && String(value) === outcome.item;
  });
}
