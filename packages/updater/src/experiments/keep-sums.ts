/**
 * Keeps what came of a model's experiments (experiments/sums.ts): the fold goes along with the joiner, before anything is
 * learned, and is written with the place that it reaches. A successor reads the log from there, so each example counts once,
 * whatever dies when.
 */
import { createSumsFold, type JudgedExample } from '@millrace/experiments';
import type { Origin } from '@millrace/joiner';
import {
  type BatchRecord,
  comparePlaces,
  decodeExperimentSums,
  type ExperimentSums,
  encodeExperimentSums,
  type ModelFile,
  outcomeKindsOf,
  reasonFrom,
} from '@millrace/protocol';
import type { Bus, Clock, Kv, KvEntry, Logger } from '@millrace/runtime';

export interface KeepSumsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: ModelFile;
  /** Where learning goes on. */
  readonly record: BatchRecord;
  /** True while an experiment of the model runs. */
  readonly isRunning: () => boolean;
}

export interface KeptSums {
  /** Where the log must be read from, so that the sums lack nothing. */
  readonly origin: Origin;
  take(example: JudgedExample): void;
  /** Writes them now rather than at the next turn. */
  store(): Promise<void>;
  close(): Promise<void>;
}

/** How often they are written while an experiment runs: what a successor folds again, and how old a status may be. */
const storeEveryMs = 2_000;
/** Without one only so often: late outcomes still come. */
const quietTurns = 30;
/** Unacknowledged writes that are remembered; after more of them the store has been away for long. */
const unsureMax = 8;

export async function keepSums(options: KeepSumsOptions): Promise<KeptSums> {
  const { bus, clock, logger, file, record, isRunning } = options;
  const model = file.name;
  const kv = await bus.kv('results');
  const entry = await kv.get(model);
  const found = foundIn(entry, options);
  const started: ExperimentSums = found ?? {
    format: 1,
    model,
    kinds: kindsOf(file),
    place: record.from,
    joinFrom: record.joinFrom,
    joinWatermarkMs: record.joinWatermarkMs,
    arms: [],
  };
  const fold = createSumsFold(started);
  let revision = entry?.revision ?? 0;
  let stored: ExperimentSums['place'] | null = found?.place ?? null;
  /** Writes that were not acknowledged: one of them may be there. */
  let unsure: readonly Uint8Array[] = [];
  let fenced = false;
  let turns = 0;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const { place } = fold;
    const isNew = stored === null || comparePlaces(place, stored) > 0;
    if (fenced || !isNew || !(fold.hasArms || isRunning())) return;
    // Its bytes are copied out here, so the fold may go on meanwhile.
    const bytes = encodeExperimentSums(fold.record());
    try {
      const written = await kv.putIf(model, bytes, revision);
      if (written === null) return await lookAgain(kv);
      revision = written;
      stored = place;
      unsure = [];
    } catch (error) {
      unsure = [...unsure, bytes].slice(-unsureMax);
      logger.warn({ model, reason: reasonFrom(error) }, 'sums of experiments not stored');
    }
  };
  /** Somebody has written: a write of ours that was not acknowledged, or an updater that has taken over. */
  const lookAgain = async (bucket: Kv) => {
    const now = await bucket.get(model);
    if (now !== null && unsure.some((bytes) => Buffer.compare(now.value, bytes) === 0)) {
      revision = now.revision;
      unsure = [];
      await write();
    } else {
      fenced = true;
      logger.warn({ model }, 'sums of experiments are kept by another updater');
    }
  };
  let isWaiting = false;
  const store = () => {
    // While the store is out of reach one write waits behind the one in work, not one a turn.
    if (!isWaiting) {
      isWaiting = true;
      writing = writing.then(() => {
        isWaiting = false;
        return write();
      });
    }
    return writing;
  };
  const onTurn = () => {
    turns += 1;
    timer = clock.setTimer(storeEveryMs, onTurn);
    if (isRunning() || turns % quietTurns === 0) void store();
  };
  let timer = clock.setTimer(storeEveryMs, onTurn);

  return {
    origin: { sequence: started.joinFrom, watermarkMs: started.joinWatermarkMs },
    take: fold.take,
    store,
    async close() {
      timer.cancel();
      await store();
    },
  };
}

/** The earlier of two origins: a fold from it finds what either needs. */
export function earlier(a: Origin, b: Origin): Origin {
  return a.sequence <= b.sequence ? a : b;
}

/** What a predecessor has written; null when there is none, none that is of use, or none that can be read. */
function foundIn(entry: KvEntry | null, { logger, file, isRunning }: KeepSumsOptions): ExperimentSums | null {
  if (entry === null) return null;
  try {
    const found = decodeExperimentSums(entry.value);
    if (found.kinds.join() !== kindsOf(file).join()) {
      logger.warn({ model: file.name }, 'sums of experiments start anew: the model has other outcomes');
      return null;
    }
    // Empty ones are not written on: from where they stand the whole log would be read again, for nothing.
    return found.arms.length > 0 || isRunning() ? found : null;
  } catch (error) {
    logger.warn({ model: file.name, reason: reasonFrom(error) }, 'sums of experiments start anew');
    return null;
  }
}

function kindsOf({ learning }: ModelFile): readonly string[] {
  return outcomeKindsOf(learning).map(({ name }) => name);
}
