/** The live line of a model at one moment, with where in the logs it stands: what a version is taken of. */
import {
  decodeBatchRecord,
  decodeEvent,
  eventsSubject,
  isMillraceError,
  modelNameFrom,
  type VersionMetrics,
} from '@millrace/protocol';
import type { LiveLine } from '@millrace/registry';
import type { Bus } from '@millrace/runtime';
import { readStretch } from '@millrace/snapshot';
import type { ServedModel } from './served-model.ts';

/** @throws MILL_LOG_UNAVAILABLE */
export async function liveLineOf(bus: Bus, model: ServedModel): Promise<LiveLine> {
  const { file, dense } = model.net;
  const entry = await (await bus.kv('updaters')).get(file.name);
  const record = entry === null ? null : decodeBatchRecord(entry.value);
  const events = record?.to[0] ?? 0;
  const firstEventMs = await eventTimeFrom(bus, file.name, 1);
  const lastEventMs = events === 0 ? null : await eventTimeFrom(bus, file.name, events);
  const metrics: VersionMetrics | null =
    model.measures.newest?.arms.find(({ arm }) => arm === '')?.quality ?? null;
  // From here on without a pause: weights and sequence are of one moment.
  return {
    file,
    weights: dense.weights,
    sequences: { dense: dense.sequence, gradients: model.heads?.partitions ?? [], events },
    // The record counts the batches before its own; heads may not have come yet.
    data: {
      firstEventMs,
      lastEventMs,
      examples: Math.max(record?.learned ?? 0, model.heads?.counters.learned ?? 0),
    },
    metrics,
  };
}

/** Time of the first event at or behind `from` that can be read at once; null: there is none, or it cannot be. */
async function eventTimeFrom(bus: Bus, model: string, from: number): Promise<number | null> {
  const subject = eventsSubject(modelNameFrom(model));
  const through = await bus.headOf('events', subject);
  if (through < from) return null;
  let timeMs: number | null = null;
  await readStretch(bus, { log: 'events', subject, from, through }, ({ payload }) => {
    try {
      ({ timeMs } = decodeEvent(payload));
    } catch (error) {
      if (!isMillraceError(error)) throw error;
    }
    return 'stop';
  });
  return timeMs;
}
