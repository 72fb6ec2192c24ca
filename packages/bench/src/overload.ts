/**
 * A node asked ten times of what it can: what it refuses, and how long accepted requests take.
 *
 *   npm run bench -- overload [--json] [--smoke] [--times N] [--cache-rows N] [--rows N] …
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { scoreOptions, scoreOptionsUsage, scoreParametersFrom } from './score/command.ts';
import { type OverloadResult, overloadStepsOf, runOverloadBench } from './score/overload-bench.ts';
import { fullSize, smokeSize } from './score/parameters.ts';

const usage = `npm run bench -- overload ${scoreOptionsUsage} [--times N]`;
const { values } = parseArgs({ options: { ...scoreOptions, times: { type: 'string' } } });
const say = (text: string) => void process.stdout.write(`${text}\n`);
/** Of short requests the caller, with a core like the node's, cannot send ten times of what the node can without being the slow one. */
const items = 400;
const parameters = {
  ...scoreParametersFrom(values, values.smoke ? smokeSize : { ...fullSize, items }),
  times: wholeNumber(values.times, 10),
};

function asText({ capacity, overload, ratioMsP99, ratioAccepted }: OverloadResult): string {
  const row = (name: string, figures: typeof capacity) => [
    name,
    String(Math.round(figures.requestsPerSecond)),
    figures.msP50.toFixed(1),
    figures.msP99.toFixed(1),
  ];
  return [
    textTable(
      ['', 'accepted/s', 'p50 ms', 'p99 ms'],
      [row('at capacity', capacity), row('overloaded', overload)],
    ),
    '',
    `${Math.round(overload.answeredPerSecond)} answers/s, of them ${(100 * overload.acceptedShare).toFixed(1)} % accepted; others by status ${JSON.stringify(overload.refused)}, not answered ${overload.unanswered}`,
    `p99 ${ratioMsP99} times, accepted ${ratioAccepted} times of those at capacity`,
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(overloadStepsOf(parameters), process.stderr);
  const result = await runOverloadBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'overload', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
