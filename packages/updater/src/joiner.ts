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
 * impression would wait for it, from the next event that tells the time, which after a quiet hour may be just that
 * impression. Memory is bounded by the window and by the log: nothing waits longer than `waitEventsMax`
 * later events, a rule that needs no count of what else is open and so replays alike from any start.
 *
 * A fold that begins in the middle may take a repeated impression for a first one, or an outcome for one that came before
 * its impression; such an entry is gone a window after the event that it was made of. So each request leaves a trace, from
 * the event that its story began with until a window after its last event, and a fold is to begin no later than the oldest
 * trace: whatever it misreads there, it has closed again before the first example that is asked of it.
 */
import {
  type Event,
  type ExamplePlace,
  type Features,
  type Impression,
  invariant,
  joinWindowMsDefault,
  type ModelFile,
  type Outcome,
  type Rejection,
} from '@millrace/protocol';

export interface JoinerOptions {
  readonly negatives: 'after-window' | 'at-once';
  readonly windowMs: number;
  readonly waitEventsMax: number;
  /** Name of the item field that outcomes may name an item by. */
  readonly itemField: string | undefined;
}

/** Later events that an impression may wait for at most; with the window this bounds the joiner's memory. */
const waitEventsMax = 1_000_000;

/** How the events of a model are joined. */
export function joinerOptionsOf({ learning = {}, item }: ModelFile): JoinerOptions {
  return {
    negatives: learning.negatives ?? 'after-window',
    windowMs: learning.joinWindowMs ?? joinWindowMsDefault,
    waitEventsMax,
    itemField: item,
  };
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
  /** Experiment arm that scored it; absent: none. */
  readonly arm?: string;
  /** Where a fold must begin to find it and all later ones again, and nothing else after the example before it. */
  readonly origin: Origin;
}

/** A place in the event log and the watermark just before it. */
export interface Origin {
  readonly sequence: number;
  readonly watermarkMs: number;
}

export interface JoinerSink {
  onExample(example: Example): void;
  /** @param sequence of the event that decided it: for an outcome that waited in vain the one that ended its window. */
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
  /** True while the impression of a request waits for outcomes, or is kept so that a repeated one is known for one. */
  isOpen(requestId: string): boolean;
  /** Where a fold must begin to find the examples of later events again; null: at the next event. */
  oldest(): Origin | null;
}

type Parts = Pick<Example, 'shown' | 'clicked'>;
const positive: Parts = { shown: 1, clicked: 1 };
const negative: Parts = { shown: 1, clicked: 0 };
const clickAlone: Parts = { shown: 0, clicked: 1 };

/** A time of the watermark. That of an outcome is settled by the next impression or tick. */
interface Instant {
  ms: number;
}

interface Entry {
  readonly sequence: number;
  /** The watermark after its event: starts its window, so windows close in log order. */
  readonly since: Instant;
  readonly impression: Impression;
  readonly scores: DataView;
  readonly decided: Uint8Array;
}

/** Outcomes that came before their impression. */
interface Early {
  /** The first one's event. */
  readonly sequence: number;
  readonly since: Instant;
  readonly outcomes: Outcome[];
}

/** The story of a request: what a fold that begins in the middle of it could misread. */
interface Trace {
  /** Its first event. */
  readonly root: Origin;
  /** Its last event. */
  readonly sequence: number;
  readonly since: Instant;
  /** Entries that it has had: more than one when its id is used again before the trace is over. */
  readonly entries: number;
}

/** Outcomes of one unknown request that are kept; more are refused. */
const earlyOutcomesMax = 2_000;
/**
 * An id that is used again and again within a window, as a probe may do it, would have a fold begin ever further back. Its
 * story is cut after so many entries; a fold from there may then misread this one request.
 */
const traceEntriesMax = 64;

export function createJoiner(options: JoinerOptions, sink: JoinerSink, watermarkMs = 0): Joiner {
  const { negatives, windowMs, waitEventsMax, itemField } = options;
  const open = new Map<string, Entry>();
  const early = new Map<string, Early>();
  /** By request id, in order of their last events. */
  const traces = new Map<string, Trace>();
  /** Roots of all traces by sequence, oldest first. */
  const roots = new Map<number, Origin>();
  /** Where a fold must begin to find what follows the newest example; null before the first event. */
  let origin: Origin | null = null;
  const counts = { impressions: 0, duplicateImpressions: 0, duplicateOutcomes: 0, rejected: 0 };
  let watermark = watermarkMs;
  /** Shared by the outcomes since the newest impression or tick. */
  let unsettled: Instant = { ms: watermark };

  const oldest = (): Origin | null => firstOf(roots) ?? null;

  const emit = (entry: Entry, trigger: number, index: number, parts: Parts) => {
    const { user, context, items } = entry.impression;
    const score = entry.scores.getFloat32(4 * index, true);
    // An early click follows its own impression at the same event: behind all items' places.
    const behind = parts === clickAlone && trigger === entry.sequence ? items.length : 0;
    const place: ExamplePlace = [trigger, entry.sequence, behind + index];
    invariant(origin, 'an example comes of an event');
    sink.onExample({ place, user, context, item: items[index], ...parts, score, origin });
    origin = oldest() ?? origin;
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

  const hasWaited = (what: { readonly since: Instant; readonly sequence: number }, sequence: number) =>
    what.since.ms + windowMs <= watermark || sequence - what.sequence > waitEventsMax;

  const emitUndecided = (entry: Entry, trigger: number) => {
    for (let i = 0; i < entry.decided.length; i += 1) {
      if (entry.decided[i] === 0) emit(entry, trigger, i, negative);
    }
  };

  /** Closes what has waited long enough, oldest first. */
  const closeBefore = (sequence: number) => {
    for (const [requestId, entry] of open) {
      if (!hasWaited(entry, sequence)) break;
      open.delete(requestId);
      if (negatives === 'after-window') emitUndecided(entry, sequence);
    }
    for (const [requestId, waiting] of early) {
      if (!hasWaited(waiting, sequence)) break;
      early.delete(requestId);
      for (const outcome of waiting.outcomes) {
        reject(outcome, sequence, 'no impression of that requestId is within its join window');
      }
    }
  };

  /** Notes an event of a request. */
  const touch = (requestId: string, event: Origin, since: Instant) => {
    const trace = traces.get(requestId);
    const { sequence } = event;
    const begins = !open.has(requestId) && !early.has(requestId);
    const goesOn =
      trace !== undefined && !hasWaited(trace, sequence) && !(begins && trace.entries === traceEntriesMax);
    if (trace) traces.delete(requestId);
    if (goesOn) {
      const entries = trace.entries + (begins ? 1 : 0);
      traces.set(requestId, { root: trace.root, sequence, since, entries });
      return;
    }
    if (trace) roots.delete(trace.root.sequence);
    roots.set(sequence, event);
    traces.set(requestId, { root: event, sequence, since, entries: 1 });
  };

  /** Forgets traces that are over, once all examples of the event are out. */
  const forgetTraces = (sequence: number) => {
    for (const [requestId, trace] of traces) {
      // With no window at all, what this very event began is closed by the next one.
      if (trace.sequence === sequence || !hasWaited(trace, sequence)) break;
      traces.delete(requestId);
      roots.delete(trace.root.sequence);
    }
  };

  const takeImpression = (sequence: number, impression: Impression, since: Instant) => {
    const { requestId, items, scores } = impression;
    if (open.has(requestId)) {
      counts.duplicateImpressions += 1;
      return;
    }
    counts.impressions += 1;
    const waited = early.get(requestId);
    const entry: Entry = {
      sequence,
      since,
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
    // In item order, so that the places of the examples ascend.
    const byItem = waited.outcomes.map((outcome) => ({
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
    if (!waiting) early.set(outcome.requestId, { sequence, since: unsettled, outcomes: [outcome] });
    else if (waiting.outcomes.length < earlyOutcomesMax) waiting.outcomes.push(outcome);
    else
      reject(
        outcome,
        sequence,
        `${earlyOutcomesMax} outcomes of that requestId wait for its impression already`,
      );
  };

  return {
    take(sequence, event) {
      const here = { sequence, watermarkMs: watermark };
      origin ??= here;
      if (event.type !== 'outcome') {
        watermark = Math.max(watermark, event.timeMs);
        unsettled.ms = watermark;
        unsettled = { ms: watermark };
      }
      closeBefore(sequence);
      if (event.type === 'impression') {
        const since = { ms: watermark };
        touch(event.requestId, here, since);
        takeImpression(sequence, event, since);
      } else if (event.type === 'outcome') {
        touch(event.requestId, here, unsettled);
        takeOutcome(sequence, event);
      }
      forgetTraces(sequence);
    },
    get watermarkMs() {
      return watermark;
    },
    counts,
    get openEntries() {
      return open.size + early.size;
    },
    isOpen: (requestId) => open.has(requestId),
    oldest,
  };
}

function firstOf<T>(entries: ReadonlyMap<number, T>): T | undefined {
  for (const entry of entries.values()) return entry;
  return undefined;
}

/** Place of an outcome's item in its impression, −1 when it is not there. */
function placeOf(outcome: Outcome, { items, places }: Impression, itemField: string | undefined): number {
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
