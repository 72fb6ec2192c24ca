/** Backtests of candidates over the sample, which lies in a file of its own while they run. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runBacktest } from '../backtest/run-backtest.ts';
import { openLearner } from '../training/open-learner.ts';
import type { Sample } from './sample.ts';
import type { RunTrial } from './search-choices.ts';

/** Calls `use` with what runs a trial; the file is gone afterwards. */
export async function withTrials<T>(sample: Sample, use: (run: RunTrial) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-init-'));
  try {
    const logPath = join(directory, 'sample.jsonl');
    await pipeline(Readable.from(linesOf(sample)), createWriteStream(logPath));
    return await use(async (file) => {
      // Neither the order of times, which the file has already, nor the number of partitions changes a figure.
      const { timestamp: _, ...untimed } = file;
      const learner = await openLearner({
        file: { ...untimed, partitions: 1 },
        engine: 'auto',
        batchExamples: 1,
      });
      try {
        const { quality } = await runBacktest({
          learner,
          log: { path: logPath, format: 'jsonl', strict: false },
          test: null,
          batchExamples: 1,
          onProgress: () => undefined,
        });
        return { auc: quality.auc, logloss: quality.logloss };
      } finally {
        learner.dispose();
      }
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function* linesOf({ records }: Sample): Generator<string> {
  for (const record of records) yield `${JSON.stringify(record)}\n`;
}
