/** `millrace decisions`: what the cluster has ranked and what came of it, as a log that `evaluate` reads. */
import { Command } from 'commander';
import { eachRankedDecision } from '../evaluate/ranked-decisions.ts';
import { modelIn } from '../history/history-source.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { dataOption, modelOption, withHistory } from './open-history.ts';
import { timeMsFromText, wholeNumber } from './options.ts';

interface DecisionsFlags {
  readonly model?: string;
  readonly since: number;
  readonly places: number;
  readonly arm?: string;
  readonly data?: string;
}

export function decisionsCommand(): Command {
  return new Command('decisions')
    .description('write what was ranked, with propensities and rewards, as JSON Lines for evaluate')
    .addOption(modelOption())
    .option('--since <time>', 'leave out what was ranked before: ISO 8601, or Unix ms', timeMsFromText, 0)
    .option('--places <n>', 'places of each order that are told', wholeNumber({ min: 1, max: 2_000 }), 1)
    .option('--arm <experiment/arm>', 'leave out what was not ranked in this arm')
    .addOption(dataOption())
    .action(async (flags: DecisionsFlags) => {
      const bar = openProgressBar('reading events');
      const counts = await withHistory(flags, (source) =>
        eachRankedDecision({
          bus: source.bus,
          file: modelIn(source, flags.model),
          sinceMs: flags.since,
          places: flags.places,
          arm: flags.arm,
          onRow: (row) => void process.stdout.write(`${JSON.stringify(row)}\n`),
          onProgress: (sequence, through) => bar.set(sequence, through, `event ${sequence} of ${through}`),
        }),
      ).finally(() => bar.end());
      process.stderr.write(
        `${counts.rows} rows of ${counts.ranked} ranks; ${counts.open} still wait for outcomes, ${counts.unranked} impressions have no propensities\n`,
      );
    });
}
