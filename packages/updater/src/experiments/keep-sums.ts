/**
 * Keeps what came of a model's experiments (experiments/sums.ts): the fold goes along with the joiner, before anything is
 * learned, and is written with the place that it reaches. A successor reads the log from there, so each example counts once,
 * whatever dies when. Where the log went on without anything for them, which after an experiment it does for ever, that alone
 * is written: a mark of under 100 bytes beside sums of up to a whole message.
 */
import {
  createSumsFold,
  type JudgedExample,
  type ShownUnits,
  type SumsFoldOptions,
} from '@millrace/experiments';
import type { Origin } from '@millrace/joiner';
import {
  type BatchRecord,
  comparePlaces,
  type ExperimentSums,
  encodeExperimentSums,
  encodeSumsMark,
  type ModelFile,
  reasonFrom,
  sumsMarkKey,
} from '@millrace/protocol';
import type { Bus, Clock, Kv, Logger } from '@millrace/runtime';
import { kindsOf, readStoredSums } from './stored-sums.ts';

export interface KeepSumsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: ModelFile;
  /** Where learning goes on. */
  readonly record: BatchRecord;
  /** True while an experiment of the model runs. */
  readonly isRunning: () => boolean;
  /** What the fold asks of arms. */
  readonly deals?: SumsFoldOptions;
}

export interface KeptSums {
  /** Where the log must be read from, so that the sums lack nothing. */
  readonly origin: Origin;
  take(example: JudgedExample): void;
  takeShown(shown: ShownUnits): void;
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
  const before = await readStoredSums(kv, options);
  const { found } = before;
  const started: ExperimentSums = found ?? {
    format: 1,
    model,
    kinds: kindsOf(file),
    place: record.from,
    joinFrom: record.joinFrom,
    joinWatermarkMs: record.joinWatermarkMs,
    arms: [],
  };
  const fold = createSumsFold(started, options.deals);
  let { revision } = before;
  /** Places that sums are stored at, and that the mark beside them reaches. */
  let stored = before.storedAt;
  let marked = found?.place ?? null;
  let changes = fold.changes;
  /** Writes that were not acknowledged: one of them may be there. */
  let unsure: readonly Uint8Array[] = [];
  let fenced = false;
  let turns = 0;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const { place, changes: changesNow } = fold;
    if (fenced || !(fold.hasArms || isRunning())) return;
    if (stored !== null && changesNow === changes) return await mark(stored);
    // Its bytes are copied out here, so the fold may go on meanwhile.
    const bytes = encodeExperimentSums(fold.record());
    try {
      const written = await kv.putIf(model, bytes, revision);
      if (written === null) return await lookAgain(kv);
      revision = written;
      stored = place;
      marked = place;
      changes = changesNow;
      unsure = [];
    } catch (error) {
      unsure = [...unsure, bytes].slice(-unsureMax);
      logger.warn({ model, reason: reasonFrom(error) }, 'sums of experiments not stored');
    }
  };
  const mark = async (from: ExperimentSums['place']): Promise<void> => {
    const { place, joinFrom, joinWatermarkMs } = fold.origin;
    if (marked !== null && comparePlaces(place, marked) <= 0) return;
    try {
      await kv.put(sumsMarkKey(model), encodeSumsMark({ format: 1, from, place, joinFrom, joinWatermarkMs }));
      marked = place;
    } catch (error) {
      logger.warn({ model, reason: reasonFrom(error) }, 'place of sums of experiments not stored');
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
    takeShown: fold.takeShown,
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
