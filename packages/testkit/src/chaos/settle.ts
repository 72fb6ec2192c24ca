/** After the load: waits until all that was shown is learned. */
import type { Event } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { eventually } from '../eventually.ts';
import { readEvents } from '../read-log.ts';
import type { Wholeness } from './wholeness.ts';

const settleMsMax = 90_000;

/** All events of the model, once no impression waits for its outcomes any more. */
export function settledEvents(bus: Bus, model: string, wholeness: Wholeness): Promise<readonly Event[]> {
  return eventually(
    async () => {
      const events = await readEvents(bus, model);
      const shown = new Map(
        events.flatMap((event) =>
          event.type === 'impression' ? [[event.requestId, event.items.length]] : [],
        ),
      );
      const examples = [...shown.values()].reduce((sum, items) => sum + items, 0);
      const { learned = 0, openImpressions = 1 } = wholeness.counters ?? {};
      if (openImpressions > 0)
        throw new Error(`${openImpressions} impressions open, ${learned} of ${examples} learned`);
      return events;
    },
    { withinMs: settleMsMax, everyMs: 1_000 },
  );
}
