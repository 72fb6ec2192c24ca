/** `millrace export`: rows as of a moment, as files that other programs read. */
import type { HistoryPoint } from '@millrace/snapshot';
import { Command, InvalidArgumentError, Option } from 'commander';
import { modelIn } from '../history/history-source.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { exportModel } from '../tables/export-model.ts';
import { nameKeys } from '../tables/key-names.ts';
import { columnValues } from '../tables/named-rows.ts';
import { type FolderNotes, type TableFormat, tableFormats } from '../tables/table-folder.ts';
import { dataOption, modelOption, withHistory } from './open-history.ts';
import { jsonOption, wholeNumber } from './options.ts';

interface ExportFlags {
  readonly model?: string;
  readonly out: string;
  readonly format: TableFormat;
  readonly sequence?: number;
  readonly time?: number;
  readonly table?: string;
  readonly state: boolean;
  readonly values: readonly string[];
  readonly data?: string;
  readonly json: boolean;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('write rows and dense weights to a folder, as of now or of a moment')
    .requiredOption('--out <directory>', 'folder to write; made where it is not there')
    .addOption(modelOption())
    .addOption(new Option('--format <format>', 'of the arrays').choices(tableFormats).default('npy'))
    .addOption(
      new Option('--sequence <sequence>', 'moment: a sequence of the gradient log')
        .argParser(wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }))
        .conflicts('time'),
    )
    .addOption(new Option('--time <time>', 'moment: ISO 8601, or Unix ms').argParser(timeFrom))
    .option('--table <name>', 'this table alone')
    .option('--state', 'optimizer state too, so that learning goes on where it was', false)
    .option(
      '--values <file:column...>',
      'logs whose values name the keys in CSV; the column is named as the field',
      [],
    )
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (flags: ExportFlags) => {
      const { notes, seconds } = await run(flags);
      const rows = notes.tables.reduce((sum, table) => sum + table.rows, 0);
      const figures = { ...notes, rows, seconds: Math.round(1_000 * seconds) / 1_000 };
      const text =
        `${rows} rows of ${notes.tables.length} tables and ${notes.dense.parameters} dense weights of ${notes.model}, ` +
        `sequence ${notes.sequence}, in ${seconds.toFixed(1)} s: ${flags.out}`;
      process.stdout.write(flags.json ? `${JSON.stringify(figures)}\n` : `${text}\n`);
    });
}

function run(flags: ExportFlags): Promise<{ readonly notes: FolderNotes; readonly seconds: number }> {
  return withHistory(flags, async (source) => {
    const startMs = source.clock.monotonicMs();
    const file = modelIn(source, flags.model);
    const bar = openProgressBar(`exporting ${file.name}`);
    try {
      const notes = await exportModel({
        source,
        file,
        at: pointFrom(flags),
        folder: flags.out,
        format: flags.format,
        table: flags.table ?? null,
        withState: flags.state,
        names: flags.values.length > 0 ? await nameKeys(file, columnValues(flags.values)) : null,
        onProgress: (done, total, note) => bar.set(done, total, note),
      });
      return { notes, seconds: (source.clock.monotonicMs() - startMs) / 1_000 };
    } finally {
      bar.end();
    }
  });
}

function pointFrom({ sequence, time }: ExportFlags): HistoryPoint | null {
  if (sequence !== undefined) return { sequence };
  return time === undefined ? null : { timeMs: time };
}

function timeFrom(text: string): number {
  const timeMs = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isFinite(timeMs)) return timeMs;
  throw new InvalidArgumentError('wanted a time: ISO 8601, or Unix ms.');
}
