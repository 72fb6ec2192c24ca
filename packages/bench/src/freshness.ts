/**
 * From a click to the first score that shows it, through the public API, at half of the node's maximum load.
 *
 *   npm run bench -- freshness [--json] [--smoke] [--probes N] [--cache-rows N] [--rows N] …
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { wholeNumber } from './common/whole-number.ts';
import { scoreOptions, scoreOptionsUsage, scoreParametersFrom } from './score/command.ts';
import { type FreshnessResult, freshnessStepsOf, runFreshnessBench } from './score/freshness-bench.ts';
import { fullSize, smokeSize } from './score/parameters.ts';

const usage = `npm run bench -- freshness ${scoreOptionsUsage} [--probes N]`;
const { values } = parseArgs({ options: { ...scoreOptions, probes: { type: 'string' } } });
const say = (text: string) => void process.stdout.write(`${text}\n`);
const parameters = {
  ...scoreParametersFrom(values, values.smoke ? smokeSize : { ...fullSize, steps: 16 }),
  // Weights of the net stay as they are, so that a click changes the scores of its own rows alone.
  denseLearningRate: 1e-30,
  probes: wholeNumber(values.probes, values.smoke ? 10 : 200),
  loadShare: 0.5,
};

function asText({ msP50, msP95, msP99, probes, missed, capacity, load }: FreshnessResult): string {
  return [
    `click → changed score: p50 ${msP50} ms, p95 ${msP95} ms, p99 ${msP99} ms (${probes} probes, ${missed} missed)`,
    `beside ${Math.round(load.requestsPerSecond)} requests/s, p99 ${load.msP99} ms; the node holds ${Math.round(capacity.requestsPerSecond)}`,
  ].join('\n');
}

if (values.help) say(usage);
else {
  const progress = startProgress(freshnessStepsOf(parameters), process.stderr);
  const result = await runFreshnessBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'freshness', ...thisMachine(), parameters, ...result })
      : asText(result),
  );
}
