/** Reads a folder of tables (table-folder.ts), in stretches of rows. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { fileInvalid, openLogFile } from '../log-file/index.ts';
import { type FileMatrix, readFloats, readWords, startOfFile } from './array-file.ts';
import { keyFrom } from './float-text.ts';
import type { DenseArrays, TableRows } from './folder-writer.ts';
import { npyHeaderBytesMax, readNpyHeader } from './npy.ts';
import { readTensors, tensorHeaderLength } from './safetensors.ts';
import {
  denseCsvName,
  type FolderNotes,
  notesFileName,
  notesFrom,
  type TableNotes,
  tensorsFileName,
} from './table-folder.ts';

/** Rows of a stretch: some hundred KiB of most tables. */
const stretchRows = 4_096;

export interface FolderReader {
  readonly notes: FolderNotes;
  /** Rows of one table, as many as its notes say. @throws MILL_FILE_INVALID */
  rows(table: number): AsyncIterable<TableRows>;
  /** Dense weights and the state of their optimizer; both empty where there are none. */
  dense(): Promise<DenseArrays>;
}

/** @throws MILL_FILE_INVALID when `folder` is no whole export. */
export async function openFolderReader(folder: string): Promise<FolderReader> {
  const notes = notesFrom(join(folder, notesFileName), await jsonFile(join(folder, notesFileName)));
  if (notes.format === 'csv') return csvReader(folder, notes);
  const matrices = await (notes.format === 'npy'
    ? npyMatrices(folder, notes)
    : tensorMatrices(folder, notes));
  return {
    notes,
    rows: (table) => matrixRows(notes.tables[table], matrices),
    async dense() {
      const { parameters, stateFloats } = notes.dense;
      return {
        weights: await vector(matrices, 'dense.weights', parameters),
        state: await vector(matrices, 'dense.state', stateFloats),
      };
    },
  };
}

/** A JSON file. @throws MILL_FILE_INVALID */
export async function jsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new MillraceError('MILL_FILE_INVALID', `cannot read "${path}": ${reasonFrom(cause)}`, { cause });
  }
}

type Matrices = ReadonlyMap<string, FileMatrix>;

/** Names of the arrays that the notes say are there. */
function arrayNames({ tables, dense }: FolderNotes): readonly string[] {
  return [
    ...tables.flatMap(({ name, stateFloats }) => [
      `${name}.keys`,
      `${name}.weights`,
      ...(stateFloats > 0 ? [`${name}.state`] : []),
    ]),
    ...(dense.parameters > 0 ? ['dense.weights'] : []),
    ...(dense.stateFloats > 0 ? ['dense.state'] : []),
  ];
}

async function npyMatrices(folder: string, notes: FolderNotes): Promise<Matrices> {
  const matrices = new Map<string, FileMatrix>();
  for (const name of arrayNames(notes)) matrices.set(name, await npyMatrix(join(folder, `${name}.npy`)));
  return matrices;
}

/** The array of an npy file. @throws MILL_FILE_INVALID */
export async function npyMatrix(path: string): Promise<FileMatrix> {
  const { start } = await startOfFile(path, npyHeaderBytesMax).catch((cause: unknown) => {
    throw new MillraceError('MILL_FILE_INVALID', `cannot read "${path}": ${reasonFrom(cause)}`, { cause });
  });
  const { type, shape, dataAt } = readNpyHeader(path, start);
  const kinds = { '<u8': 'u64', '<f4': 'f32', '<f8': 'f64' } as const;
  return { path, type: kinds[type], rows: shape[0], width: shape[1] ?? 1, at: dataAt };
}

async function tensorMatrices(folder: string, notes: FolderNotes): Promise<Matrices> {
  const path = join(folder, tensorsFileName);
  const length = tensorHeaderLength(path, (await startOfFile(path, 8)).start);
  const { start, fileBytes } = await startOfFile(path, 8 + length);
  const tensors = readTensors(path, start.subarray(8), fileBytes);
  const kinds = { U64: 'u64', F32: 'f32', F64: 'f64' } as const;
  const matrices = new Map<string, FileMatrix>();
  for (const name of arrayNames(notes)) {
    const tensor = tensors.get(name);
    if (!tensor) throw fileInvalid({ file: path }, `an array "${name}"`, [...tensors.keys()].join(', '));
    const { type, shape, begin } = tensor;
    matrices.set(name, { path, type: kinds[type], rows: shape[0], width: shape[1] ?? 1, at: begin });
  }
  return matrices;
}

async function* matrixRows(table: TableNotes, matrices: Matrices): AsyncGenerator<TableRows> {
  const { name, rows, dim, stateFloats } = table;
  const keys = fitting(matrices, `${name}.keys`, { rows, width: 1, isKeys: true });
  const weights = fitting(matrices, `${name}.weights`, { rows, width: dim, isKeys: false });
  const state =
    stateFloats > 0 ? fitting(matrices, `${name}.state`, { rows, width: stateFloats, isKeys: false }) : null;
  const handles = await Promise.all([keys, weights, ...(state ? [state] : [])].map(({ path }) => open(path)));
  try {
    for (let from = 0; from < rows; from += stretchRows) {
      const to = Math.min(rows, from + stretchRows);
      yield {
        count: to - from,
        keys: await readWords(handles[0], keys, from, to),
        weights: await readFloats(handles[1], weights, from, to),
        state: state ? await readFloats(handles[2], state, from, to) : new Float32Array(0),
      };
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
}

function fitting(
  matrices: Matrices,
  name: string,
  wanted: { readonly rows: number; readonly width: number; readonly isKeys: boolean },
): FileMatrix {
  const matrix = matrices.get(name) as FileMatrix;
  const fits =
    matrix.rows === wanted.rows && matrix.width === wanted.width && (matrix.type === 'u64') === wanted.isKeys;
  if (fits) return matrix;
  throw fileInvalid(
    { file: matrix.path },
    `${wanted.isKeys ? 'uint64' : 'floats'} of shape (${wanted.rows}, ${wanted.width}) as "${name}"`,
    `${matrix.type} of shape (${matrix.rows}, ${matrix.width})`,
  );
}

async function vector(matrices: Matrices, name: string, length: number): Promise<Float32Array> {
  if (length === 0) return new Float32Array(0);
  const matrix = fitting(matrices, name, { rows: length, width: 1, isKeys: false });
  const handle = await open(matrix.path);
  try {
    return await readFloats(handle, matrix, 0, length);
  } finally {
    await handle.close();
  }
}

function csvReader(folder: string, notes: FolderNotes): FolderReader {
  return {
    notes,
    rows: (table) => csvRows(join(folder, `${notes.tables[table].name}.csv`), notes.tables[table]),
    async dense() {
      const { parameters, stateFloats } = notes.dense;
      const arrays = { weights: new Float32Array(parameters), state: new Float32Array(stateFloats) };
      if (parameters === 0) return arrays;
      const filled = { weights: 0, state: 0 };
      const file = join(folder, denseCsvName);
      for await (const { line, values } of await openLogFile(file, { format: 'csv' })) {
        const array = values.array as 'weights' | 'state';
        if (!(array in arrays))
          throw fileInvalid({ file, line, column: 'array' }, 'weights or state', `"${array}"`);
        arrays[array][filled[array]] = floatFrom({ file, line, column: 'value' }, values.value);
        filled[array] += 1;
      }
      if (filled.weights !== parameters || filled.state !== stateFloats)
        throw fileInvalid(
          { file },
          `${parameters} weights and ${stateFloats} of state`,
          JSON.stringify(filled),
        );
      return arrays;
    },
  };
}

async function* csvRows(
  file: string,
  { name, rows, dim, stateFloats }: TableNotes,
): AsyncGenerator<TableRows> {
  let found = 0;
  for await (const records of (await openLogFile(file, { format: 'csv' })).batches()) {
    const count = records.length;
    const stretch = {
      count,
      keys: new Uint32Array(2 * count),
      weights: new Float32Array(dim * count),
      state: new Float32Array(stateFloats * count),
    };
    for (const [i, { line, values }] of records.entries()) {
      const key = keyFrom(String(values.key ?? ''));
      if (key === null)
        throw fileInvalid({ file, line, column: 'key' }, 'a uint64', JSON.stringify(values.key));
      stretch.keys.set(key, 2 * i);
      for (let d = 0; d < dim; d += 1)
        stretch.weights[i * dim + d] = floatFrom({ file, line, column: `w${d}` }, values[`w${d}`]);
      for (let d = 0; d < stateFloats; d += 1)
        stretch.state[i * stateFloats + d] = floatFrom({ file, line, column: `s${d}` }, values[`s${d}`]);
    }
    found += count;
    yield stretch;
  }
  if (found !== rows) throw fileInvalid({ file }, `${rows} rows of table "${name}"`, `${found}`);
}

/** A finite float. @throws MILL_FILE_INVALID */
export function floatFrom(
  place: { readonly file: string; readonly line: number; readonly column: string },
  text: unknown,
): number {
  const value = text === null || text === undefined || text === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(Math.fround(value)))
    throw fileInvalid(place, 'a finite float', JSON.stringify(text ?? null));
  return value;
}
