/**
 * Writes impressions to the event log beside the answers, never in their way: a score does not wait for it, and when the
 * log does not take it (NATS gone, or too many on their way) the impression is counted as lost, since nothing can be
 * learned from it, and scoring goes on.
 */
import { encodeEvent, eventsSubject, type Impression, modelNameFrom } from '@millrace/protocol';
import type { Bus, Logger } from '@millrace/runtime';

/** Appends on their way at the same time. At 6,000 a second this is a third of a second of outage. */
const underwayMax = 2_048;

export interface ImpressionLog {
  write(model: string, impression: Impression): void;
  readonly lost: number;
  /** Resolves when all that are on their way are stored or lost. */
  settled(): Promise<void>;
}

export function createImpressionLog(bus: Bus, logger: Logger): ImpressionLog {
  const underway = new Set<Promise<void>>();
  let lost = 0;
  let quiet = false;
  const lose = (reason: string) => {
    lost += 1;
    if (!quiet) logger.warn({ reason }, 'impression lost');
    quiet = true;
  };
  return {
    write(model, impression) {
      if (underway.size >= underwayMax) {
        lose(`${underwayMax} wait for the log`);
        return;
      }
      const stored: Promise<void> = bus
        .append('events', eventsSubject(modelNameFrom(model)), encodeEvent(impression))
        .then(() => {
          quiet = false;
        })
        .catch((error: unknown) => lose(String(error)))
        .finally(() => underway.delete(stored));
      underway.add(stored);
    },
    get lost() {
      return lost;
    },
    async settled() {
      while (underway.size > 0) await Promise.all(underway);
    },
  };
}
