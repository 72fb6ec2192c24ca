/** `millrace import`: rows put whole through the log. */
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { storeModel } from '@millrace/inference';
import { parseModelFile } from '@millrace/model';
import { MillraceError, type ModelFile } from '@millrace/protocol';
import { Command } from 'commander';
import { openProgressBar } from '../screen/progress-bar.ts';
import { awaitApplied } from '../tables/await-applied.ts';
import { type FolderReader, jsonFile, openFolderReader } from '../tables/folder-reader.ts';
import { type Imported, type ImportOptions, importFolder, importNamedRows } from '../tables/import-model.ts';
import { columnValues, csvNamedRows, npyNamedRows } from '../tables/named-rows.ts';
import { modelFileName } from '../tables/table-folder.ts';
import { isTrained, openTrainedReader } from '../tables/trained-reader.ts';
import { dataOption, type OpenHistory, withHistory } from './open-history.ts';
import { jsonOption, wholeNumber } from './options.ts';

interface ImportFlags {
  readonly model?: string;
  readonly field?: string;
  readonly values?: string;
  readonly wait: number;
  readonly data?: string;
  readonly json: boolean;
}

/** The model that is not there yet has to be seen by this process and by the shards. */
const createdMsMax = 30_000;

export function importCommand(): Command {
  return new Command('import')
    .description(
      'put rows into a model: a folder that export or train wrote, or embeddings keyed by a field (.csv, .npy)',
    )
    .argument('<path>', 'folder, .csv with a column "value" and floats, or .npy with --values')
    .option(
      '--model <name>',
      'model to put them into (default: that of the folder; made where it is not there)',
    )
    .option('--field <name>', 'field whose values name the rows of a .csv or .npy file')
    .option('--values <file:column>', 'values of the rows of a .npy file, in its order')
    .option(
      '--wait <seconds>',
      'how long shards may take to apply it',
      wholeNumber({ min: 1, max: 86_400 }),
      600,
    )
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (path: string, flags: ImportFlags) => {
      const result = await withHistory(flags, (source) => run(path, flags, source));
      const text = `${result.rows} rows and ${result.parameters} dense weights put into ${result.model} in ${result.seconds} s`;
      process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${text}\n`);
    });
}

async function run(path: string, flags: ImportFlags, source: OpenHistory) {
  const { bus, clock, view } = source;
  const startMs = clock.monotonicMs();
  const bar = openProgressBar('importing');
  const common = {
    bus,
    clock,
    producer: `import-${randomUUID()}`,
    onProgress: (done: number, total: number | null, note: string) => bar.set(done, total ?? 2 * done, note),
  };
  try {
    const { file, imported } = await importPath(path, flags, source, common);
    const { heads } = imported;
    await awaitApplied({ view, clock, model: file.name, heads, waitMsMax: 1_000 * flags.wait });
    const seconds = Math.round(clock.monotonicMs() - startMs) / 1_000;
    return { model: file.name, rows: imported.rows, parameters: imported.parameters, seconds };
  } finally {
    bar.end();
  }
}

async function importPath(
  path: string,
  flags: ImportFlags,
  source: OpenHistory,
  common: Omit<ImportOptions, 'file'>,
): Promise<{ readonly file: ModelFile; readonly imported: Imported }> {
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() ?? false;
  if (isFolder) {
    const { reader, file: from } = await openFolder(path);
    const file = await modelFor(source, flags.model ?? from.name, from);
    return { file, imported: await importFolder({ ...common, file }, reader, from) };
  }
  const { field, values } = flags;
  if (field === undefined || flags.model === undefined)
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `${path} is no folder: a .csv or .npy file needs --model and --field`,
    );
  if (!/\.(csv|npy)(\.gz)?$/.test(path))
    throw new MillraceError('MILL_BAD_REQUEST', `${path}: wanted a folder, a .csv or a .npy file`);
  const file = await modelFor(source, flags.model, null);
  if (path.endsWith('.npy') && values === undefined)
    throw new MillraceError('MILL_BAD_REQUEST', `${path}: an npy file needs --values FILE:column`);
  const named = path.endsWith('.npy')
    ? await npyNamedRows(path, columnValues([values as string]))
    : csvNamedRows(path);
  return { file, imported: await importNamedRows({ ...common, file }, field, named) };
}

async function openFolder(
  path: string,
): Promise<{ readonly reader: FolderReader; readonly file: ModelFile }> {
  if (isTrained(path)) return openTrainedReader(path);
  const reader = await openFolderReader(path);
  return { reader, file: parseModelFile(await jsonFile(join(path, modelFileName))) };
}

/** The model of that name; made of `from` where there is none. */
async function modelFor(
  { bus, view, clock }: OpenHistory,
  name: string,
  from: ModelFile | null,
): Promise<ModelFile> {
  const there = view.models.get(name);
  if (there) return there;
  if (from === null)
    throw new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)}`);
  await storeModel(bus, view, name, { ...from, name });
  const startMs = clock.monotonicMs();
  while (!view.models.has(name)) {
    if (clock.monotonicMs() - startMs > createdMsMax)
      throw new MillraceError('MILL_TIMEOUT', `model ${JSON.stringify(name)} was made, but is not seen`);
    await new Promise<void>((resolve) => clock.setTimer(100, resolve));
  }
  return view.models.get(name) as ModelFile;
}
