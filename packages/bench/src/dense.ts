/**
 * Rows per second of every engine of the dense net, and of ONNX Runtime bare on the same graph.
 *
 *   npm run bench -- dense [--json] [--smoke] [--rounds N] [--turn-ms N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { type NetResult, runDenseBench } from './dense/dense-bench.ts';
import { type DenseParameters, fullSize, smokeSize } from './dense/parameters.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'turn-ms': { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);

function asText({ net, runners, defaultEngine, defaultToBareOnnx, engineToBareOnnx }: NetResult): string {
  const count = (rate: number | null) => (rate === null ? '–' : Math.round(rate).toLocaleString('en'));
  const head = [
    net,
    ...parameters.rows.map((rows) => `batch ${rows}`),
    `steps, batch ${parameters.headlineRows}`,
  ];
  const table = textTable(
    head,
    runners.map(({ name, rowsPerSecond, stepRowsPerSecond }) => [
      name,
      ...rowsPerSecond.map(count),
      count(stepRowsPerSecond),
    ]),
  );
  return `${table}\n\nauto takes ${defaultEngine}: ${defaultToBareOnnx ?? '–'} of bare onnxruntime-node; with equal options ${engineToBareOnnx ?? '–'}\n`;
}

const size = values.smoke ? smokeSize : fullSize;
const parameters: DenseParameters = {
  ...size,
  rounds: wholeNumber(values.rounds, size.rounds),
  turnMs: wholeNumber(values['turn-ms'], size.turnMs),
};

if (values.help) say('npm run bench -- dense [--json] [--smoke] [--rounds N] [--turn-ms N]');
else {
  const progress = startProgress(parameters.nets.length * parameters.rounds, process.stderr);
  const result = await runDenseBench(parameters, progress.show);
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'dense', ...thisMachine(), parameters, ...result })
      : ['Rows per second', '', ...result.nets.map(asText), ...result.skipped].join('\n'),
  );
}
