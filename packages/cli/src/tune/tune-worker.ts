/** A process that backtests one combination after the other, as it is told; it ends with the one that started it. */
import type { QualityReport } from '@millrace/core';
import { parseModelFile } from '@millrace/model';
import { reasonFrom } from '@millrace/protocol';
import { runBacktest } from '../backtest/run-backtest.ts';
import { openLearner } from '../training/open-learner.ts';
import type { TuneAnswer, TuneFigures, TuneJob } from './tune-messages.ts';

/** Told no more often than each hundredth of the log. */
const progressStep = 0.01;

async function backtest(job: TuneJob): Promise<TuneFigures> {
  const { engine, batchExamples, log, test, index } = job;
  const learner = await openLearner({ file: parseModelFile(job.model), engine, batchExamples });
  let told = 0;
  try {
    const result = await runBacktest({
      learner,
      log,
      test,
      batchExamples,
      onProgress: (read, total) => {
        if (read / total < told + progressStep) return;
        told = read / total;
        answer({ kind: 'progress', index, share: told });
      },
    });
    const judged = result.test ?? result.quality;
    return {
      events: judged.count,
      auc: figureOf(judged, 'auc'),
      logloss: figureOf(judged, 'logloss'),
      calibration: figureOf(judged, 'calibration'),
      rows: result.rows,
      stateHash: result.stateHash,
    };
  } finally {
    learner.dispose();
  }
}

function figureOf(report: QualityReport, name: 'auc' | 'logloss' | 'calibration'): number | null {
  return Number.isFinite(report[name]) ? Number(report[name].toFixed(6)) : null;
}

function answer(message: TuneAnswer): void {
  process.send?.(message);
}

process.on('message', (job: TuneJob) => {
  backtest(job).then(
    (figures) => answer({ kind: 'done', index: job.index, figures }),
    (error: unknown) => answer({ kind: 'failed', index: job.index, reason: reasonFrom(error) }),
  );
});
// Ctrl-C reaches this process too; the one that started it decides.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
