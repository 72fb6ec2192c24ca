/**
 * Keys per second of pulls over TCP from another process, and Redis MGET of equal rows beside it.
 *
 *   npm run bench -- pull [--json] [--smoke] [--rows N] [--partitions N] [--rounds N] [--round-ms N] [--seed N]
 */
import { parseArgs } from 'node:util';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { fullSize, type PullParameters, smokeSize } from './pull/parameters.ts';
import { type Figures, type PullResult, runPullBench, stepsOf } from './pull/pull-bench.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    rows: { type: 'string' },
    partitions: { type: 'string' },
    rounds: { type: 'string' },
    'round-ms': { type: 'string' },
    seed: { type: 'string' },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const million = (keysPerSecond: number) => `${(keysPerSecond / 1e6).toFixed(2)} M`;
const ms = (figures: Figures | null) =>
  figures ? [figures.msP50.toFixed(2), figures.msP99.toFixed(2)] : ['–', '–'];

function parametersHere(): PullParameters {
  const size = values.smoke ? smokeSize : fullSize;
  return {
    rows: wholeNumber(values.rows, size.rows),
    partitions: wholeNumber(values.partitions, size.partitions),
    rounds: wholeNumber(values.rounds, size.rounds),
    roundMs: wholeNumber(values['round-ms'], size.roundMs),
    seed: wholeNumber(values.seed, size.seed),
  };
}

function asText(result: PullResult, parameters: PullParameters): string {
  const rows = result.settings.map(({ keysPerRequest, inFlight, millrace, redis, ratioToRedis }) => [
    `${keysPerRequest} × ${inFlight}`,
    million(millrace.keysPerSecond),
    ...ms(millrace),
    redis ? million(redis.keysPerSecond) : '–',
    ...ms(redis),
    ratioToRedis ? `${ratioToRedis.toFixed(1)} ×` : '–',
  ]);
  const head = [
    'keys × in flight',
    'keys/s',
    'p50 ms',
    'p99 ms',
    'Redis keys/s',
    'p50 ms',
    'p99 ms',
    'ratio',
  ];
  return [
    `Pulls of ${parameters.rows.toLocaleString('en')} rows of 16 floats, over TCP from another process`,
    result.redisVersion
      ? `beside Redis ${result.redisVersion}, MGET:`
      : '(there is no redis-server on PATH):',
    '',
    textTable(head, rows),
    '',
    `In the shard's process: lookup and copy ${million(result.lookupKeysPerSecond)} keys/s,`,
    `copy of known rows alone ${million(result.gatherKeysPerSecond)} keys/s.`,
  ].join('\n');
}

if (values.help) {
  say(
    'npm run bench -- pull [--json] [--smoke] [--rows N] [--partitions N] [--rounds N] [--round-ms N] [--seed N]',
  );
} else {
  const parameters = parametersHere();
  const progress = startProgress(stepsOf(parameters), process.stderr);
  const result = await runPullBench({ ...parameters, onStep: progress.show });
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'pull', ...thisMachine(), parameters, ...result })
      : asText(result, parameters),
  );
}
