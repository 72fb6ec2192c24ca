/** `millrace init`: looks at a log and writes a model file for it, with its reasons. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { MillraceError, type ModelFile, reasonFrom } from '@millrace/protocol';
import { Command, InvalidArgumentError, Option } from 'commander';
import { explainChoices } from '../init/explain-choices.ts';
import { type InitResult, initModel } from '../init/init-model.ts';
import { trialsMax } from '../init/search-choices.ts';
import { logReportJson } from '../log-file/index.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  strictOption,
  wholeNumber,
} from './options.ts';

interface InitFlags extends LogFlags {
  readonly from: string;
  readonly out: string;
  readonly label?: string;
  readonly timestamp?: string;
  readonly name?: string;
  readonly trials: number;
  readonly trialEvents: number;
  readonly json: boolean;
}

export function initCommand(): Command {
  return new Command('init')
    .description('look at a log and write a model file for it, with the reasons for each choice')
    .requiredOption('--from <file>', logFileArgument)
    .option('--out <file>', 'where the model file goes', 'model.json')
    .option('--label <column>', 'the outcome, 0 or 1 (default: by its name)')
    .option('--timestamp <column>', 'the time (default: by its name)')
    .option('--name <name>', "the model's name (default: the log's)")
    .addOption(
      new Option('--trials <n>', 'backtests of candidates over a sample, at most; off: none')
        .argParser((text) => (text === 'off' ? 0 : wholeNumber({ min: 0, max: 200 })(text)))
        .default(trialsMax),
    )
    .option('--trial-events <n>', 'events of the sample', wholeNumber({ min: 100, max: 1_000_000 }), 30_000)
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(async (flags: InitFlags) => {
      const bar = openProgressBar('init');
      const result = await initModel({
        path: flags.from,
        format: flags.format,
        strict: flags.strict,
        label: flags.label,
        timestamp: flags.timestamp,
        name: flags.name ?? nameFrom(flags.from),
        sampleMax: flags.trialEvents,
        trialsMax: flags.trials,
        onProgress: (done, total, what) => bar.set(done, total, what),
      }).finally(() => bar.end());
      write(flags.out, result.file);
      if (flags.json) process.stdout.write(`${JSON.stringify(jsonFrom(result))}\n`);
      else process.stdout.write(`${[...explainChoices(result), '', nextLine(flags)].join('\n')}\n`);
      tellLogReports([result.profile.report]);
    });
}

function write(out: string, file: ModelFile): void {
  try {
    writeFileSync(out, `${JSON.stringify(file, null, 2)}\n`);
  } catch (cause) {
    throw new MillraceError('MILL_FILE_INVALID', `cannot write ${out}: ${reasonFrom(cause)}`, { cause });
  }
}

function nextLine({ from, out }: InitFlags): string {
  return `wrote ${out}; try: millrace backtest ${from} --model ${out}`;
}

function jsonFrom({ file, profile, columns, roles, choices, trials }: InitResult) {
  return {
    events: profile.events,
    positives: profile.positives,
    label: profile.label,
    timestamp: profile.timestamp,
    user: roles.user,
    columns: columns.map(({ use, gain, forms }) => ({
      column: use.column,
      becomes: file.fields.find(({ name }) => name === use.column)?.type ?? null,
      scope: roles.scopes.get(use.column) ?? null,
      gain: Number.isFinite(gain) ? Number(gain.toFixed(6)) : null,
      forms: forms.map(({ form, gain: nats }) => ({ form: form.kind, gain: Number(nats.toFixed(6)) })),
      why: use.why,
      scopeWhy: roles.why.get(use.column) ?? null,
    })),
    choices,
    trials,
    ...logReportJson(profile.report),
    model: file,
  };
}

/** A model's name from the log's: lower-case letters, digits and dashes. @throws when nothing of it is left. */
function nameFrom(path: string): string {
  const words = basename(path)
    .toLowerCase()
    .replace(/\.gz$/, '')
    .replace(/\.[a-z]+$/, '')
    .replace(/[^a-z0-9]+/g, '-');
  const name = words
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  if (name !== '') return name;
  throw new InvalidArgumentError(`no model can be named after ${basename(path)}: say --name.`);
}
