/** Outcomes on their way from the API to the event log: all are checked before the first is stored. */
import {
  encodeEvent,
  eventsSubject,
  MillraceError,
  type ModelFile,
  modelNameFrom,
  type OutcomeRequest,
  type OutcomeResponse,
  outcomeKindNumber,
  outcomeKindsOf,
  outcomeKindUnknown,
} from '@millrace/protocol';
import type { Bus, Clock } from '@millrace/runtime';

export interface AcceptOutcomesOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  /** @throws MILL_MODEL_UNKNOWN, MILL_NOT_READY */
  readonly fileOf: (model: string | undefined) => ModelFile;
  /** Models whose impressions callers may know under this one's name: its arms that learn apart. */
  readonly alsoOf: (model: string) => readonly string[];
}

export type AcceptOutcomes = (outcomes: readonly OutcomeRequest[]) => Promise<OutcomeResponse>;

/** Appends under way at once: well below what a bus takes, so that several posts find room. */
const appendsAtOnce = 1_024;

export function createAcceptOutcomes({ bus, clock, fileOf, alsoOf }: AcceptOutcomesOptions): AcceptOutcomes {
  return async (outcomes) => {
    const nowMs = clock.now();
    const files = outcomes.map(({ model }) => fileOf(model));
    for (const [i, { outcome }] of outcomes.entries()) assertKind(files[i], outcome, i, outcomes.length);
    const found = new Map<string, readonly string[]>();
    const othersOf = (name: string) => {
      const others = found.get(name) ?? alsoOf(name);
      found.set(name, others);
      return others;
    };
    const append = (request: OutcomeRequest, i: number) => {
      const { requestId, index, item, outcome, value = 1, timeMs = nowMs } = request;
      const which = item === undefined ? { index: index ?? 0 } : { item: String(item) };
      const kind = outcome === undefined ? {} : { outcome };
      const { name } = files[i];
      const others = othersOf(name);
      const spread = others.length > 0 && { spread: true };
      const payload = encodeEvent({
        type: 'outcome',
        requestId,
        timeMs,
        ...which,
        ...kind,
        ...spread,
        value,
      });
      return Promise.all(
        [name, ...others].map((model) => bus.append('events', eventsSubject(modelNameFrom(model)), payload)),
      );
    };
    // Each outcome is appended once a model that may have its impression.
    const copies = files.reduce((most, { name }) => Math.max(most, 1 + othersOf(name).length), 1);
    const step = Math.max(1, Math.floor(appendsAtOnce / copies));
    for (let from = 0; from < outcomes.length; from += step) {
      const appends = outcomes.slice(from, from + step).map((request, i) => append(request, from + i));
      await Promise.all(appends);
    }
    return { accepted: outcomes.length };
  };
}

function assertKind(
  { learning }: ModelFile,
  outcome: string | undefined,
  place: number,
  count: number,
): void {
  const kinds = outcomeKindsOf(learning);
  if (outcomeKindNumber(kinds, outcome) >= 0) return;
  const path = count === 1 ? '' : `[${place}].`;
  throw new MillraceError('MILL_BAD_REQUEST', `${path}${outcomeKindUnknown(kinds, outcome)}`);
}
