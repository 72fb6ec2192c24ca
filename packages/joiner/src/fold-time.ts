/**
 * Where a fold stands in its log, and how long things have waited there. Three measures, all of them functions of the log
 * between two places and of nothing else, so that every fold of it agrees, wherever it began:
 *
 *   watermark   the highest time of impressions and ticks so far. The time of an event counts as far as the log's own clock
 *               had come when it stored it: min(event.timeMs, stored.timeMs). A writer whose clock is ahead moves nothing, one
 *               whose clock is behind neither, since others are ahead of it.
 *   sequences   later messages of the log
 *   bytes       later bytes of this model's events
 */
import type { Event } from '@millrace/protocol';

/** What the log says of a message beside its payload. */
export interface StoredAs {
  /** When it was stored, Unix ms of the log's clock; null: the log does not tell, and the event is believed. */
  readonly timeMs: number | null;
  readonly bytes: number;
}

/** A time of the watermark. That of an outcome is settled by the next impression or tick. */
export interface Instant {
  ms: number;
}

/** Something that waits since an event. */
export interface Waiting {
  readonly sequence: number;
  /** Bytes folded through that event. */
  readonly bytes: number;
  readonly since: Instant;
}

export interface FoldTime {
  readonly sequence: number;
  readonly watermarkMs: number;
  /** Steps on to an event; those of outcomes do not move the time. */
  step(sequence: number, event: Event, stored: StoredAs): void;
  /** What waits from the present event on. An outcome waits from when the next event tells the time. */
  waiting(event: Event): Waiting;
  /** True when it has waited for so long, or too much has followed it. */
  isOver(what: Waiting, ms: number): boolean;
  /** True when too much has followed it. */
  isCrowdedOut(what: Waiting): boolean;
}

export function createFoldTime(
  { eventsMax, bytesMax }: { readonly eventsMax: number; readonly bytesMax: number },
  watermarkMs: number,
): FoldTime {
  let sequence = 0;
  let bytes = 0;
  let watermark = watermarkMs;
  /** Shared by the outcomes since the newest impression or tick. */
  let unsettled: Instant = { ms: watermark };

  const isCrowdedOut = (what: Waiting) =>
    sequence - what.sequence > eventsMax || bytes - what.bytes > bytesMax;

  return {
    get sequence() {
      return sequence;
    },
    get watermarkMs() {
      return watermark;
    },
    step(next, event, stored) {
      sequence = next;
      bytes += stored.bytes;
      if (event.type === 'outcome') return;
      const timeMs = stored.timeMs === null ? event.timeMs : Math.min(event.timeMs, stored.timeMs);
      watermark = Math.max(watermark, timeMs);
      unsettled.ms = watermark;
      unsettled = { ms: watermark };
    },
    waiting: ({ type }) => ({
      sequence,
      bytes,
      since: type === 'outcome' ? unsettled : { ms: watermark },
    }),
    isOver: (what, ms) => what.since.ms + ms <= watermark || isCrowdedOut(what),
    isCrowdedOut,
  };
}
