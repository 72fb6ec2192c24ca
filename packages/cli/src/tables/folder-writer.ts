/**
 * Writes a folder of tables. Rows come partition by partition, so how many there are is known only at the end: arrays go to
 * files of their own first, and get their headers when the folder is finished.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { bytesOf, type ModelFile } from '@millrace/protocol';
import { joinFiles } from './array-file.ts';
import { floatText, keyText } from './float-text.ts';
import { npyHeader } from './npy.ts';
import { tensorHeader } from './safetensors.ts';
import {
  denseCsvName,
  type FolderNotes,
  modelFileName,
  notesFileName,
  type TableFormat,
  tensorsFileName,
} from './table-folder.ts';

/** Rows of one table, in one order. */
export interface TableRows {
  readonly count: number;
  /** uint32[count, 2] */
  readonly keys: Uint32Array;
  /** float32[count, dim] */
  readonly weights: Float32Array;
  /** float32[count, stateFloats], empty where none is wanted. */
  readonly state: Float32Array;
}

export interface TableForm {
  readonly name: string;
  readonly dim: number;
  readonly stateFloats: number;
}

export interface DenseArrays {
  readonly weights: Float32Array;
  /** Empty where none is wanted. */
  readonly state: Float32Array;
}

export interface FolderWriter {
  /** @param nameOf value of a row's key, for CSV; null where it is not known. */
  add(table: number, rows: TableRows, nameOf: (low: number, high: number) => string | null): Promise<void>;
  /** Heads the arrays, writes notes and model file: the folder is whole after that. */
  finish(dense: DenseArrays, moment: Pick<FolderNotes, 'sequence' | 'denseVersion'>): Promise<FolderNotes>;
}

interface Part {
  readonly name: string;
  readonly type: 'U64' | 'F32';
  readonly width: number | null;
  readonly path: string;
  readonly stream: WriteStream;
  rows: number;
}

export async function openFolderWriter(
  folder: string,
  format: TableFormat,
  file: ModelFile,
  tables: readonly TableForm[],
): Promise<FolderWriter> {
  await mkdir(folder, { recursive: true });
  // Without notes a folder is not whole, so an export that breaks off leaves none.
  await rm(join(folder, notesFileName), { force: true });
  const rowCounts = tables.map(() => 0);
  const parts: Part[] = [];
  const partOf = (name: string, type: 'U64' | 'F32', width: number | null): Part => {
    const path = join(folder, `${name}.part`);
    const part = { name, type, width, path, stream: createWriteStream(path), rows: 0 };
    parts.push(part);
    return part;
  };
  const isCsv = format === 'csv';
  const arrays = isCsv ? [] : tables.map((table) => tableParts(table, partOf));
  const texts = isCsv ? tables.map((table) => csvOf(folder, table)) : [];

  return {
    async add(table, rows, nameOf) {
      rowCounts[table] += rows.count;
      if (isCsv) return writeCsv(texts[table], tables[table], rows, nameOf);
      const { keys, weights, state } = arrays[table];
      for (const [part, values] of [
        [keys, rows.keys],
        [weights, rows.weights],
        ...(state ? ([[state, rows.state]] as const) : []),
      ] as const) {
        part.rows += rows.count;
        await written(part.stream, bytesOf(values).slice());
      }
    },
    async finish(dense, moment) {
      if (!isCsv) {
        for (const [name, values] of [
          ['dense.weights', dense.weights],
          ['dense.state', dense.state],
        ] as const) {
          if (values.length === 0) continue;
          const part = partOf(name, 'F32', null);
          part.rows = values.length;
          await written(part.stream, bytesOf(values).slice());
        }
      } else if (dense.weights.length > 0) await writeFile(join(folder, denseCsvName), denseCsv(dense));
      for (const stream of [...parts.map((part) => part.stream), ...texts]) {
        stream.end();
        await finished(stream);
      }
      await headParts(folder, format, parts);
      await writeFile(join(folder, modelFileName), `${JSON.stringify(file, null, 2)}\n`);
      const notes: FolderNotes = {
        layout: 1,
        format,
        model: file.name,
        ...moment,
        tables: tables.map(({ name, dim, stateFloats }, t) => ({
          name,
          rows: rowCounts[t],
          dim,
          stateFloats,
        })),
        dense: { parameters: dense.weights.length, stateFloats: dense.state.length },
      };
      const notesPath = join(folder, notesFileName);
      await writeFile(`${notesPath}.part`, `${JSON.stringify(notes, null, 2)}\n`);
      await rename(`${notesPath}.part`, notesPath);
      return notes;
    },
  };
}

function tableParts(
  { name, dim, stateFloats }: TableForm,
  partOf: (name: string, type: 'U64' | 'F32', width: number | null) => Part,
) {
  return {
    keys: partOf(`${name}.keys`, 'U64', null),
    weights: partOf(`${name}.weights`, 'F32', dim),
    state: stateFloats > 0 ? partOf(`${name}.state`, 'F32', stateFloats) : null,
  };
}

async function headParts(folder: string, format: TableFormat, parts: readonly Part[]): Promise<void> {
  const shapeOf = ({ rows, width }: Part) => (width === null ? [rows] : [rows, width]);
  if (format === 'safetensors') {
    const header = tensorHeader(parts.map((part) => ({ ...part, shape: shapeOf(part) })));
    await joinFiles(
      join(folder, tensorsFileName),
      header,
      parts.map(({ path }) => path),
    );
  } else {
    for (const part of parts) {
      const type = part.type === 'U64' ? '<u8' : '<f4';
      await joinFiles(join(folder, `${part.name}.npy`), npyHeader(type, shapeOf(part)), [part.path]);
    }
  }
  for (const { path } of parts) await rm(path);
}

function csvOf(folder: string, { name, dim, stateFloats }: TableForm): WriteStream {
  const stream = createWriteStream(join(folder, `${name}.csv`));
  const columns = [
    'key',
    'value',
    ...Array.from({ length: dim }, (_, d) => `w${d}`),
    ...Array.from({ length: stateFloats }, (_, d) => `s${d}`),
  ];
  stream.write(`${columns.join(',')}\n`);
  return stream;
}

async function writeCsv(
  stream: WriteStream,
  { dim, stateFloats }: TableForm,
  { count, keys, weights, state }: TableRows,
  nameOf: (low: number, high: number) => string | null,
): Promise<void> {
  let text = '';
  for (let i = 0; i < count; i += 1) {
    const name = nameOf(keys[2 * i], keys[2 * i + 1]);
    text += `${keyText(keys[2 * i], keys[2 * i + 1])},${name === null ? '' : quoted(name)}`;
    for (let d = i * dim; d < (i + 1) * dim; d += 1) text += `,${floatText(weights[d])}`;
    for (let d = i * stateFloats; d < (i + 1) * stateFloats; d += 1) text += `,${floatText(state[d])}`;
    text += '\n';
    if (text.length < 65_536) continue;
    await written(stream, text);
    text = '';
  }
  await written(stream, text);
}

function denseCsv({ weights, state }: DenseArrays): string {
  const lines = (array: string, values: Float32Array) =>
    Array.from(values, (value) => `${array},${floatText(value)}\n`).join('');
  return `array,value\n${lines('weights', weights)}${lines('state', state)}`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Resolves once the stream takes more; an error of the disk rejects. */
async function written(stream: WriteStream, chunk: Uint8Array | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}
