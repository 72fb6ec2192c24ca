/**
 * A folder that `millrace export` writes and `millrace import` reads:
 *
 *   model.json    the model file
 *   export.json   FolderNotes: what is here, and of which moment
 *   npy           <table>.keys.npy uint64[rows] · <table>.weights.npy float32[rows, dim] · <table>.state.npy, and
 *                 dense.weights.npy · dense.state.npy
 *   safetensors   rows.safetensors with arrays of the same names: <table>.keys, <table>.weights, …
 *   csv           <table>.csv with columns key, value, w0 …, s0 …, and dense.csv with array, value
 *
 * Names of tables are those of the model file, which have no characters that a file name lacks.
 */
import { MillraceError } from '@millrace/protocol';

export const tableFormats = ['npy', 'safetensors', 'csv'] as const;
export type TableFormat = (typeof tableFormats)[number];

export const modelFileName = 'model.json';
export const notesFileName = 'export.json';
export const tensorsFileName = 'rows.safetensors';
export const denseCsvName = 'dense.csv';

export interface TableNotes {
  readonly name: string;
  readonly rows: number;
  /** Floats of a row's weights: [wide 1? | embedding]. */
  readonly dim: number;
  /** Optimizer floats of a row in here; 0: none. */
  readonly stateFloats: number;
}

export interface FolderNotes {
  /** Layout of the folder. */
  readonly layout: 1;
  readonly format: TableFormat;
  readonly model: string;
  /** Highest sequence of the gradient log that any row has seen, and dense version. */
  readonly sequence: number;
  readonly denseVersion: number;
  readonly tables: readonly TableNotes[];
  /** Dense weights, and floats of their optimizer; 0 where there are none. */
  readonly dense: { readonly parameters: number; readonly stateFloats: number };
}

/** Checks notes that were read. @throws MILL_FILE_INVALID naming `path`. */
export function notesFrom(path: string, value: unknown): FolderNotes {
  const notes = value as FolderNotes;
  const isCount = (count: unknown) => Number.isSafeInteger(count) && (count as number) >= 0;
  const whole =
    typeof value === 'object' &&
    value !== null &&
    notes.layout === 1 &&
    tableFormats.includes(notes.format) &&
    typeof notes.model === 'string' &&
    Array.isArray(notes.tables) &&
    notes.tables.every((table) => isCount(table?.rows) && isCount(table.dim) && isCount(table.stateFloats)) &&
    isCount(notes.dense?.parameters) &&
    isCount(notes.dense.stateFloats);
  if (whole) return notes;
  throw new MillraceError(
    'MILL_FILE_INVALID',
    `cannot read "${path}": wanted layout, format, model, tables and dense as millrace export writes them`,
  );
}
