/** After the load: waits until all that was shown is learned. */
import type { Event } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { pause } from '../eventually.ts';
import { readEvents } from '../read-log.ts';
import type { Wholeness } from './wholeness.ts';

const settleMsMax = 90_000;
const lookMs = 1_000;

/**
 * All events of the model, once every example of theirs is learned; or at a deadline, when no impression waits any more and
 * something was thus lost, which is for the caller to find.
 * @throws when impressions wait even then.
 */
export async function settledEvents(
  bus: Bus,
  model: string,
  wholeness: Wholeness,
): Promise<readonly Event[]> {
  const untilMs = performance.now() + settleMsMax;
  for (;;) {
    const events = await readEvents(bus, model);
    const examples = examplesIn(events);
    const { learned = 0, openImpressions = 1 } = wholeness.counters ?? {};
    if (openImpressions === 0 && learned >= examples) return events;
    if (performance.now() >= untilMs) {
      if (openImpressions === 0) return events;
      throw new Error(`${openImpressions} impressions open, ${learned} of ${examples} examples learned`);
    }
    await pause(lookMs);
  }
}

function examplesIn(events: readonly Event[]): number {
  const shown = new Map(
    events.flatMap((event) => (event.type === 'impression' ? [[event.requestId, event.items.length]] : [])),
  );
  return [...shown.values()].reduce((sum, items) => sum + items, 0);
}
