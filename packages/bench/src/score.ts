/**
 * Requests a second that a cluster scores within 50 ms (p99), and a stack of Redis, ONNX Runtime and fastify beside it.
 *
 *   npm run bench -- score [--json] [--smoke] [--reference on|off] [--log on|off] [--cache-rows N] [--rows N] …
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { scoreOptions, scoreOptionsUsage, scoreParametersFrom } from './score/command.ts';
import { fullSize, smokeSize } from './score/parameters.ts';
import { runScoreBench, type ScoreResult, stepsOf } from './score/score-bench.ts';

const usage = `npm run bench -- score ${scoreOptionsUsage} [--reference on|off] [--log on|off]`;
const { values } = parseArgs({
  options: {
    ...scoreOptions,
    reference: { type: 'string', default: 'on' },
    log: { type: 'string', default: 'off' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const parameters = {
  ...scoreParametersFrom(values, values.smoke ? smokeSize : fullSize),
  log: values.log === 'on',
};

function asText(result: ScoreResult): string {
  const { reference, ratioToReference, scoreDifferenceMax, engine } = result;
  const row = (
    name: string,
    figures: Pick<ScoreResult, 'requestsPerSecond' | 'msP50' | 'msP95' | 'msP99'>,
  ) => [
    name,
    String(Math.round(figures.requestsPerSecond)),
    figures.msP50.toFixed(1),
    figures.msP95.toFixed(1),
    figures.msP99.toFixed(1),
  ];
  const rows = [row(`Millrace, engine ${engine}`, result)];
  if (reference) rows.push(row(`Redis ${reference.redisVersion} + ONNX Runtime + fastify`, reference));
  const said = reference
    ? `${ratioToReference} times the reference; scores differ by ${scoreDifferenceMax} at most`
    : 'no reference was asked for';
  return [textTable(['', 'requests/s', 'p50 ms', 'p95 ms', 'p99 ms'], rows), '', said].join('\n');
}

if (values.help) say(usage);
else {
  const options = { ...parameters, withReference: values.reference !== 'off' };
  const progress = startProgress(stepsOf({ ...options, onStep() {} }), process.stderr);
  const result = await runScoreBench({ ...options, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'score', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
