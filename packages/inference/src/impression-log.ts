/**
 * Writes impressions to the event log beside the answers, never in their way: a score does not wait for it. While the log
 * cannot be reached impressions are kept and written once it can, for as long as anything could still be learned from them;
 * only what outlasts that, or the room there is, is lost and counted.
 *
 * One whose acknowledgement was lost is written again: it is stored twice then, and counts once, since both come within its
 * join window.
 */
import {
  encodeEvent,
  eventsSubject,
  type Impression,
  isMillraceError,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus, Clock, Logger } from '@millrace/runtime';

/** Appends on their way at the same time. */
const underwayMax = 2_048;
/** What is kept beyond those, at most: an outage of 15 s at 1,000 impressions a second of 4 KB each. */
const keptMax = 16_384;
const keptBytesMax = 64 * 1024 * 1024;
/** Pause after a failure: the log is asked again with what is kept. */
const pauseMs = 250;

export interface ImpressionLog {
  /** @param keepMs  how long it may wait for the log before nothing can be learned from it. */
  write(model: string, impression: Impression, keepMs: number): void;
  readonly lost: number;
  /** Tries once more what is kept; resolves when everything is stored or lost. Nothing is kept any more from then on. */
  close(): Promise<void>;
}

interface Kept {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly untilMs: number;
}

export function createImpressionLog(bus: Bus, logger: Logger, clock: Clock): ImpressionLog {
  const underway = new Set<Promise<void>>();
  let kept: Kept[] = [];
  let keptBytes = 0;
  let pause: { cancel(): void } | null = null;
  let lost = 0;
  let quiet = false;
  let closing = false;

  const tell = (reason: string, message: string) => {
    if (!quiet) logger.warn({ reason }, message);
    quiet = true;
  };
  const lose = (reason: string) => {
    lost += 1;
    tell(reason, 'impression lost');
  };

  const keep = (entry: Kept, reason: string) => {
    if (closing || clock.monotonicMs() >= entry.untilMs) lose(reason);
    else if (kept.length >= keptMax || keptBytes + entry.payload.length > keptBytesMax)
      lose(`${kept.length} impressions wait for the log already`);
    else {
      tell(reason, 'impressions wait for the log');
      kept.push(entry);
      keptBytes += entry.payload.length;
    }
  };

  const append = (entry: Kept) => {
    const stored: Promise<void> = bus
      .append('events', entry.subject, entry.payload)
      .then(
        () => {
          quiet = false;
        },
        (error: unknown) => {
          if (isMillraceError(error) && error.retry !== 'never') {
            keep(entry, error.message);
            if (!closing) pause ??= clock.setTimer(pauseMs, goOn);
          } else lose(String(error));
        },
      )
      .finally(() => {
        underway.delete(stored);
        if (pause === null) appendKept();
      });
    underway.add(stored);
  };
  const appendKept = () => {
    let next = 0;
    while (next < kept.length && underway.size < underwayMax) {
      const entry = kept[next] as Kept;
      next += 1;
      keptBytes -= entry.payload.length;
      if (clock.monotonicMs() < entry.untilMs) append(entry);
      else lose('the log was out of reach for too long');
    }
    kept = kept.slice(next);
  };
  const goOn = () => {
    pause = null;
    appendKept();
  };

  return {
    write(model, impression, keepMs) {
      const subject = eventsSubject(modelNameFrom(model));
      const entry = { subject, payload: encodeEvent(impression), untilMs: clock.monotonicMs() + keepMs };
      if (pause === null && underway.size < underwayMax) append(entry);
      else keep(entry, `${underway.size} are on their way`);
    },
    get lost() {
      return lost;
    },
    async close() {
      closing = true;
      pause?.cancel();
      goOn();
      while (underway.size > 0 || kept.length > 0) {
        appendKept();
        await Promise.all(underway);
      }
    },
  };
}
