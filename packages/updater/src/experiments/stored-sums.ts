/** What a predecessor has left of a model's sums: the value, and the mark beside it of how far the log went on without change. */
import {
  comparePlaces,
  decodeExperimentSums,
  decodeSumsMark,
  type ExperimentSums,
  type ModelFile,
  outcomeKindsOf,
  reasonFrom,
  sumsMarkKey,
} from '@millrace/protocol';
import type { Kv, KvEntry, Logger } from '@millrace/runtime';

export interface StoredSums {
  /** Of the value, 0: there is none. */
  readonly revision: number;
  /** Null: none, none that is of use, or none that can be read. */
  readonly found: ExperimentSums | null;
  /** Place that the value itself says; null without one. */
  readonly storedAt: ExperimentSums['place'] | null;
}

export interface StoredSumsOptions {
  readonly logger: Logger;
  readonly file: ModelFile;
  readonly isRunning: () => boolean;
}

export async function readStoredSums(kv: Kv, options: StoredSumsOptions): Promise<StoredSums> {
  const { name } = options.file;
  const entry = await kv.get(name);
  const revision = entry?.revision ?? 0;
  const found = entry === null ? null : foundIn(entry, options);
  if (found === null) return { revision, found, storedAt: null };
  return {
    revision,
    found: markedOn(found, await kv.get(sumsMarkKey(name)), options),
    storedAt: found.place,
  };
}

export function kindsOf({ learning }: ModelFile): readonly string[] {
  return outcomeKindsOf(learning).map(({ name }) => name);
}

function foundIn(entry: KvEntry, { logger, file, isRunning }: StoredSumsOptions): ExperimentSums | null {
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

function markedOn(
  found: ExperimentSums,
  entry: KvEntry | null,
  { logger, file }: StoredSumsOptions,
): ExperimentSums {
  if (entry === null) return found;
  try {
    const { from, place, joinFrom, joinWatermarkMs } = decodeSumsMark(entry.value);
    return comparePlaces(from, found.place) === 0 ? { ...found, place, joinFrom, joinWatermarkMs } : found;
  } catch (error) {
    logger.warn({ model: file.name, reason: reasonFrom(error) }, 'place of sums passed over');
    return found;
  }
}
