/**
 * The events of a run in the order in which the log gets them, which is not the order in which they happen: clicks come after
 * their delay, all events may be shuffled within a horizon, and outcomes repeated. Requests are scored when they happen, so
 * the stream is asked for what the log has got by then.
 */
import type { Event } from '@millrace/protocol';
import { uniformAt } from '@millrace/traffic';
import { delayMsMax, horizonMs } from './parameters.ts';

/** What is done to a stream. */
export type Disturbance = 'clean' | 'duplicated' | 'reordered' | 'delayed';

export interface DueEvent {
  readonly dueMs: number;
  readonly event: Event;
}

export interface EventStream {
  add(event: Event, happenedMs: number): void;
  /** Takes what has reached the log by then, in its order. */
  takeDue(nowMs: number): readonly DueEvent[];
}

/** Uses of randomness here; those of the traffic are others. */
const streamOf = { delay: 201, horizon: 202, copies: 203 };
/** Copies of each outcome in the duplicated run: none to two, and the last up to a horizon later. */
const copiesMax = 2;

export function createEventStream(seed: number, disturbance: Disturbance): EventStream {
  /** A binary heap by (dueMs, order). */
  const heap: (DueEvent & { readonly order: number })[] = [];
  let order = 0;
  const comesBefore = (a: number, b: number) =>
    heap[a].dueMs < heap[b].dueMs || (heap[a].dueMs === heap[b].dueMs && heap[a].order < heap[b].order);
  const swap = (a: number, b: number) => {
    [heap[a], heap[b]] = [heap[b], heap[a]];
  };
  const push = (event: Event, dueMs: number) => {
    heap.push({ event, dueMs, order });
    order += 1;
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!comesBefore(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  };
  const pop = (): DueEvent => {
    const first = heap[0];
    const last = heap.pop() as (typeof heap)[number];
    if (heap.length > 0) {
      heap[0] = last;
      for (let at = 0; ; ) {
        const left = 2 * at + 1;
        if (left >= heap.length) break;
        const child = left + 1 < heap.length && comesBefore(left + 1, left) ? left + 1 : left;
        if (!comesBefore(child, at)) break;
        swap(child, at);
        at = child;
      }
    }
    return first;
  };

  return {
    add(event, happenedMs) {
      const draw = (stream: number, more = 0) => uniformAt(seed, stream, order, more);
      if (disturbance === 'delayed' && event.type === 'outcome')
        push(event, happenedMs + delayMsMax * draw(streamOf.delay));
      else if (disturbance === 'reordered') push(event, happenedMs + horizonMs * draw(streamOf.horizon));
      else push(event, happenedMs);
      if (disturbance !== 'duplicated' || event.type !== 'outcome') return;
      const copies = Math.floor((copiesMax + 1) * draw(streamOf.copies));
      for (let copy = 1; copy <= copies; copy += 1)
        push(event, happenedMs + horizonMs * draw(streamOf.copies, copy));
    },
    takeDue(nowMs) {
      const due: DueEvent[] = [];
      while (heap.length > 0 && heap[0].dueMs <= nowMs) due.push(pop());
      return due;
    },
  };
}
