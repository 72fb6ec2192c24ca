/**
 * Joins impressions with their outcomes: a pure fold of the event log into labelled examples.
 *
 *   negatives after-window   impression ──▶ open ──┬─ outcome 1 ───▶ positive, at once
 *                                                  ├─ outcome 0 ───▶ negative, at once
 *                                                  └─ window over ─▶ negatives, for items without an outcome
 *   negatives at-once        impression ──▶ negatives, at once; then a click adds its own part of the gradient
 *
 * Time, and what has followed an event, are told by the log alone (fold-time.ts), so whoever folds the same events emits the
 * same examples at the same places. An impression is known for its whole window, and a late window after it, so that a
 * repeated outcome is known for one (open-entries.ts). An outcome may come before its impression: it waits for it as long as
 * an impression would wait for it, from the next event that tells the time, which after a quiet hour may be just that
 * impression (early-outcomes.ts). What outcomes teach is teaching.ts; where another fold may begin is traces.ts.
 */
import {
  type Event,
  type Impression,
  type Outcome,
  outcomeKindNumber,
  outcomeKindUnknown,
  type Rejection,
} from '@millrace/protocol';
import { createEarlyOutcomes, earlyOutcomesMax } from './early-outcomes.ts';
import { createEmitter } from './emitter.ts';
import { type Entry, entryFrom, placeOf } from './entry.ts';
import type { Example, Origin } from './example.ts';
import { createFoldTime, type StoredAs, type Waiting } from './fold-time.ts';
import type { JoinerOptions } from './joiner-options.ts';
import { createOpenEntries } from './open-entries.ts';
import { createTeaching } from './teaching.ts';
import { createTraces } from './traces.ts';

export type { StoredAs } from './fold-time.ts';

export interface JoinerSink {
  onExample(example: Example): void;
  /** @param sequence of the event that decided it: for an outcome that waited in vain the one that ended its window. */
  onRejection(rejection: Rejection, sequence: number): void;
}

/** Since this fold began. */
export interface JoinerCounts {
  readonly impressions: number;
  readonly duplicateImpressions: number;
  readonly duplicateOutcomes: number;
  readonly rejected: number;
  /** Outcomes that came before their impression. */
  readonly early: number;
  /** Outcomes that came in the late window. */
  readonly late: number;
  /** Late outcomes that taught nothing, and those of another model's impressions. */
  readonly ignored: number;
  /** Impressions that were let go before their time, since too much followed them. */
  readonly dropped: number;
  /** Negatives that sampling passed over. */
  readonly sampledOut: number;
}

export interface Joiner {
  /** Folds the next event. `sequence` ascends. */
  take(sequence: number, event: Event, stored: StoredAs): void;
  readonly watermarkMs: number;
  readonly counts: JoinerCounts;
  /** Impressions within their join window, and requests whose outcomes came early. */
  readonly openEntries: number;
  /** Impressions after their join window that are known for late outcomes. */
  readonly lateEntries: number;
  /** True while the impression of a request waits for outcomes, or is kept so that a repeated or late one is known for one. */
  isOpen(requestId: string): boolean;
  /** Where a fold must begin to find the examples of later events again; null: at the next event. */
  oldest(): Origin | null;
}

const noImpression = 'no impression of that requestId is within its join window';

export function createJoiner(options: JoinerOptions, sink: JoinerSink, watermarkMs = 0): Joiner {
  const { negatives, windowMs, lateMs, latePositives, kinds, itemField } = options;
  const time = createFoldTime(options, watermarkMs);
  const entries = createOpenEntries(time, {
    windowMs,
    lateMs,
    keepsLate: latePositives === 'fake-negative-weighted',
  });
  const early = createEarlyOutcomes(time, windowMs);
  const traces = createTraces(time, windowMs + lateMs);
  const emitter = createEmitter(time, traces, sink.onExample);
  const teaching = createTeaching(options, emitter.emit);
  const counts = {
    impressions: 0,
    duplicateImpressions: 0,
    duplicateOutcomes: 0,
    rejected: 0,
    early: 0,
    late: 0,
    ignored: 0,
  };

  const reject = (outcome: Outcome, reason: string, code: Rejection['code'] = 'MILL_IMPRESSION_UNKNOWN') => {
    counts.rejected += 1;
    const { requestId, timeMs } = outcome;
    sink.onRejection({ code, requestId, reason, timeMs }, time.sequence);
  };

  /** One whose impression is not here: that may be another model's. */
  const rejectUnmet: typeof reject = (outcome, ...why) => {
    if (outcome.spread === true) counts.ignored += 1;
    else reject(outcome, ...why);
  };

  /** An outcome has met its impression. */
  const decide = (entry: Entry, outcome: Outcome, kind: number) => {
    const index = placeOf(outcome, entry, itemField);
    if (index < 0) reject(outcome, `the impression has no item ${outcome.item ?? outcome.index}`);
    else if (!teaching.take(entry, index, kind, outcome)) counts.duplicateOutcomes += 1;
  };

  const isKnown = (requestId: string) =>
    entries.openOf(requestId) !== undefined || entries.lateOf(requestId) !== undefined;

  const takeImpression = (impression: Impression, at: Waiting) => {
    const { requestId } = impression;
    if (isKnown(requestId)) {
      counts.duplicateImpressions += 1;
      return;
    }
    counts.impressions += 1;
    const entry = entryFrom(impression, at);
    entries.add(entry);
    if (negatives === 'at-once') teaching.teachNegatives(entry);
    for (const { outcome, kind } of early.take(requestId)) {
      counts.early += 1;
      decide(entry, outcome, kind);
    }
  };

  const takeOutcome = (outcome: Outcome, kind: number, at: Waiting) => {
    const { requestId } = outcome;
    const open = entries.openOf(requestId);
    const late = open ? undefined : entries.lateOf(requestId);
    if (open) decide(open, outcome, kind);
    else if (late) {
      counts.late += 1;
      if (late.entry) decide(late.entry, outcome, kind);
      else counts.ignored += 1;
    } else if (!early.add(requestId, { outcome, kind }, at)) {
      rejectUnmet(outcome, `${earlyOutcomesMax} outcomes of that requestId wait for its impression already`);
    }
  };

  const takeEvent = (event: Event, here: Origin) => {
    if (event.type === 'tick') return;
    const kind = event.type === 'outcome' ? outcomeKindNumber(kinds, event.outcome) : 0;
    if (event.type === 'outcome' && kind < 0) {
      rejectUnmet(event, outcomeKindUnknown(kinds, event.outcome), 'MILL_EVENT_INVALID');
      return;
    }
    const { requestId } = event;
    const at = time.waiting(event);
    traces.touch(requestId, here, at, !isKnown(requestId) && !early.has(requestId));
    if (event.type === 'impression') takeImpression(event, at);
    else takeOutcome(event, kind, at);
  };

  return {
    take(sequence, event, stored) {
      const here = { sequence, watermarkMs: time.watermarkMs };
      time.step(sequence, event, stored);
      emitter.begin(here);
      entries.close((entry) => {
        if (negatives === 'after-window') teaching.teachNegatives(entry);
      });
      early.close((outcome) => rejectUnmet(outcome, noImpression));
      takeEvent(event, here);
      emitter.flush();
      traces.forget();
    },
    get watermarkMs() {
      return time.watermarkMs;
    },
    get counts() {
      return { ...counts, dropped: entries.dropped, sampledOut: teaching.sampledOut };
    },
    get openEntries() {
      return entries.open + early.size;
    },
    get lateEntries() {
      return entries.late;
    },
    isOpen: isKnown,
    oldest: traces.oldest,
  };
}
