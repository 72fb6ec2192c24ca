/**
 * The plain twin of the joiner: which examples an event log holds, told request by request.
 *
 * A request's events are looked at together, with the watermark (the highest time of impressions and ticks) at each place of
 * the log. An impression is open from its event until the first later one at which its window is over; an impression of an
 * open request is a repetition. An outcome belongs to the open impression of its request; one that finds none waits for an
 * impression for as long as an impression would wait, counted from the next event that tells the time. The first outcome of
 * an item counts; an item without one is a negative when the window closes.
 */
import type { Event, Impression, Outcome } from '@millrace/protocol';

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

export interface JoinRules {
  readonly windowMs: number;
  readonly negatives: 'after-window' | 'at-once';
}

interface Placed {
  readonly place: number;
  readonly event: Impression | Outcome;
}

/** @param events  the log in order; null for what nobody can read. */
export function plainJoin(events: readonly (Event | null)[], rules: JoinRules): Joined {
  const { windowMs, negatives } = rules;
  /** Watermark after each event. */
  const marks: number[] = [];
  const requests = new Map<string, Placed[]>();
  let mark = 0;
  for (const [place, event] of events.entries()) {
    if (event !== null && event.type !== 'outcome') mark = Math.max(mark, event.timeMs);
    marks.push(mark);
    if (event === null || event.type === 'tick') continue;
    const story = requests.get(event.requestId) ?? [];
    story.push({ place, event });
    requests.set(event.requestId, story);
  }

  /** First place at which a window that starts at `startMs` is over, at the earliest `from`. */
  const closesAt = (startMs: number, from: number): number => {
    for (let place = from; place < marks.length; place += 1)
      if (startMs + windowMs <= marks[place]) return place;
    return Number.POSITIVE_INFINITY;
  };
  /** Watermark of the first event after `place` that tells the time; never when there is none. */
  const toldAfter = (place: number): number => {
    for (let next = place + 1; next < events.length; next += 1) {
      const event = events[next];
      if (event !== null && event.type !== 'outcome') return marks[next];
    }
    return Number.POSITIVE_INFINITY;
  };

  const items = new Map<string, Tally>();
  const totals = { examples: 0, clicks: 0, open: 0, rejected: 0 };
  const count = (item: string, shown: number, clicked: number) => {
    const tally = items.get(item) ?? { shown: 0, clicked: 0 };
    tally.shown += shown;
    tally.clicked += clicked;
    items.set(item, tally);
    totals.examples += shown;
    totals.clicks += clicked;
  };

  const tellStory = (story: readonly Placed[]) => {
    let early: { readonly outcomes: Outcome[]; readonly untilPlace: number } | null = null;
    let entry: {
      readonly impression: Impression;
      readonly untilPlace: number;
      readonly decided: Set<number>;
    } | null = null;
    const close = () => {
      if (entry === null) return;
      const { impression, decided } = entry;
      if (negatives === 'after-window') {
        for (const [i, item] of impression.items.entries())
          if (!decided.has(i)) count(String(item.item), 1, 0);
      }
      entry = null;
    };
    const decide = (outcome: Outcome) => {
      if (entry === null) return;
      const { impression, decided } = entry;
      const index = indexOf(outcome, impression);
      if (index < 0) totals.rejected += 1;
      else if (!decided.has(index)) {
        decided.add(index);
        const item = String(impression.items[index].item);
        if (negatives === 'after-window') count(item, 1, outcome.value);
        else if (outcome.value === 1) count(item, 0, 1);
      }
    };
    for (const { place, event } of story) {
      if (entry !== null && entry.untilPlace <= place) close();
      if (early !== null && early.untilPlace <= place) {
        totals.rejected += early.outcomes.length;
        early = null;
      }
      if (event.type === 'outcome') {
        if (entry !== null) decide(event);
        else if (early !== null) early.outcomes.push(event);
        else early = { outcomes: [event], untilPlace: closesAt(toldAfter(place), place + 1) };
        continue;
      }
      if (entry !== null) continue;
      entry = { impression: event, untilPlace: closesAt(marks[place], place + 1), decided: new Set() };
      if (negatives === 'at-once') for (const item of event.items) count(String(item.item), 1, 0);
      const waited = early?.outcomes ?? [];
      early = null;
      for (const outcome of waited) decide(outcome);
    }
    if (entry !== null && entry.untilPlace < Number.POSITIVE_INFINITY) close();
    if (early !== null && early.untilPlace < Number.POSITIVE_INFINITY)
      totals.rejected += early.outcomes.length;
    else if (early !== null) totals.open += 1;
    if (entry !== null) totals.open += 1;
  };
  for (const story of requests.values()) tellStory(story);
  return { ...totals, items };
}

function indexOf({ item, index = 0 }: Outcome, { items }: Impression): number {
  if (item === undefined) return index < items.length ? index : -1;
  return items.findIndex((features) => String(features.item) === item);
}
