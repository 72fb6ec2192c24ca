/**
 * Messages of the event log, subject mill.events.<model>: one map a message, in MessagePack or, for streaming jobs that
 * would rather, in JSON (told by its first byte `{`).
 *
 *   impression  { type, requestId, timeMs, user, context, items[], scores, version, … }   written by inference nodes
 *   outcome     { type, requestId, timeMs, index | item, outcome, value }                  written by anybody
 *   tick        { type, timeMs }                                                           written by an idle updater
 *
 * Time is part of the log, so that whoever folds it closes the same join windows. That of impressions and ticks is believed
 * as far as the log's own clock has come when it stores them; that of an outcome says when it happened and moves nothing.
 */
import { MillraceError } from './errors.ts';
import { isRequestId } from './ids.ts';
import { outcomeNameCharsMax, scoreItemsMax } from './limits.ts';
import { jsonFrom, packed, unpacked } from './packing.ts';
import { isCount, isMap } from './record-checks.ts';
import type { Features } from './score-api.ts';

export interface Impression {
  readonly type: 'impression';
  readonly requestId: string;
  /** When it was scored, Unix ms of the inference node. */
  readonly timeMs: number;
  readonly user: Features;
  readonly context: Features;
  readonly items: readonly Features[];
  /** float32[items] as raw bytes: the probabilities that were returned. */
  readonly scores: Uint8Array;
  /** Dense version that scored. */
  readonly version: number;
  /** Number of the model's version that scored; absent: the live line. */
  readonly modelVersion?: number;
  /** Engine that ran the net; with `reads` what it takes to compute the score again, bit for bit. */
  readonly engine?: string;
  /** Where the rows were read (read-log.ts). */
  readonly reads?: Uint8Array;
  /** How the node keeps copies of rows where that rounds them, so that some may have been read rounded; absent: as they are. */
  readonly rowFormat?: RoundedFormat;
  /** True when first values stood in for some rows. */
  readonly degraded?: boolean;
  /** Share of negatives that the model kept when it was scored; absent: 1. */
  readonly negativeRate?: number;
  /** Experiment arms that it is in, `experiment/arm`, with a space between several; absent: none. */
  readonly arm?: string;
  /** Of each arm a uint32 that tells its unit from others (experiment.ts); present with `arm`. */
  readonly units?: readonly number[];
  /** What a shadow arm made of it; learned from as if it were not there. */
  readonly shadow?: Shadow;
  /** What chose the order of the items, such as `epsilon-greedy`; absent: the caller. */
  readonly policy?: string;
  /** float32[items] as raw bytes: the probability that the policy put this item at its place, given those before it. */
  readonly propensities?: Uint8Array;
  /**
   * Place of each item in the request; an outcome's `index` is one of these. Said where the items stand in the order that was
   * shown and not all of the request's are there; absent: places 0, 1, 2, …
   */
  readonly places?: readonly number[];
  /** What the scores alone would have shown first; present where an order was drawn. */
  readonly greedy?: FirstChoice;
}

/** The item that an order would have begun with, were it by some scores alone. */
export interface FirstChoice {
  /** In the request. */
  readonly place: number;
  /** The probability that was answered for it, whoever chose it. */
  readonly score: number;
}

/** Formats of copies that lose digits of a row. */
export const roundedFormats = ['float16', 'int8'] as const;
export type RoundedFormat = (typeof roundedFormats)[number];

/** Scores that were made beside those that were answered. */
export interface Shadow {
  /** `experiment/arm` */
  readonly arm: string;
  readonly unit: number;
  readonly version: number;
  /** float32[items] as raw bytes, in the order of the impression's items. */
  readonly scores: Uint8Array;
  /** What the shadow would have shown first; present where an order was drawn. */
  readonly greedy?: FirstChoice;
}

export interface Outcome {
  readonly type: 'outcome';
  readonly requestId: string;
  readonly timeMs: number;
  /** Place of the item in the request; either this or `item`. */
  readonly index?: number;
  /** The item's value of the model's `item` field, as text. */
  readonly item?: string;
  /** Sent to several models, since any of them may have its impression: those that have not pass it over. */
  readonly spread?: boolean;
  /** Kind of outcome, one of the model's (learning.outcomes); absent: `click`. */
  readonly outcome?: string;
  /** 1 click, 0 known not to be clicked; amounts for other kinds, ≥ 0. */
  readonly value: number;
}

/** Time went on and nothing happened: lets join windows close while no events come. */
export interface Tick {
  readonly type: 'tick';
  readonly timeMs: number;
}

export type Event = Impression | Outcome | Tick;

/** MessagePack bytes of an event. */
export function encodeEvent(event: Event): Uint8Array {
  return packed(event);
}

/** Reads and checks an event in MessagePack or JSON. Throws MILL_EVENT_INVALID naming wanted and found. */
export function decodeEvent(message: Uint8Array): Event {
  const value = valueFrom(message);
  if (!isMap(value)) throw invalid('a map', typeof value);
  if (typeof value.timeMs !== 'number' || !Number.isFinite(value.timeMs))
    throw invalid('timeMs: a number', show(value.timeMs));
  switch (value.type) {
    case 'impression':
      return impressionFrom(value, value.timeMs);
    case 'outcome':
      return outcomeFrom(value, value.timeMs);
    case 'tick':
      return { type: 'tick', timeMs: value.timeMs };
    default:
      throw invalid('type: impression, outcome or tick', show(value.type));
  }
}

function valueFrom(message: Uint8Array): unknown {
  try {
    return message[0] === 0x7b ? jsonFrom(message) : unpacked(message);
  } catch (cause) {
    throw new MillraceError(
      'MILL_EVENT_INVALID',
      'cannot read an event: wanted MessagePack or JSON, found other bytes',
      { cause },
    );
  }
}

function impressionFrom(value: Record<string, unknown>, timeMs: number): Impression {
  const { requestId, user, context, items, scores, version, engine, reads, degraded } = value;
  if (typeof requestId !== 'string' || !isRequestId(requestId))
    throw invalid('requestId: a request id', show(requestId));
  if (!isMap(user) || !isMap(context)) throw invalid('user and context: maps', 'other values');
  if (!Array.isArray(items) || items.length < 1 || items.length > scoreItemsMax || !items.every(isMap)) {
    throw invalid(`items: 1 to ${scoreItemsMax} maps`, 'another value');
  }
  if (!(scores instanceof Uint8Array) || scores.length !== 4 * items.length)
    throw invalid('scores: 4 bytes an item', show(scores));
  if (typeof version !== 'number') throw invalid('version: a number', show(version));
  const rowFormat = roundedFormats.find((format) => format === value.rowFormat);
  return {
    type: 'impression',
    requestId,
    timeMs,
    user: user as Features,
    context: context as Features,
    items: items as unknown as Features[],
    // A copy: an impression waits for its outcomes long after the message's bytes were the receiver's.
    scores: new Uint8Array(scores),
    version,
    ...(isCount(value.modelVersion) && { modelVersion: value.modelVersion }),
    ...(typeof engine === 'string' && { engine }),
    ...(reads instanceof Uint8Array && { reads: new Uint8Array(reads) }),
    ...(rowFormat !== undefined && { rowFormat }),
    ...(degraded === true && { degraded }),
    ...decisionOf(value, items.length),
  };
}

/** What was decided when an impression was made: sampling rate, arm, policy and propensities. */
function decisionOf(
  value: Record<string, unknown>,
  items: number,
): Pick<
  Impression,
  'negativeRate' | 'arm' | 'units' | 'shadow' | 'policy' | 'propensities' | 'places' | 'greedy'
> {
  const { negativeRate, arm, units, shadow, policy, propensities, places, greedy } = value;
  if (negativeRate !== undefined) {
    if (typeof negativeRate !== 'number' || !(negativeRate > 0 && negativeRate <= 1))
      throw invalid('negativeRate: a number above 0 and at most 1', show(negativeRate));
  }
  if (propensities !== undefined) {
    if (!(propensities instanceof Uint8Array) || propensities.length !== 4 * items)
      throw invalid('propensities: 4 bytes an item', show(propensities));
  }
  if (places !== undefined && !arePlaces(places, items))
    throw invalid('places: a place in the request for each item, none twice', show(places));
  return {
    ...(negativeRate !== undefined && { negativeRate }),
    ...(typeof arm === 'string' && { arm }),
    ...(Array.isArray(units) && units.every(isCount) && { units: units as number[] }),
    ...(shadow !== undefined && { shadow: shadowFrom(shadow, items) }),
    ...(typeof policy === 'string' && { policy }),
    ...(propensities !== undefined && { propensities: new Uint8Array(propensities) }),
    ...(places !== undefined && { places: places as number[] }),
    ...(greedy !== undefined && { greedy: firstChoiceFrom(greedy) }),
  };
}

function shadowFrom(value: unknown, items: number): Shadow {
  if (!isMap(value)) throw invalid('shadow: a map', typeof value);
  const { arm, unit, version, scores, greedy } = value;
  if (typeof arm !== 'string' || !isCount(unit) || typeof version !== 'number')
    throw invalid('shadow: arm, unit and version', 'other values');
  if (!(scores instanceof Uint8Array) || scores.length !== 4 * items)
    throw invalid('shadow.scores: 4 bytes an item', show(scores));
  return {
    arm,
    unit,
    version,
    scores: new Uint8Array(scores),
    ...(greedy !== undefined && { greedy: firstChoiceFrom(greedy) }),
  };
}

function firstChoiceFrom(value: unknown): FirstChoice {
  if (!isMap(value)) throw invalid('greedy: a map', typeof value);
  const { place, score } = value;
  if (!isCount(place) || place >= scoreItemsMax || typeof score !== 'number')
    throw invalid('greedy: a place in the request and its score', 'other values');
  return { place, score };
}

function arePlaces(places: unknown, items: number): boolean {
  if (!Array.isArray(places) || places.length !== items || new Set(places).size !== items) return false;
  return places.every((place) => Number.isInteger(place) && place >= 0 && place < scoreItemsMax);
}

function outcomeFrom(value: Record<string, unknown>, timeMs: number): Outcome {
  // Writers in other languages spell an absent property null.
  const { requestId } = value;
  const amount = value.value ?? 1;
  if (typeof requestId !== 'string' || !isRequestId(requestId))
    throw invalid('requestId: a request id', show(requestId));
  if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0)
    throw invalid('value: a number not below 0', show(amount));
  return {
    type: 'outcome',
    requestId,
    timeMs,
    ...itemOf(value.index ?? undefined, value.item ?? undefined),
    ...kindOf(value.outcome ?? undefined),
    ...(value.spread === true && { spread: true }),
    value: amount,
  };
}

/** Which item of its impression an outcome is of. */
function itemOf(index: unknown, item: unknown): Pick<Outcome, 'index' | 'item'> {
  if (index !== undefined && item !== undefined) throw invalid('index or item', 'both');
  if (item !== undefined) {
    if (typeof item !== 'string' && typeof item !== 'number')
      throw invalid('item: text or a number', show(item));
    return { item: String(item) };
  }
  const place = index ?? 0;
  if (typeof place !== 'number' || !Number.isInteger(place) || place < 0 || place >= scoreItemsMax) {
    throw invalid(`index: 0 to ${scoreItemsMax - 1}`, show(index));
  }
  return { index: place };
}

/** Whether the model knows the kind is for the joiner to say. */
function kindOf(outcome: unknown): Pick<Outcome, 'outcome'> {
  if (outcome === undefined) return {};
  if (typeof outcome !== 'string' || outcome === '' || outcome.length > outcomeNameCharsMax)
    throw invalid(`outcome: 1 to ${outcomeNameCharsMax} characters`, show(outcome));
  return { outcome };
}

function show(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number'
    ? JSON.stringify(value).slice(0, 80)
    : typeof value;
}

function invalid(wanted: string, found: string): MillraceError {
  return new MillraceError('MILL_EVENT_INVALID', `cannot read an event: wanted ${wanted}, found ${found}`);
}
