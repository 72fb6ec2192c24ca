/**
 * Versions and live weights are swapped under load: what fails, what mixes two versions, what it costs in latency.
 *
 *   npm run bench -- swap [--json] [--smoke] [--swaps N] [--pairs N] [--swap-every-ms N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { fullSize, type SwapParameters, smokeSize } from './swap/parameters.ts';
import { runSwapBench, type SwapResult, stepsOf } from './swap/swap-bench.ts';

const usage = 'npm run bench -- swap [--json] [--smoke] [--swaps N] [--pairs N] [--swap-every-ms N]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    swaps: { type: 'string' },
    pairs: { type: 'string' },
    'swap-every-ms': { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;
const parameters: SwapParameters = {
  ...size,
  swaps: wholeNumber(values.swaps, size.swaps),
  pairs: wholeNumber(values.pairs, size.pairs),
  swapEveryMs: wholeNumber(values['swap-every-ms'], size.swapEveryMs),
};

function asText(result: SwapResult): string {
  const { p50Ms, p99Ms, swapMs } = result;
  return [
    textTable(
      ['ms', 'without swaps', 'with', 'ratio'],
      [
        ['p50', String(p50Ms.without), String(p50Ms.with), String(result.p50Ratio)],
        ['p99', String(p99Ms.without), String(p99Ms.with), String(result.p99Ratio)],
      ],
    ),
    '',
    `${result.swaps} swaps of a label and ${result.liveSwaps} of the live line, ${result.answers} answers on ${result.engine}: ${result.errors} failed, ${result.mixed} mixed`,
    `a version is loaded, warmed up and served in ${swapMs.median} ms, at most ${swapMs.max}`,
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(stepsOf(parameters), process.stderr);
  const result = await runSwapBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json ? JSON.stringify({ bench: 'swap', ...thisMachine(), parameters, ...result }) : asText(result),
  );
}
