/**
 * What a cluster's own ranks have decided and what came of it, from its event log, as rows that `evaluate` and `backtest` read.
 * Outcomes are joined by the very joiner that teaches the model, so a row has a reward exactly where an item became a positive.
 */
import { createJoiner, type Joiner, joinerOptionsOf } from '@millrace/joiner';
import {
  decodeEvent,
  type Event,
  eventsSubject,
  type Impression,
  isMillraceError,
  type ModelFile,
  modelNameFrom,
  type Sequence,
} from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { readStretch } from '@millrace/snapshot';

export interface RankedDecisionsOptions {
  readonly bus: Bus;
  readonly file: ModelFile;
  /** Leaves out what was ranked before, Unix ms. */
  readonly sinceMs: number;
  /** Leaves out what was not ranked in this experiment arm, as impressions name it; absent: all are told. */
  readonly arm?: string | undefined;
  /** Places of an order that are told; the propensity of the first is the plain probability of being shown there. */
  readonly places: number;
  readonly onRow: (row: Readonly<Record<string, unknown>>) => void;
  readonly onProgress: (sequence: Sequence, through: Sequence) => void;
}

export interface RankedDecisionsCounts {
  readonly rows: number;
  /** Ranks told, those that still wait for outcomes, and impressions without propensities. */
  readonly ranked: number;
  readonly open: number;
  readonly unranked: number;
}

interface Pending {
  readonly impression: Impression;
  /** By item: it became a positive. */
  readonly rewarded: Uint8Array;
}

const eventsPerLook = 4_096;

/** Rows in the order of the log. @throws MILL_LOG_UNAVAILABLE */
export async function eachRankedDecision(options: RankedDecisionsOptions): Promise<RankedDecisionsCounts> {
  const { bus, file, sinceMs, arm, onRow, onProgress } = options;
  const subject = eventsSubject(modelNameFrom(file.name));
  const through = await bus.headOf('events', subject);
  /** By sequence of the impression, oldest first; bounded as the joiner's own memory is. */
  const pending = new Map<Sequence, Pending>();
  const counts = { rows: 0, ranked: 0, open: 0, unranked: 0 };
  const joiner: Joiner = createJoiner(joinerOptionsOf(file), {
    onExample({ place: [, sequence, index], makesPositive }) {
      const found = pending.get(sequence);
      if (found && makesPositive) found.rewarded[index % found.rewarded.length] = 1;
    },
    onRejection() {},
  });
  const tellClosed = () => {
    for (const [sequence, { impression, rewarded }] of pending) {
      if (joiner.isOpen(impression.requestId)) break;
      pending.delete(sequence);
      counts.ranked += 1;
      for (const row of rowsFrom(file, impression, rewarded, options.places)) {
        counts.rows += 1;
        onRow(row);
      }
    }
  };
  let events = 0;
  await readStretch(bus, { log: 'events', subject, from: 1, through }, ({ sequence, payload, timeMs }) => {
    events += 1;
    if (events % eventsPerLook === 0) onProgress(sequence, through);
    const event = eventFrom(payload);
    if (event === null) return 'on';
    const isWanted = event.type === 'impression' && event.timeMs >= sinceMs && isInArm(event, arm);
    const isRanked = isWanted && event.propensities !== undefined;
    // There before the joiner takes it: outcomes that came early are joined at once.
    if (isRanked) pending.set(sequence, { impression: event, rewarded: new Uint8Array(event.items.length) });
    const before = joiner.counts.impressions;
    joiner.take(sequence, event, { timeMs, bytes: payload.length });
    const isRepeated = joiner.counts.impressions === before;
    if (isRepeated) pending.delete(sequence);
    else if (isWanted && !isRanked) counts.unranked += 1;
    tellClosed();
    return 'on';
  });
  onProgress(through, through);
  counts.open = pending.size;
  return counts;
}

/**
 * One row a place: features by field, the item's too, then what was decided: the model's label as reward, `propensity`,
 * `position` from 1, `policy`, `requestId`, and the time under the model's name for it.
 */
function* rowsFrom(
  file: ModelFile,
  { requestId, timeMs, user, context, items, propensities, policy }: Impression,
  rewarded: Uint8Array,
  places: number,
): Generator<Readonly<Record<string, unknown>>> {
  const bytes = propensities as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let place = 0; place < Math.min(places, items.length); place += 1) {
    yield {
      position: place + 1,
      ...user,
      ...context,
      ...items[place],
      [file.timestamp ?? 'timeMs']: timeMs,
      [file.label]: rewarded[place],
      propensity: view.getFloat32(4 * place, true),
      policy: policy ?? null,
      requestId,
    };
  }
}

function isInArm({ arm = '' }: Impression, wanted: string | undefined): boolean {
  return wanted === undefined || arm.split(' ').includes(wanted);
}

function eventFrom(payload: Uint8Array): Event | null {
  try {
    return decodeEvent(payload);
  } catch (error) {
    // The updater counts such events and passes them over.
    if (!isMillraceError(error)) throw error;
    return null;
  }
}
