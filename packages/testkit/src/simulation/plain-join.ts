/**
 * The plain twin of the joiner: which examples an event log holds, told request by request.
 *
 * A request's events are looked at together, with the watermark at each place of the log: the highest time of impressions and
 * ticks, as far as the log's own clock had come. An impression is open from its event until the first later one at which its
 * window is over, and known until its late window is; an impression of a known request is a repetition. An outcome belongs to
 * the known impression of its request; one that finds none waits for an impression for as long as an impression would wait,
 * counted from the next event that tells the time. Of each item the first outcome of a kind counts. What is taught of it in
 * the end does not depend on their order: a negative, or a positive of the weights of its kinds together.
 */
import type { JoinerOptions } from '@millrace/joiner';
import {
  type Event,
  type Features,
  type Impression,
  type Outcome,
  outcomeKindNumber,
} from '@millrace/protocol';

export interface Tally {
  shown: number;
  clicked: number;
}

export interface Joined {
  readonly examples: number;
  readonly clicks: number;
  /** Impressions whose window is still open, and outcomes that still wait for theirs. */
  readonly open: number;
  /** By item. */
  readonly items: ReadonlyMap<string, Tally>;
  readonly rejected: number;
}

/** Of the joiner's options those that do not bound its memory, and choose nothing by hash. */
export type JoinRules = Pick<
  JoinerOptions,
  'windowMs' | 'lateMs' | 'latePositives' | 'negatives' | 'kinds' | 'itemField'
>;

/** What the log holds at a place: null for what nobody can read. */
export interface StoredEvent {
  readonly event: Event | null;
  readonly storedMs: number;
}

interface Placed {
  readonly place: number;
  readonly event: Impression | Outcome;
}

/** An impression, and by item the weights of the kinds of outcomes that came; null for those that it was not wanted by. */
interface Known {
  readonly impression: Impression;
  readonly untilPlace: number;
  readonly endPlace: number;
  readonly outcomes: Map<number, number | null>[];
}

/** @param events  the log in order. */
export function plainJoin(events: readonly StoredEvent[], rules: JoinRules): Joined {
  const { windowMs, lateMs, negatives, kinds } = rules;
  const isFake = rules.latePositives === 'fake-negative-weighted';
  /** Watermark after each event. */
  const marks: number[] = [];
  const requests = new Map<string, Placed[]>();
  const items = new Map<string, Tally>();
  const totals = { examples: 0, clicks: 0, open: 0, rejected: 0 };
  let mark = 0;
  for (const [place, { event, storedMs }] of events.entries()) {
    if (event !== null && event.type !== 'outcome') mark = Math.max(mark, Math.min(event.timeMs, storedMs));
    marks.push(mark);
    if (event === null || event.type === 'tick') continue;
    if (event.type === 'outcome' && outcomeKindNumber(kinds, event.outcome) < 0) {
      totals.rejected += 1;
      continue;
    }
    const story = requests.get(event.requestId) ?? [];
    story.push({ place, event });
    requests.set(event.requestId, story);
  }

  /** First place after `place` at which what began at `startMs` is over after so long. */
  const overAt = (startMs: number, ms: number, place: number): number => {
    for (let next = place + 1; next < marks.length; next += 1) if (startMs + ms <= marks[next]) return next;
    return Number.POSITIVE_INFINITY;
  };
  /** Watermark of the first event after `place` that tells the time; never when there is none. */
  const toldAfter = (place: number): number => {
    for (let next = place + 1; next < events.length; next += 1) {
      const { event } = events[next];
      if (event !== null && event.type !== 'outcome') return marks[next];
    }
    return Number.POSITIVE_INFINITY;
  };

  const note = ({ impression, outcomes }: Known, outcome: Outcome) => {
    const index = indexOf(outcome, impression.items, rules.itemField);
    if (index < 0) {
      totals.rejected += 1;
      return;
    }
    const kind = outcomeKindNumber(kinds, outcome.outcome);
    if (!outcomes[index].has(kind)) outcomes[index].set(kind, weightOf(kinds[kind], outcome.value));
  };

  /** What an impression has taught by the end of the log. */
  const tell = ({ impression, untilPlace, outcomes }: Known) => {
    const isOver = untilPlace < Number.POSITIVE_INFINITY;
    for (const [i, item] of impression.items.entries()) {
      const weights = [...outcomes[i].values()];
      if (negatives === 'after-window' && !isOver && weights.length === 0) continue;
      const positives = weights.filter((weight) => weight !== null);
      const sum = positives.reduce((total, weight) => total + weight, 0);
      const name = String(item.item);
      const tally = items.get(name) ?? { shown: 0, clicked: 0 };
      tally.shown += positives.length === 0 ? 1 : isFake ? 1 + sum : sum;
      tally.clicked += sum;
      items.set(name, tally);
      totals.examples += 1;
      if (positives.length > 0) totals.clicks += 1;
    }
    if (!isOver) totals.open += 1;
  };

  const tellStory = (story: readonly Placed[]) => {
    let early: { readonly outcomes: Outcome[]; readonly untilPlace: number } | null = null;
    let known: Known | null = null;
    for (const { place, event } of story) {
      if (known !== null && known.endPlace <= place) {
        tell(known);
        known = null;
      }
      if (early !== null && early.untilPlace <= place) {
        totals.rejected += early.outcomes.length;
        early = null;
      }
      if (event.type === 'outcome') {
        if (known !== null) {
          if (place < known.untilPlace || isFake) note(known, event);
        } else if (early !== null) early.outcomes.push(event);
        else early = { outcomes: [event], untilPlace: overAt(toldAfter(place), windowMs, place) };
        continue;
      }
      if (known !== null) continue;
      known = {
        impression: event,
        untilPlace: overAt(marks[place], windowMs, place),
        endPlace: overAt(marks[place], windowMs + lateMs, place),
        outcomes: event.items.map(() => new Map()),
      };
      for (const outcome of early?.outcomes ?? []) note(known, outcome);
      early = null;
    }
    if (known !== null) tell(known);
    if (early === null) return;
    if (early.untilPlace < Number.POSITIVE_INFINITY) totals.rejected += early.outcomes.length;
    else totals.open += 1;
  };
  for (const story of requests.values()) tellStory(story);
  return { ...totals, items };
}

function indexOf(
  { item, index = 0 }: Outcome,
  items: readonly Features[],
  itemField: string | undefined,
): number {
  if (item === undefined) return index < items.length ? index : -1;
  return itemField === undefined ? -1 : items.findIndex((features) => String(features[itemField]) === item);
}

function weightOf(kind: JoinRules['kinds'][number], value: number): number | null {
  if (value < (kind.valueMin ?? 1)) return null;
  const cut = Math.min(value, kind.valueMax ?? 1_000);
  const factors = { none: 1, linear: cut, log1p: Math.log(1 + cut) };
  return (kind.weight ?? 1) * factors[kind.valueWeight ?? 'none'];
}
