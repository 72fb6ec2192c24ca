/**
 * What is so, told from all that was ever stored and never forgotten: the plain twins of every fold, fed as messages are
 * stored, and the examples that the event log holds.
 */
import { fingerprintOf, type TableLayout, tableLayouts } from '@millrace/core';
import { joinerOptionsOf } from '@millrace/joiner';
import {
  decodeEvent,
  denseSubject,
  type Event,
  eventsSubject,
  gradientsSubject,
  type Impression,
  isMillraceError,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
} from '@millrace/protocol';
import { createPlainDense, type PlainDense } from './plain-dense.ts';
import { type Joined, plainJoin, type StoredEvent } from './plain-join.ts';
import { createPlainPartition, type PlainPartition } from './plain-partition.ts';
import type { SimulatedNats } from './simulated-nats.ts';
import type { World } from './world.ts';

export interface Truth {
  readonly file: ModelFile;
  readonly layouts: readonly TableLayout[];
  readonly partitions: readonly PlainPartition[];
  /** By partition when its newest message was stored, virtual ms. */
  readonly newestMs: readonly number[];
  readonly dense: PlainDense;
  /** The event log of the model; null for what nobody can read. */
  readonly events: readonly (Event | null)[];
  joined(): Joined;
  /** All impressions in the log, in order. */
  impressions(): readonly Impression[];
}

export function tellTruth(file: ModelFile, nats: SimulatedNats, world: World): Truth {
  const model = modelNameFrom(file.name);
  const fingerprint = fingerprintOf(file);
  const layouts = tableLayouts(file);
  const partitions = Array.from({ length: file.partitions ?? partitionsDefault }, (_, partition) =>
    createPlainPartition({ file, fingerprint, layouts, partition }),
  );
  const places = new Map(partitions.map((_, partition) => [gradientsSubject(model, partition), partition]));
  const dense = createPlainDense(file, fingerprint);
  const newestMs = partitions.map(() => Number.NEGATIVE_INFINITY);
  const events: (Event | null)[] = [];
  const stored: StoredEvent[] = [];
  let joinedOf = -1;
  let joined: Joined | null = null;

  nats.onStored = (_log, subject, { sequence, payload, timeMs }) => {
    const place = places.get(subject);
    if (place !== undefined) {
      newestMs[place] = world.nowMs;
      partitions[place].take(sequence, payload);
    } else if (subject === denseSubject(model)) dense.take(sequence, payload);
    else if (subject === eventsSubject(model)) {
      const event = eventFrom(payload);
      events.push(event);
      stored.push({ event, storedMs: timeMs });
    }
  };

  return {
    file,
    layouts,
    partitions,
    newestMs,
    dense,
    events,
    joined() {
      if (joined === null || joinedOf !== events.length) {
        joined = plainJoin(stored, joinerOptionsOf(file));
        joinedOf = events.length;
      }
      return joined;
    },
    impressions: () => events.filter((event) => event?.type === 'impression'),
  };
}

function eventFrom(payload: Uint8Array): Event | null {
  try {
    return decodeEvent(payload);
  } catch (error) {
    if (isMillraceError(error)) return null;
    throw error;
  }
}
