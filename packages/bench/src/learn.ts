/**
 * Regret against the known truth, recovery from a drift, and that repeats, reordering and late clicks change nothing.
 *
 *   npm run bench -- learn [--json] [--smoke] [--requests N] [--sampled-requests N] [--seed N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { type LearnResult, runLearnBench, runsOf } from './learn/learn-bench.ts';
import { fullSize, type LearnParameters, smokeSize } from './learn/parameters.ts';

const usage = 'npm run bench -- learn [--json] [--smoke] [--requests N] [--sampled-requests N] [--seed N]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    requests: { type: 'string' },
    'sampled-requests': { type: 'string' },
    seed: { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;

const parameters: LearnParameters = {
  ...size,
  seed: wholeNumber(values.seed, size.seed),
  requests: wholeNumber(values.requests, size.requests),
  sampledRequests: wholeNumber(values['sampled-requests'], size.sampledRequests),
};

function asText(result: LearnResult): string {
  const count = (n: number) => n.toLocaleString('en');
  const { regret, expectedRegret, regretBeforeDrift, regretAtDrift, recoveryEvents } = result;
  return [
    `${count(result.events)} events of the demo's traffic, a drift in the middle; regret is logloss − the oracle's`,
    '',
    textTable(
      ['', 'regret'],
      [
        ['before the drift', regretBeforeDrift.toFixed(4)],
        ['just after it', regretAtDrift.toFixed(4)],
        ['at the end, expected', expectedRegret.toFixed(4)],
        ['at the end, by the clicks drawn', regret.toFixed(4)],
      ],
    ),
    '',
    `back at 0.010 or less after ${recoveryEvents === null ? 'more events than there are' : `${count(recoveryEvents)} events`}`,
    '',
    textTable(
      ['what happens to events', 'Δ logloss', 'learned', 'repeats', 'early'],
      result.disturbed.map(({ disturbance, loglossDifference, learned, duplicates, early }) => [
        disturbance,
        loglossDifference.toFixed(5),
        count(learned),
        count(duplicates),
        count(early),
      ]),
    ),
    '',
    textTable(
      ['negatives kept', 'calibration', 'learned', 'of'],
      result.rates.map(({ negativeRate, calibration, learned, shown }) => [
        String(negativeRate),
        calibration.toFixed(4),
        count(learned),
        count(shown),
      ]),
    ),
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(runsOf, process.stderr);
  const result = await runLearnBench(parameters, progress.show);
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'learn', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
