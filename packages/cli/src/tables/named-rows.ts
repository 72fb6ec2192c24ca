/** Embeddings trained elsewhere: a CSV file of values and floats, or an npy matrix beside a column of values. */
import { open } from 'node:fs/promises';
import { MillraceError } from '@millrace/protocol';
import { fileInvalid, openLogFile } from '../log-file/index.ts';
import { readFloats } from './array-file.ts';
import { floatFrom, npyMatrix } from './folder-reader.ts';
import type { NamedRows } from './import-model.ts';

const stretchRows = 1_024;

/** A CSV file with a column `value`; every other column is a float of the row, in the header's order. */
export function csvNamedRows(path: string): NamedRows {
  return {
    path,
    rows: null,
    async *[Symbol.asyncIterator]() {
      for await (const { line, values } of await openLogFile(path, { format: 'csv' })) {
        const columns = Object.keys(values).filter((column) => column !== 'value');
        if (!('value' in values))
          throw fileInvalid({ file: path, line }, 'a column "value"', columns.join(', '));
        const floats = Float32Array.from(columns, (column) =>
          floatFrom({ file: path, line, column }, values[column]),
        );
        yield { line, value: String(values.value ?? ''), floats };
      }
    },
  };
}

/** Row i of a matrix belongs to the i-th value of a column. */
export async function npyNamedRows(
  path: string,
  values: AsyncIterable<readonly [column: string, value: string]>,
): Promise<NamedRows> {
  const matrix = await npyMatrix(path);
  if (matrix.type === 'u64') throw fileInvalid({ file: path }, 'floats', 'uint64');
  return {
    path,
    rows: matrix.rows,
    async *[Symbol.asyncIterator]() {
      const handle = await open(path);
      try {
        let row = 0;
        let from = 0;
        let floats: Float32Array = new Float32Array(0);
        for await (const [, value] of values) {
          if (row === matrix.rows)
            throw fileInvalid(
              { file: path },
              'as many rows as values',
              `${matrix.rows} rows and more values`,
            );
          if (row === from + floats.length / matrix.width || row === 0) {
            from = row;
            floats = await readFloats(handle, matrix, from, Math.min(matrix.rows, from + stretchRows));
          }
          const at = (row - from) * matrix.width;
          row += 1;
          yield { line: row, value, floats: floats.slice(at, at + matrix.width) };
        }
        if (row < matrix.rows)
          throw fileInvalid({ file: path }, `${matrix.rows} values, one a row`, `${row}`);
      } finally {
        await handle.close();
      }
    },
  };
}

/** Values of columns of logs, each given as FILE:column, one after the other. Empty cells are passed over unless `keepsEmpty`. */
export async function* columnValues(
  columns: readonly string[],
): AsyncGenerator<readonly [column: string, value: string]> {
  for (const given of columns) {
    const at = given.lastIndexOf(':');
    if (at <= 0 || at === given.length - 1)
      throw new MillraceError('MILL_BAD_REQUEST', `wanted FILE:column, found ${JSON.stringify(given)}`);
    const [path, column] = [given.slice(0, at), given.slice(at + 1)];
    for await (const { line, values } of await openLogFile(path)) {
      if (!(column in values))
        throw fileInvalid({ file: path, line }, `a column "${column}"`, Object.keys(values).join(', '));
      const value = values[column];
      for (const each of Array.isArray(value) ? value : [value])
        if (each !== null && each !== undefined && each !== '') yield [column, String(each)];
    }
  }
}
