/** Scores a request with the model as it was at a sequence of the gradient log or at a time. */

import type { ScoreInput } from '@millrace/inference';
import type { EngineName } from '@millrace/model';
import { answeredScores, MillraceError, type ModelFile, type Sequence } from '@millrace/protocol';
import {
  foldDenseAt,
  foldPartitionAt,
  type HistoryPoint,
  mapFew,
  newestBlockAtOrBelow,
} from '@millrace/snapshot';
import { foldsOf, type HistorySource } from './history-source.ts';
import { openPastModel, type PastModel } from './past-model.ts';
import { grouped, readRow } from './past-rows.ts';

export interface ScoreAtOptions {
  readonly source: HistorySource;
  readonly file: ModelFile;
  readonly request: ScoreInput;
  readonly at: HistoryPoint;
  /** Dense version to score with; null: the newest of that moment. */
  readonly version: Sequence | null;
  readonly engine: 'auto' | EngineName;
  /** Now, Unix ms: no later time can be asked for. */
  readonly nowMs: number;
  readonly onProgress: (done: number, total: number, note: string) => void;
}

export interface PastScore {
  readonly scores: readonly number[];
  readonly engine: string;
  /** Dense version that scored. */
  readonly version: Sequence;
  /** Highest sequence in any of the partitions that were read. */
  readonly sequence: Sequence;
  /** Time of the newest block that the moment holds, Unix ms; null when none is known. */
  readonly timeMs: number | null;
  /** Partitions that the request needed. */
  readonly partitions: number;
}

/** @throws MILL_HISTORY_GONE, MILL_BAD_REQUEST for a moment that is still to come, MILL_ENGINE_UNAVAILABLE */
export async function scoreAt(options: ScoreAtOptions): Promise<PastScore> {
  const { source, file, request, at, engine, onProgress } = options;
  await refuseFuture(options);
  const model = await openPastModel(file, engine);
  try {
    const byPartition = [...grouped(model.begin(request), ({ partition }) => partition)];
    let done = 0;
    const sequences = await mapFew(byPartition.length, async (place) => {
      const [partition, keys] = byPartition[place];
      const state = await foldPartitionAt({ ...foldsOf(source), file, partition, until: at });
      for (const key of keys) key.row.set(readRow(state, key));
      done += 1;
      onProgress(done, byPartition.length, `partition ${partition} at ${state.sequence}`);
      return state.sequence;
    });
    const timeMs = 'timeMs' in at ? at.timeMs : await timeOf(options, at.sequence, model);
    const version = await useDenseOf(options, model, timeMs);
    const scores = await model.score();
    return {
      scores: answeredScores(scores),
      engine: model.net.engine.name,
      version,
      sequence: Math.max(0, ...sequences),
      timeMs,
      partitions: byPartition.length,
    };
  } finally {
    model.close();
  }
}

async function refuseFuture({ source, at, nowMs }: ScoreAtOptions): Promise<void> {
  if ('timeMs' in at) {
    if (at.timeMs <= nowMs) return;
    throw new MillraceError('MILL_BAD_REQUEST', `${new Date(at.timeMs).toISOString()} is still to come`);
  }
  const { lastSequence } = await source.bus.logState('gradients');
  if (at.sequence <= lastSequence) return;
  const message = `the gradient log ends at sequence ${lastSequence}; ${at.sequence} is still to come`;
  throw new MillraceError('MILL_BAD_REQUEST', message);
}

/** When the newest block at or below a sequence was made; it says which dense weights were there. */
async function timeOf(
  { source, file, version }: ScoreAtOptions,
  sequence: Sequence,
  { net }: PastModel,
): Promise<number | null> {
  if (version !== null && net.shape.denseParameters === 0) return null;
  return (await newestBlockAtOrBelow(source.bus, file, sequence))?.timeMs ?? null;
}

async function useDenseOf(
  { source, file, version }: ScoreAtOptions,
  model: PastModel,
  timeMs: number | null,
): Promise<Sequence> {
  if (model.net.shape.denseParameters === 0) return 0;
  const until: HistoryPoint = version !== null ? { sequence: version } : { timeMs: timeMs ?? 0 };
  const state = await foldDenseAt({
    ...foldsOf(source),
    model: file.name,
    initial: () => model.initial(),
    until,
  });
  if (!model.useDense(state)) {
    const message = `dense version ${state.sequence} of ${file.name} is not finite; no node served it`;
    throw new MillraceError('MILL_BAD_REQUEST', message);
  }
  return state.sequence;
}
