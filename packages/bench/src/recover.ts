/**
 * How fast a shard comes back from snapshots and log, and what writing snapshots does to reads.
 *
 *   npm run bench -- recover [--json] [--smoke] [--rows N] [--partitions N] [--rounds N] [--round-ms N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { fullSize, type RecoverParameters, smokeSize } from './recover/parameters.ts';
import { type RecoverResult, runRecoverBench, stepsOf } from './recover/recover-bench.ts';

const usage =
  'npm run bench -- recover [--json] [--smoke] [--rows N] [--partitions N] [--rounds N] [--round-ms N]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    rows: { type: 'string' },
    partitions: { type: 'string' },
    rounds: { type: 'string' },
    'round-ms': { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;
const numberOr = (text: string | undefined, otherwise: number) =>
  text === undefined ? otherwise : Number(text);
const parameters: RecoverParameters = {
  ...size,
  rows: numberOr(values.rows, size.rows),
  partitions: numberOr(values.partitions, size.partitions),
  rounds: numberOr(values.rounds, size.rounds),
  roundMs: numberOr(values['round-ms'], size.roundMs),
};

function asText(result: RecoverResult): string {
  const { rows, replayedRows, readP99Ms } = result;
  const millions = (value: number) => `${(value / 1e6).toFixed(2)} M`;
  return [
    textTable(
      ['', 'seconds', 'rows/s'],
      [
        [
          `${millions(rows)} rows restored, ${millions(replayedRows)} replayed`,
          result.restoreSeconds.toFixed(2),
          millions(result.rowsPerSecond),
        ],
        [
          'the same rows from the log alone',
          (rows / result.replayRowsPerSecond).toFixed(2),
          millions(result.replayRowsPerSecond),
        ],
        ['a restart from its own files', result.restartSeconds.toFixed(2), '–'],
      ],
    ),
    '',
    `p99 of pulls: ${readP99Ms.without.toFixed(2)} ms without snapshots, ${readP99Ms.with.toFixed(2)} ms while ${result.snapshots} were written;`,
    `median of the ratios ${result.readP99Ratio.toFixed(2)}`,
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(stepsOf(parameters), process.stderr);
  const result = await runRecoverBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'recover', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
