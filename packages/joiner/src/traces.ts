/**
 * Where a fold must begin to see what a later event needs.
 *
 * A fold that begins in the middle may take a repeated impression for a first one, or an outcome for one that came before its
 * impression; such an entry is gone a life after the event that it was made of. So each request leaves a trace, from the event
 * that its story began with until a life after its last event, and a fold is to begin no later than the oldest trace: whatever
 * it misreads there, it has closed again before the first example that is asked of it.
 */
import type { Origin } from './example.ts';
import type { FoldTime, Waiting } from './fold-time.ts';

export interface Traces {
  /** Notes an event of a request. `begins` says that nothing of the request is known yet. */
  touch(requestId: string, event: Origin, at: Waiting, begins: boolean): void;
  /** Where the oldest story began, those included that ended with the present event; null when there is none. */
  oldest(): Origin | null;
  /** Forgets what is over, once all examples of the present event are out. */
  forget(): void;
}

/** The story of a request: what a fold that begins in the middle of it could misread. */
interface Trace {
  /** Its first event. */
  readonly root: Origin;
  /** Its last event. */
  readonly last: Waiting;
  /** Entries that it has had: more than one when its id is used again before the trace is over. */
  readonly entries: number;
}

/**
 * An id that is used again and again within a window, as a probe may do it, would have a fold begin ever further back. Its
 * story is cut after so many entries; a fold from there may then misread this one request.
 */
const traceEntriesMax = 64;

/** @param lifeMs how long an entry may be known. */
export function createTraces(time: FoldTime, lifeMs: number): Traces {
  /** By request id, in order of their last events. */
  const traces = new Map<string, Trace>();
  /** Roots of all traces by sequence, oldest first. */
  const roots = new Map<number, Origin>();
  /** Roots of stories that the present event has followed with another one of the same request. */
  let spent: number[] = [];

  return {
    touch(requestId, event, at, begins) {
      const trace = traces.get(requestId);
      const goesOn =
        trace !== undefined &&
        !time.isOver(trace.last, lifeMs) &&
        !(begins && trace.entries === traceEntriesMax);
      if (trace) traces.delete(requestId);
      if (goesOn) {
        traces.set(requestId, { root: trace.root, last: at, entries: trace.entries + (begins ? 1 : 0) });
        return;
      }
      if (trace) spent.push(trace.root.sequence);
      roots.set(event.sequence, event);
      traces.set(requestId, { root: event, last: at, entries: 1 });
    },
    oldest() {
      for (const root of roots.values()) return root;
      return null;
    },
    forget() {
      for (const sequence of spent) roots.delete(sequence);
      if (spent.length > 0) spent = [];
      for (const [requestId, trace] of traces) {
        // With no window at all, what this very event began is closed by the next one.
        if (trace.last.sequence === time.sequence || !time.isOver(trace.last, lifeMs)) break;
        traces.delete(requestId);
        roots.delete(trace.root.sequence);
      }
    },
  };
}
