/**
 * Requests as a service would send them, made of a log, whose records have one item each: user and context of a record, with the
 * items of others. Of a long log some records are kept, each with the same chance (reservoir sampling: Vitter's algorithm R).
 */
import { jsonText, scanItems } from '@millrace/inference';
import type { RequestFeatures } from '@millrace/learner';
import { featuresOf } from '@millrace/model';
import type { Features } from '@millrace/protocol';
import { uniformAt } from '@millrace/traffic';
import type { Example } from '../log-file/index.ts';

export interface LogRequests {
  take(example: Example): void;
  /** @param candidates  items of each request, drawn with replacement of all records but its own. */
  draw(count: number, candidates: number): readonly RequestFeatures[];
}

const recordsMax = 20_000;
const streams = { kept: 0, drawn: 1 };
const none: Features = {};

/** The same records and the same seed give the same requests. */
export function createLogRequests(seed: number): LogRequests {
  const kept: Example[] = [];
  let taken = 0;
  return {
    take(example) {
      if (kept.length < recordsMax) kept.push(example);
      else {
        const place = Math.floor(uniformAt(seed, streams.kept, taken) * (taken + 1));
        if (place < recordsMax) kept[place] = example;
      }
      taken += 1;
    },
    draw(count, candidates) {
      let drawn = 0;
      const placeOf = (places: number) => Math.floor(uniformAt(seed, streams.drawn, drawn++) * places);
      return Array.from({ length: count }, () => {
        const own = placeOf(kept.length);
        const others = Math.max(1, kept.length - 1);
        const items = Array.from({ length: candidates }, () => {
          const other = placeOf(others);
          return kept[(own + 1 + other) % kept.length].request.items[0];
        });
        return asSent(requestOf(kept[own], items));
      });
    },
  };
}

/** As it comes to a service, in JSON; values of a log are pieces of the file, which take longer to read. */
function asSent({ user, context, items }: RequestFeatures): RequestFeatures {
  const text = Buffer.from(JSON.stringify(featuresOf(items)));
  const shared = JSON.parse(JSON.stringify({ user, context })) as Pick<RequestFeatures, 'user' | 'context'>;
  return {
    ...shared,
    items: scanItems(jsonText(text), 0)?.items ?? (JSON.parse(text.toString()) as readonly Features[]),
  };
}

/** User and context of a record with some items. */
export function requestOf({ request }: Example, items: readonly Features[]): RequestFeatures {
  const { user = none, context = none } = request;
  return { user, context, items };
}
