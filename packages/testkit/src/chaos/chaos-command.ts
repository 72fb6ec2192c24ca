/** `npm run chaos`: one run with a live line on a terminal, its report at the end. Started by scripts/chaos.mjs. */
import { parseArgs } from 'node:util';
import { faultsOf, reportText } from './chaos-report.ts';
import { type ChaosSight, runChaos } from './run-chaos.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    shards: { type: 'string', default: '3' },
    inference: { type: 'string', default: '2' },
    seed: { type: 'string', default: process.env.SEED ?? `${1 + Math.floor(Math.random() * 1_000_000)}` },
    only: { type: 'string' },
    logs: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** Starting, recovering from the last harm, settling and stopping; after that the run counts as hung. */
const marginSeconds = 300;
const { stderr } = process;
const clearLine = stderr.isTTY ? '\r\x1b[K' : '';
const say = (line: string) => stderr.write(`${clearLine}› ${line}\n`);

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(1);
    say('ending early');
    abort.abort();
  });
}
const seconds = wholeFrom('seconds', values.seconds);
const hung = setTimeout(
  () => {
    say(`not over ${marginSeconds} s after its time: given up`);
    // The cluster's processes are killed at this process's exit.
    process.exit(1);
  },
  (seconds + marginSeconds) * 1_000,
);

let scoredBefore = 0;
let scoredAtSeconds = 0;
let scoresPerSecond = 0;

function progress(sight: ChaosSight): void {
  if (!stderr.isTTY) return;
  if (sight.seconds - scoredAtSeconds >= 1) {
    scoresPerSecond = (sight.scored - scoredBefore) / (sight.seconds - scoredAtSeconds);
    scoredBefore = sight.scored;
    scoredAtSeconds = sight.seconds;
  }
  const { harms, now, failed, degraded } = sight;
  const figures = `${scoresPerSecond.toFixed(0)} scores/s  ${failed} failed  ${degraded} degraded`;
  const line = `${sight.seconds.toFixed(0).padStart(4)} s  harm ${harms}  ${figures}  ${now}`;
  stderr.write(`${clearLine}${line.slice(0, stderr.columns - 1)}`);
}

try {
  const report = await runChaos({
    seed: wholeFrom('seed', values.seed),
    seconds,
    shards: wholeFrom('shards', values.shards),
    inference: wholeFrom('inference', values.inference),
    lastsMsMin: 2_000,
    lastsMsMax: 6_000,
    ...(values.only !== undefined && { only: values.only.split(',').map((name) => name.trim()) }),
    ...(values.logs !== undefined && { logsTo: values.logs }),
    signal: abort.signal,
    watch: { say, progress },
  });
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${reportText(report)}\n`);
  const faults = faultsOf(report);
  if (faults.length > 0) {
    say(`broken: ${faults.join(', ')}; again with npm run chaos -- --seed ${report.seed}`);
    process.exitCode = 1;
  }
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  clearTimeout(hung);
}

function wholeFrom(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name}: wanted a whole number, found ${JSON.stringify(text)}`);
}
