/** `millrace at … score`: what the model would have answered then. */
import { type EngineName, engineNames } from '@millrace/model';
import { MillraceError, scoreItemsMax } from '@millrace/protocol';
import type { HistoryPoint } from '@millrace/snapshot';
import { Command, Option } from 'commander';
import { modelIn } from '../history/history-source.ts';
import { type PastScore, scoreAt } from '../history/score-at.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { dataOption, modelOption, withHistory } from './open-history.ts';
import { jsonOption, timeMsFromText, wholeNumber } from './options.ts';
import { scoreRequestFrom } from './score-request.ts';

interface AtFlags {
  readonly sequence?: number;
  readonly time?: number;
  readonly denseVersion?: number;
  readonly model?: string;
  readonly engine: 'auto' | EngineName;
  readonly data?: string;
  readonly json: boolean;
}

const anySequence = wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER });

export function atCommand(): Command {
  const at = new Command('at')
    .description('ask the model as it was at a moment')
    .addOption(
      new Option('--sequence <sequence>', 'moment: a sequence of the gradient log')
        .argParser(anySequence)
        .conflicts('time'),
    )
    .addOption(new Option('--time <time>', 'moment: ISO 8601, or Unix ms').argParser(timeMsFromText))
    .option('--dense-version <version>', 'dense version (default: the newest of that moment)', anySequence)
    .addOption(
      new Option('--engine <engine>', 'engine that runs the net')
        .choices(['auto', ...engineNames])
        .default('plain'),
    )
    .addOption(modelOption())
    .addOption(dataOption());
  at.addCommand(
    new Command('score')
      .description('score one request')
      .argument('<request>', 'JSON of a score request, a file of it, or - to read it from standard input')
      .addOption(jsonOption())
      .action(async (given: string, _: unknown, command: Command) => {
        await scoreThen(given, command.optsWithGlobals<AtFlags>());
      }),
  );
  return at;
}

async function scoreThen(given: string, flags: AtFlags): Promise<void> {
  const { model: name, user = {}, context = {}, items } = scoreRequestFrom(given);
  if (!Array.isArray(items) || items.length < 1 || items.length > scoreItemsMax)
    throw new MillraceError('MILL_BAD_REQUEST', `the request needs "items", a list of 1 to ${scoreItemsMax}`);
  const at = pointFrom(flags);
  const score = await withHistory(flags, async (source) => {
    const bar = openProgressBar('folding');
    try {
      return await scoreAt({
        source,
        file: modelIn(source, flags.model ?? name),
        request: { user, context, items },
        at,
        version: flags.denseVersion ?? null,
        engine: flags.engine,
        nowMs: source.clock.now(),
        onProgress: (done, total, note) => bar.set(done, total, note),
      });
    } finally {
      bar.end();
    }
  });
  if (flags.json) process.stdout.write(`${JSON.stringify(score)}\n`);
  else process.stdout.write(textFrom(score, items));
}

function textFrom(score: PastScore, items: readonly unknown[]): string {
  const lines = score.scores.map((value, i) => `${value.toFixed(6)}  ${JSON.stringify(items[i])}`);
  const time = score.timeMs === null ? 'unknown' : new Date(score.timeMs).toISOString();
  lines.push(
    `sequence ${score.sequence}, version ${score.version}, time ${time}, engine ${score.engine}, ${score.partitions} partitions folded`,
  );
  return `${lines.join('\n')}\n`;
}

function pointFrom({ sequence, time }: AtFlags): HistoryPoint {
  if (sequence !== undefined) return { sequence };
  if (time !== undefined) return { timeMs: time };
  throw new MillraceError('MILL_BAD_REQUEST', 'say when: --sequence or --time');
}
