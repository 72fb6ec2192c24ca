/**
 * Gives the examples of an event their places, in ascending order, and their origins.
 *
 * A place is [event that completes it, event of its impression, rank · items + index]: an event that closes a window and
 * brings a late outcome completes examples of several impressions, and an impression that its outcomes were waiting for
 * several of one item, so those of an event are gathered and put in order.
 */
import { comparePlaces, type ExamplePlace, invariant } from '@millrace/protocol';
import type { Entry } from './entry.ts';
import type { Example, Origin } from './example.ts';
import type { FoldTime } from './fold-time.ts';
import type { Part } from './teaching.ts';
import type { Traces } from './traces.ts';

export interface Emitter {
  /** The next event, and where it stands. */
  begin(here: Origin): void;
  emit(entry: Entry, part: Part): void;
  /** Hands out what the event has completed. */
  flush(): void;
}

type Placed = Omit<Example, 'origin'>;

export function createEmitter(
  time: FoldTime,
  traces: Traces,
  onExample: (example: Example) => void,
): Emitter {
  const placed: Placed[] = [];
  let ascending = true;
  /** Where a fold must begin to find what follows the newest example; null before the first event. */
  let origin: Origin | null = null;

  return {
    begin(here) {
      origin ??= here;
    },
    emit(entry, { index, rank, ...part }) {
      const { user, context, items, offset, scores } = entry;
      // Ranks tell parts apart only where one event may complete several of an item.
      const isApart = time.sequence === entry.sequence || part.weighting !== 'none';
      const place: ExamplePlace = [
        time.sequence,
        entry.sequence,
        (isApart ? rank * items.length : 0) + index,
      ];
      const before = placed.at(-1);
      if (before && comparePlaces(before.place, place) > 0) ascending = false;
      const score = scores.getFloat32(4 * index, true);
      const about = { place, user, context, item: items[index], offset, score };
      placed.push({ ...about, ...part, ...armsOf(entry, index) });
    },
    flush() {
      if (placed.length === 0) return;
      if (!ascending) placed.sort((a, b) => comparePlaces(a.place, b.place));
      for (const example of placed) {
        invariant(origin, 'an example comes of an event');
        onExample({ ...example, origin });
        origin = traces.oldest() ?? origin;
      }
      placed.length = 0;
      ascending = true;
    },
  };
}

function armsOf(
  { arm, units, shadow, modelVersion, ranked }: Entry,
  index: number,
): Pick<Example, 'arm' | 'units' | 'shadow' | 'modelVersion' | 'ranked'> | undefined {
  if (arm === undefined && shadow === undefined && modelVersion === undefined) return undefined;
  const isFirstShown = index === 0 && ranked !== undefined;
  return {
    ...(modelVersion !== undefined && { modelVersion }),
    ...(arm !== undefined && { arm }),
    ...(units !== undefined && { units }),
    ...(shadow !== undefined && {
      shadow: {
        arm: shadow.arm,
        unit: shadow.unit,
        score: shadow.scores.getFloat32(4 * index, true),
        ...(isFirstShown && shadow.greedy !== undefined && { greedy: shadow.greedy }),
      },
    }),
    ...(isFirstShown && { ranked }),
  };
}
