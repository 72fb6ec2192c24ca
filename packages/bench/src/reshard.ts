/**
 * A cluster under load goes from two shards to three and back: what fails, what is lost, how much moves.
 *
 *   npm run bench -- reshard [--json] [--smoke] [--rows N] [--partitions N] [--calm-ms N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { fullSize, type ReshardParameters, smokeSize } from './reshard/parameters.ts';
import { type ReshardResult, runReshardBench, steps } from './reshard/reshard-bench.ts';

const usage = 'npm run bench -- reshard [--json] [--smoke] [--rows N] [--partitions N] [--calm-ms N]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    rows: { type: 'string' },
    partitions: { type: 'string' },
    'calm-ms': { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;
const numberOr = (text: string | undefined, otherwise: number) =>
  text === undefined ? otherwise : Number(text);
const parameters: ReshardParameters = {
  ...size,
  rows: numberOr(values.rows, size.rows),
  partitions: numberOr(values.partitions, size.partitions),
  calmMs: numberOr(values['calm-ms'], size.calmMs),
};

function asText(result: ReshardResult): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const { scoreMsP99 } = result;
  return [
    textTable(
      ['', 'replicas moved', 'seconds'],
      [
        ['2 → 3 shards', percent(result.movedShareUp), result.secondsUp.toFixed(1)],
        ['3 → 2 shards', percent(result.movedShareDown), result.secondsDown.toFixed(1)],
      ],
    ),
    '',
    `${result.scored} scores: ${result.failedScores} failed, ${result.degradedScores} degraded; p99 ${scoreMsP99.calm} ms before, ${scoreMsP99.moving} ms while moving`,
    `blocks lost ${result.lostBlocks}, examples lost ${result.lostExamples}, applied twice ${result.doubleApplied}; owners at the end: ${result.owners}`,
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(steps, process.stderr);
  const result = await runReshardBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'reshard', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
