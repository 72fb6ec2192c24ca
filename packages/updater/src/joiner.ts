/**
 * Joins impressions with their outcomes: a pure fold of the event log into labelled examples.
 *
 *   negatives after-window   impression ──▶ open ──┬─ outcome 1 ───▶ positive, at once
 *                                                  ├─ outcome 0 ───▶ negative, at once
 *                                                  └─ window over ─▶ negatives, for items without an outcome
 *   negatives at-once        impression ──▶ negatives, at once; then a click adds its own part of the gradient
 *
 * Time is the watermark: the highest time of impressions and ticks so far, which the log carries, so whoever folds the same
 * events emits the same examples at the same places. An entry stays for the whole window after its items are decided, so
 * that a repeated outcome is known for one. An outcome may come before its impression: it waits for it as long as an
 * impression would wait for it. Memory is bounded by the window and by the log: nothing waits longer than `waitEventsMax`
 * later events, a rule that needs no count of what else is open and so replays alike from any start.
 */
import type { Event, ExamplePlace, Features, Impression, Outcome, Rejection } from '@millrace/protocol';

export interface JoinerOptions {
  readonly negatives: 'after-window' | 'at-once';
  readonly windowMs: number;
  readonly waitEventsMax: number;
  /** Name of the item field that outcomes may name an item by. */
  readonly itemField: string | undefined;
}

export interface Example {
  readonly place: ExamplePlace;
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
  /** Its parts of the loss shown · ln(1 + e^z) − clicked · z: a whole example has shown 1 and its label as clicked. */
  readonly shown: 0 | 1;
  readonly clicked: 0 | 1;
  /** Probability that was returned for it. */
  readonly score: number;
  /** Where a fold must begin to find it again: at its impression, or at an outcome that came before that. */
  readonly origin: Origin;
}

/** A place in the event log and the watermark just before it. */
export interface Origin {
  readonly sequence: number;
  readonly watermarkMs: number;
}

export interface JoinerSink {
  onExample(example: Example): void;
  /** @param sequence of the outcome's event. */
  onRejection(rejection: Rejection, sequence: number): void;
}

export interface Joiner {
  /** Folds the next event. `sequence` ascends. */
  take(sequence: number, event: Event): void;
  readonly watermarkMs: number;
  readonly counts: {
    impressions: number;
    duplicateImpressions: number;
    duplicateOutcomes: number;
    rejected: number;
  };
  /** Open or waiting entries. */
  readonly openEntries: number;
  /** Where a fold must begin to know all that this joiner still holds; null when it holds nothing. */
  oldest(): Origin | null;
}

type Parts = Pick<Example, 'shown' | 'clicked'>;
const positive: Parts = { shown: 1, clicked: 1 };
const negative: Parts = { shown: 1, clicked: 0 };
const clickAlone: Parts = { shown: 0, clicked: 1 };

interface Entry {
  readonly sequence: number;
  readonly origin: Origin;
  /** Watermark after its event: starts its window, so windows close in log order. */
  readonly since: number;
  readonly impression: Impression;
  readonly scores: DataView;
  readonly decided: Uint8Array;
}

/** Outcomes that came before their impression. */
interface Early {
  readonly origin: Origin;
  readonly outcomes: { readonly outcome: Outcome; readonly sequence: number }[];
}

/** Outcomes of one unknown request that are kept; more are refused. */
const earlyOutcomesMax = 2_000;

export function createJoiner(options: JoinerOptions, sink: JoinerSink, watermarkMs = 0): Joiner {
  const { negatives, windowMs, waitEventsMax, itemField } = options;
  const open = new Map<string, Entry>();
  const early = new Map<string, Early>();
  /** Open entries that began with an outcome: few, and the only ones whose origin is not their own event. */
  const begunEarly = new Map<string, Entry>();
  const counts = { impressions: 0, duplicateImpressions: 0, duplicateOutcomes: 0, rejected: 0 };
  let watermark = watermarkMs;

  const emit = (entry: Entry, trigger: number, index: number, parts: Parts) => {
    const { user, context, items } = entry.impression;
    const score = entry.scores.getFloat32(4 * index, true);
    // An early click follows its own impression at the same event: behind all items' places.
    const behind = parts === clickAlone && trigger === entry.sequence ? items.length : 0;
    const place: ExamplePlace = [trigger, entry.sequence, behind + index];
    sink.onExample({ place, user, context, item: items[index], ...parts, score, origin: entry.origin });
  };

  const reject = (outcome: Outcome, sequence: number, reason: string) => {
    counts.rejected += 1;
    const { requestId, timeMs } = outcome;
    sink.onRejection({ code: 'MILL_IMPRESSION_UNKNOWN', requestId, reason, timeMs }, sequence);
  };

  /** @param trigger the event that brings impression and outcome together. */
  const decide = (entry: Entry, trigger: number, outcome: Outcome) => {
    const index = placeOf(outcome, entry.impression, itemField);
    if (index < 0) reject(outcome, trigger, `the impression has no item ${outcome.item ?? outcome.index}`);
    else if (entry.decided[index] === 1) counts.duplicateOutcomes += 1;
    else {
      entry.decided[index] = 1;
      if (negatives === 'after-window')
        emit(entry, trigger, index, outcome.value === 1 ? positive : negative);
      else if (outcome.value === 1) emit(entry, trigger, index, clickAlone);
    }
  };

  const hasWaited = (sinceMs: number, since: number, sequence: number) =>
    sinceMs + windowMs <= watermark || sequence - since > waitEventsMax;

  const emitUndecided = (entry: Entry, trigger: number) => {
    for (let i = 0; i < entry.decided.length; i += 1) {
      if (entry.decided[i] === 0) emit(entry, trigger, i, negative);
    }
  };

  /** Closes what has waited long enough, oldest first. */
  const closeBefore = (sequence: number) => {
    for (const [requestId, entry] of open) {
      if (!hasWaited(entry.since, entry.sequence, sequence)) break;
      open.delete(requestId);
      begunEarly.delete(requestId);
      if (negatives === 'after-window') emitUndecided(entry, sequence);
    }
    for (const [requestId, { origin, outcomes }] of early) {
      if (!hasWaited(origin.watermarkMs, origin.sequence, sequence)) break;
      early.delete(requestId);
      for (const waited of outcomes) {
        reject(waited.outcome, waited.sequence, 'no impression of that requestId is within its join window');
      }
    }
  };

  const takeImpression = (sequence: number, impression: Impression, before: number) => {
    const { requestId, items, scores } = impression;
    if (open.has(requestId)) {
      counts.duplicateImpressions += 1;
      return;
    }
    counts.impressions += 1;
    const waited = early.get(requestId);
    const entry: Entry = {
      sequence,
      origin: waited?.origin ?? { sequence, watermarkMs: before },
      since: watermark,
      impression,
      scores: new DataView(scores.buffer, scores.byteOffset, scores.byteLength),
      decided: new Uint8Array(items.length),
    };
    open.set(requestId, entry);
    if (negatives === 'at-once') emitUndecided(entry, sequence);
    if (waited) takeEarly(entry, waited);
  };

  const takeEarly = (entry: Entry, waited: Early) => {
    const { sequence, impression } = entry;
    early.delete(impression.requestId);
    begunEarly.set(impression.requestId, entry);
    // In item order, so that the places of the examples ascend.
    const byItem = waited.outcomes.map(({ outcome }) => ({
      outcome,
      index: placeOf(outcome, impression, itemField),
    }));
    byItem.sort((a, b) => a.index - b.index);
    for (const { outcome } of byItem) decide(entry, sequence, outcome);
  };

  const takeOutcome = (sequence: number, outcome: Outcome) => {
    const entry = open.get(outcome.requestId);
    if (entry) {
      decide(entry, sequence, outcome);
      return;
    }
    const waiting = early.get(outcome.requestId);
    if (!waiting) {
      const origin = { sequence, watermarkMs: watermark };
      early.set(outcome.requestId, { origin, outcomes: [{ outcome, sequence }] });
    } else if (waiting.outcomes.length < earlyOutcomesMax) waiting.outcomes.push({ outcome, sequence });
    else
      reject(
        outcome,
        sequence,
        `${earlyOutcomesMax} outcomes of that requestId wait for its impression already`,
      );
  };

  return {
    take(sequence, event) {
      const before = watermark;
      if (event.type !== 'outcome') watermark = Math.max(watermark, event.timeMs);
      closeBefore(sequence);
      if (event.type === 'impression') takeImpression(sequence, event, before);
      else if (event.type === 'outcome') takeOutcome(sequence, event);
    },
    get watermarkMs() {
      return watermark;
    },
    counts,
    get openEntries() {
      return open.size + early.size;
    },
    oldest() {
      let oldest = firstOf(open)?.origin ?? null;
      for (const { origin } of [firstOf(early), ...begunEarly.values()].filter(
        (entry) => entry !== undefined,
      )) {
        if (oldest === null || origin.sequence < oldest.sequence) oldest = origin;
      }
      return oldest;
    },
  };
}

function firstOf<T>(entries: ReadonlyMap<string, T>): T | undefined {
  for (const entry of entries.values()) return entry;
  return undefined;
}

/** Place of an outcome's item in its impression, −1 when it is not there. */
function placeOf(outcome: Outcome, { items }: Impression, itemField: string | undefined): number {
  if (outcome.item === undefined) {
    const index = outcome.index ?? 0;
    return index < items.length ? index : -1;
  }
  if (itemField === undefined) return -1;
  return items.findIndex((item) => String(item[itemField]) === outcome.item);
}
