/**
 * What admission and expiry keep, and what they cost in quality: the simulated shop learned once with each policy.
 *
 *   npm run bench -- admission [--json] [--smoke] [--requests N] [--seed N]
 */
import { parseArgs } from 'node:util';
import {
  fullSize,
  type PolicyResult,
  policyCount,
  runAdmissionBench,
  smokeSize,
} from './admission/admission-bench.ts';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';

const usage = 'npm run bench -- admission [--json] [--smoke] [--requests N] [--seed N]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    requests: { type: 'string' },
    seed: { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;
const parameters = {
  requests: values.requests === undefined ? size.requests : Number(values.requests),
  seed: values.seed === undefined ? size.seed : Number(values.seed),
};

function asText(results: readonly PolicyResult[]): string {
  return textTable(
    ['policy', 'rows', 'MiB', 'not admitted', 'expired', 'AUC', 'logloss', 'examples/s'],
    results.map((result) => [
      result.policy,
      String(result.rows),
      (result.bytes / 2 ** 20).toFixed(2),
      String(result.notAdmitted),
      String(result.expired),
      result.auc.toFixed(4),
      result.logloss.toFixed(4),
      String(Math.round(result.examplesPerSecond)),
    ]),
  );
}

if (values.help) say(usage);
else {
  const progress = startProgress(policyCount, process.stderr);
  const results = await runAdmissionBench(parameters, progress.show);
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'admission', ...thisMachine(), parameters, results })
      : asText(results),
  );
}
