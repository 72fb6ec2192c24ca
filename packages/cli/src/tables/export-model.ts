/** Writes the rows and dense weights of a model, as they were at a moment, to a folder of tables. */
import type { RowTable } from '@millrace/core';
import { compileNet, initialDense } from '@millrace/model';
import { MillraceError, type ModelFile, partitionsDefault } from '@millrace/protocol';
import {
  foldDenseAt,
  foldPartitionAt,
  type HistoryPoint,
  mapFew,
  newestBlockAtOrBelow,
} from '@millrace/snapshot';
import { foldsOf, type HistorySource } from '../history/history-source.ts';
import { openFolderWriter } from './folder-writer.ts';
import type { KeyNames } from './key-names.ts';
import { rowsOf } from './state-rows.ts';
import type { FolderNotes, TableFormat } from './table-folder.ts';

export interface ExportOptions {
  readonly source: HistorySource;
  readonly file: ModelFile;
  /** Null: as it is now. */
  readonly at: HistoryPoint | null;
  readonly folder: string;
  readonly format: TableFormat;
  /** This table alone, without the dense weights; null: everything. */
  readonly table: string | null;
  readonly withState: boolean;
  /** Values of keys, which CSV carries; null: none are known. */
  readonly names: KeyNames | null;
  readonly onProgress: (done: number, total: number, note: string) => void;
}

/** @throws MILL_HISTORY_GONE, MILL_BAD_REQUEST, MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE */
export async function exportModel(options: ExportOptions): Promise<FolderNotes> {
  const { source, file, folder, format, withState, names, onProgress } = options;
  const { lastSequence } = await source.bus.logState('gradients');
  const until: HistoryPoint = options.at ?? { sequence: lastSequence };
  if ('sequence' in until && until.sequence > lastSequence)
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `the gradient log ends at sequence ${lastSequence}; ${until.sequence} is still to come`,
    );
  const places = placesOf(file, options.table);
  const partitions = file.partitions ?? partitionsDefault;
  const { denseParameters } = compileNet(file);
  let writer: Awaited<ReturnType<typeof openFolderWriter>> | null = null;
  let sequence = 0;
  let rows = 0;
  let done = 0;
  // Partitions are folded a few at a time; one writes at a time.
  let writing: Promise<void> = Promise.resolve();
  await mapFew(partitions, async (partition) => {
    const state = await foldPartitionAt({ ...foldsOf(source), file, partition, until });
    sequence = Math.max(sequence, state.sequence);
    writing = writing.then(async () => {
      writer ??= await openFolderWriter(
        folder,
        format,
        file,
        places.map((place) => formOf(state.tables[place], withState)),
      );
      for (const [t, place] of places.entries()) {
        const part = rowsOf(state.tables[place], withState);
        rows += part.count;
        await writer.add(t, part, names?.(place) ?? (() => null));
      }
    });
    await writing;
    done += 1;
    onProgress(done, partitions, `${rows} rows`);
  });
  const dense = denseParameters > 0 && options.table === null ? await denseAt(options, until) : null;
  // Partitions there are always, so the writer is open.
  return (writer as unknown as Awaited<ReturnType<typeof openFolderWriter>>).finish(
    {
      weights: dense?.weights ?? new Float32Array(0),
      state: dense && withState ? dense.optimizerState : new Float32Array(0),
    },
    { sequence, denseVersion: dense?.sequence ?? 0 },
  );
}

function placesOf(file: ModelFile, table: string | null): readonly number[] {
  const places = file.tables.map((_, place) => place);
  if (table === null) return places;
  const place = file.tables.findIndex(({ name }) => name === table);
  if (place >= 0) return [place];
  const known = file.tables.map(({ name }) => name).join(', ');
  throw new MillraceError(
    'MILL_BAD_REQUEST',
    `model "${file.name}" has no table "${table}"; it has ${known}`,
  );
}

function formOf({ layout }: RowTable, withState: boolean) {
  return { name: layout.name, dim: layout.dim, stateFloats: withState ? layout.clockAt : 0 };
}

/** The dense weights of the moment: up to the newest block that it holds; of now, the newest there are. */
async function denseAt({ source, file, at }: ExportOptions, until: HistoryPoint) {
  let moment: HistoryPoint = { sequence: Number.MAX_SAFE_INTEGER };
  if (at !== null && 'timeMs' in at) moment = at;
  else if (at !== null && 'sequence' in until)
    moment = { timeMs: (await newestBlockAtOrBelow(source.bus, file, until.sequence))?.timeMs ?? 0 };
  return foldDenseAt({
    ...foldsOf(source),
    model: file.name,
    until: moment,
    initial: () => initialDense(file),
  });
}
