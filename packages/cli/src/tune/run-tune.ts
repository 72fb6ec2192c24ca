/** Backtests every combination of a grid, some at a time, each worker in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineName } from '@millrace/model';
import { type ModelFile, reasonFrom } from '@millrace/protocol';
import type { LogInput } from '../training/each-example.ts';
import { combination, combinationsOf, type Grid, modelWith } from './grid.ts';
import type { TuneAnswer, TuneFigures, TuneJob } from './tune-messages.ts';

export interface TuneOptions {
  readonly file: ModelFile;
  readonly grid: Grid;
  readonly log: LogInput;
  /** Judged instead of the log, which is learned first; null: the log is judged as it is learned. */
  readonly test: LogInput | null;
  readonly engine: 'auto' | EngineName;
  readonly batchExamples: number;
  readonly workers: number;
  readonly by: 'logloss' | 'auc';
  /** Combinations done, with parts of those in work. */
  readonly onProgress: (done: number, total: number) => void;
  /** Options of Node for the workers. */
  readonly execArgv: readonly string[];
}

export interface TuneRow {
  /** Place in the grid. */
  readonly index: number;
  /** By path of the grid. */
  readonly values: readonly unknown[];
  readonly figures: TuneFigures | null;
  /** Why there are no figures. */
  readonly error: string | null;
}

/** The worker lies beside this file, as source or compiled. */
const here = fileURLToPath(import.meta.url);
const workerFile = fileURLToPath(new URL(`./tune-worker${extname(here)}`, import.meta.url));

/** @returns a row for each combination, the best first, those that failed last. */
export async function runTune(options: TuneOptions): Promise<readonly TuneRow[]> {
  const { grid } = options;
  const total = combinationsOf(grid);
  const rows: TuneRow[] = [];
  const shares = new Map<number, number>();
  let next = 0;
  const tell = () => {
    let done = rows.length;
    for (const share of shares.values()) done += share;
    options.onProgress(done, total);
  };
  const work = async (): Promise<void> => {
    let worker: ChildProcess | null = null;
    try {
      while (next < total) {
        const index = next;
        next += 1;
        worker ??= fork(workerFile, { execArgv: [...options.execArgv] });
        const row = await runOne(worker, options, index, (share) => {
          shares.set(index, share);
          tell();
        });
        // One that has died is replaced for the next combination.
        if (!worker.connected) worker = null;
        shares.delete(index);
        rows.push(row);
        tell();
      }
    } finally {
      if (worker?.connected) worker.disconnect();
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.workers, total) }, work));
  return rows.sort((a, b) => order(a, b, options.by));
}

/** Sends one combination to a worker and waits for what comes of it. */
function runOne(
  worker: ChildProcess,
  options: TuneOptions,
  index: number,
  onShare: (share: number) => void,
): Promise<TuneRow> {
  const { file, grid, log, test, engine, batchExamples } = options;
  const values = combination(grid, index);
  const failed = (error: string): TuneRow => ({ index, values, figures: null, error });
  let job: TuneJob;
  try {
    job = { index, model: modelWith(file, grid.paths, values), log, test, engine, batchExamples };
  } catch (error) {
    return Promise.resolve(failed(reasonFrom(error)));
  }
  return new Promise((resolve) => {
    const end = (row: TuneRow) => {
      worker.off('message', onMessage).off('exit', onExit).off('error', onError);
      resolve(row);
    };
    const onMessage = (message: unknown) => {
      const answer = message as TuneAnswer;
      if (answer.kind === 'progress') onShare(answer.share);
      else if (answer.kind === 'failed') end(failed(answer.reason));
      else end({ index, values, figures: answer.figures, error: null });
    };
    const onExit = (code: number | null, signal: string | null) =>
      end(failed(`its process ended with ${signal ?? `code ${code}`}`));
    const onError = (error: Error) => end(failed(`its process could not be used: ${error.message}`));
    worker.on('message', onMessage).on('exit', onExit).on('error', onError);
    worker.send(job, (error) => {
      if (error) onError(error);
    });
  });
}

/** Best first; equals in the order of the grid. */
function order(a: TuneRow, b: TuneRow, by: 'logloss' | 'auc'): number {
  const worth = ({ figures }: TuneRow) => {
    const figure = figures?.[by] ?? null;
    if (figure === null) return figures === null ? Number.NEGATIVE_INFINITY : -Number.MAX_VALUE;
    return by === 'auc' ? figure : -figure;
  };
  const [first, second] = [worth(a), worth(b)];
  return first === second ? a.index - b.index : second - first;
}
