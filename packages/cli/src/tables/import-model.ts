/**
 * Puts rows and dense weights into a model, through its logs: from a folder of tables, or from embeddings that somebody else
 * has trained, keyed by the values of a field.
 */
import { fingerprintOf, type TableLayout, tableLayouts, writeInitialRow } from '@millrace/core';
import { compileNet } from '@millrace/model';
import { MillraceError, type ModelFile } from '@millrace/protocol';
import type { Bus, Clock } from '@millrace/runtime';
import { fileInvalid } from '../log-file/index.ts';
import type { FolderReader } from './folder-reader.ts';
import type { TableRows } from './folder-writer.ts';
import { createFieldKeys } from './key-names.ts';
import { createPutPublisher, type PutPublisher } from './put-publisher.ts';

/** Rows keyed by a field's values. */
export interface NamedRows {
  readonly path: string;
  /** How many there are, as far as is known; for the progress bar. */
  readonly rows: number | null;
  /** Value and floats of a row; place says where it stands, for messages. */
  [Symbol.asyncIterator](): AsyncIterator<{
    readonly line: number;
    readonly value: string;
    readonly floats: Float32Array;
  }>;
}

export interface ImportOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  /** The model file as the cluster has it. */
  readonly file: ModelFile;
  readonly producer: string;
  readonly onProgress: (done: number, total: number | null, note: string) => void;
}

export interface Imported {
  readonly rows: number;
  readonly parameters: number;
  /** Newest sequence by partition, 0 where nothing was put. */
  readonly heads: readonly number[];
}

/** @param from the model file that the folder was written with. @throws MILL_FILE_INVALID, MILL_DIM_MISMATCH, MILL_BAD_REQUEST */
export async function importFolder(
  options: ImportOptions,
  reader: FolderReader,
  from: ModelFile,
): Promise<Imported> {
  const { file, onProgress } = options;
  const layouts = tableLayouts(file);
  if (from.seed !== file.seed)
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `cannot import into "${file.name}": its keys are hashed with seed ${file.seed}, those of the folder with ${from.seed}`,
    );
  const tables = reader.notes.tables.map((table) => ({ ...table, place: placeOf(file, layouts, table) }));
  const parameters = refuseOtherNet(file, reader);
  const publisher = publisherOf(options, layouts);
  const total = tables.reduce((sum, { rows }) => sum + rows, 0);
  for (const [t, { place }] of tables.entries()) {
    for await (const rows of reader.rows(t)) {
      await publisher.add(place, rows);
      onProgress(publisher.rows, total, `${publisher.rows} rows`);
    }
  }
  if (parameters > 0) await publisher.putDense(await reader.dense());
  const heads = await publisher.flush();
  return { rows: publisher.rows, parameters, heads };
}

/** Rows by the values of `field`: as many floats as a row of its table has, or as its embedding has. */
export async function importNamedRows(
  options: ImportOptions,
  field: string,
  named: NamedRows,
): Promise<Imported> {
  const { file, onProgress } = options;
  const layouts = tableLayouts(file);
  const keys = createFieldKeys(file, field);
  const layout = layouts[keys.table];
  const publisher = publisherOf(options, layouts);
  for await (const { line, value, floats } of named) {
    if (floats.length !== layout.dim && floats.length !== layout.embeddingDim)
      throw new MillraceError(
        'MILL_DIM_MISMATCH',
        `cannot import "${named.path}", line ${line}: rows of table "${layout.name}" have ${layout.dim} floats` +
          `${layout.embeddingDim !== layout.dim ? ` (embeddings ${layout.embeddingDim})` : ''}, found ${floats.length}`,
      );
    const found = keys.keysOf(value);
    if (found.length !== 1)
      throw fileInvalid({ file: named.path, line, column: 'value' }, 'one value of the field', `"${value}"`);
    await publisher.add(keys.table, rowOf(layout, found[0], floats));
    if (publisher.rows % 1_024 === 0) onProgress(publisher.rows, named.rows, `${publisher.rows} rows`);
  }
  const heads = await publisher.flush();
  return { rows: publisher.rows, parameters: 0, heads };
}

function publisherOf(
  { bus, clock, file, producer }: ImportOptions,
  layouts: readonly TableLayout[],
): PutPublisher {
  return createPutPublisher({ bus, clock, file, fingerprint: fingerprintOf(file), layouts, producer });
}

/** Where a table of the folder goes. */
function placeOf(
  file: ModelFile,
  layouts: readonly TableLayout[],
  table: { readonly name: string; readonly dim: number; readonly stateFloats: number },
): number {
  const place = layouts.findIndex(({ name }) => name === table.name);
  if (place < 0) {
    const known = layouts.map(({ name }) => name).join(', ');
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `cannot import table "${table.name}": model "${file.name}" has ${known}`,
    );
  }
  const { dim, clockAt } = layouts[place];
  if (dim !== table.dim || (table.stateFloats > 0 && table.stateFloats !== clockAt))
    throw new MillraceError(
      'MILL_DIM_MISMATCH',
      `cannot import table "${table.name}": rows of model "${file.name}" have ${dim} weights and ${clockAt} floats of ` +
        `optimizer state, found ${table.dim} and ${table.stateFloats}`,
    );
  return place;
}

function refuseOtherNet(file: ModelFile, { notes }: FolderReader): number {
  const wanted = compileNet(file).denseParameters;
  const found = notes.dense.parameters;
  if (found === 0 || found === wanted) return found;
  throw new MillraceError(
    'MILL_DIM_MISMATCH',
    `cannot import the dense weights: the net of model "${file.name}" has ${wanted}, found ${found}`,
  );
}

/** A row of a table; where only the embedding is given, the wide weight has its first value. */
function rowOf(layout: TableLayout, [low, high]: readonly [number, number], floats: Float32Array): TableRows {
  const weights = new Float32Array(layout.dim);
  writeInitialRow(layout, low, high, weights, 0);
  weights.set(floats, layout.dim - floats.length);
  return { count: 1, keys: Uint32Array.of(low, high), weights, state: new Float32Array(0) };
}
