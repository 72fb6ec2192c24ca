/**
 * Publishes rows as put blocks, as a producer of its own: rows are gathered by partition until a block is worth sending, and
 * each block continues the producer's chain in its partition.
 */
import { partitionOf, type TableLayout } from '@millrace/core';
import {
  denseSubject,
  encodeDensePutBlock,
  encodePutBlock,
  gradientsSubject,
  MillraceError,
  type ModelFile,
  modelNameFrom,
  type PutSection,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, Clock } from '@millrace/runtime';
import { keyText } from './float-text.ts';
import type { DenseArrays, TableRows } from './folder-writer.ts';

export interface PutPublisher {
  /** @throws MILL_FILE_INVALID when a float is not finite, MILL_LOG_UNAVAILABLE. */
  add(table: number, rows: TableRows): Promise<void>;
  putDense(arrays: DenseArrays): Promise<void>;
  /** Sends what is gathered; newest acknowledged sequence by partition, 0 where nothing was put. */
  flush(): Promise<readonly number[]>;
  readonly rows: number;
}

export interface PutPublisherOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly file: ModelFile;
  readonly fingerprint: number;
  readonly layouts: readonly TableLayout[];
  /** Name of the chain; another one for each import. */
  readonly producer: string;
}

/** A block of this size costs its envelope nothing and applies within some milliseconds. */
const blockBytesWanted = 256 * 1024;
/** Of all partitions together. */
const gatheredBytesMax = 64 * 1024 * 1024;

/** Rows gathered for one table of one partition. */
interface Gathered {
  readonly layout: TableLayout;
  readonly stateFloats: number;
  count: number;
  readonly room: number;
  readonly keys: Uint32Array;
  readonly weights: Float32Array;
  readonly state: Float32Array;
}

export function createPutPublisher(options: PutPublisherOptions): PutPublisher {
  const { bus, clock, file, fingerprint, layouts, producer } = options;
  const partitions = file.partitions ?? partitionsDefault;
  const blockBytes = Math.min(blockBytesWanted, gatheredBytesMax / (partitions * layouts.length));
  const gathered: (Gathered | null)[][] = Array.from({ length: partitions }, () => layouts.map(() => null));
  const previous = new Array<number>(partitions).fill(0);
  const heads = new Array<number>(partitions).fill(0);
  let sequence = 0;
  let rowsAdded = 0;
  const model = modelNameFrom(file.name);

  const send = async (partition: number, tables: readonly number[]) => {
    const sections = tables.flatMap((table) => sectionsOf(gathered[partition][table], table));
    if (sections.length === 0) return;
    sequence += 1;
    const mark = { producer, sequence, previous: previous[partition] };
    const bytes = encodePutBlock({
      ...mark,
      model: file.name,
      fingerprint,
      partition,
      timeMs: clock.now(),
      sections,
    });
    const subject = gradientsSubject(model, partition);
    heads[partition] = await bus.append('gradients', subject, bytes, {
      messageId: `${producer}-${sequence}`,
    });
    previous[partition] = sequence;
    for (const table of tables) gathered[partition][table] = null;
  };

  return {
    async add(table, { count, keys, weights, state }) {
      const layout = layouts[table];
      const { dim } = layout;
      const stateFloats = state.length > 0 ? layout.clockAt : 0;
      for (let i = 0; i < count; i += 1) {
        const [low, high] = [keys[2 * i], keys[2 * i + 1]];
        const row = weights.subarray(i * dim, (i + 1) * dim);
        const floats = state.subarray(i * stateFloats, (i + 1) * stateFloats);
        refuseBroken(layout.name, [low, high], [row, floats]);
        const partition = partitionOf(low, high, partitions);
        let rows = gathered[partition][table];
        if (rows === null || rows.stateFloats !== stateFloats) {
          if (rows !== null) await send(partition, [table]);
          rows = emptyRows(layout, stateFloats, blockBytes);
          gathered[partition][table] = rows;
        }
        rows.keys.set([low, high], 2 * rows.count);
        rows.weights.set(row, rows.count * dim);
        rows.state.set(floats, rows.count * stateFloats);
        rows.count += 1;
        rowsAdded += 1;
        if (rows.count === rows.room) await send(partition, [table]);
      }
    },
    async putDense(arrays) {
      refuseBroken('dense', null, [arrays.weights, arrays.state]);
      const mark = { producer, sequence: 1, previous: 0, model: file.name, fingerprint };
      const bytes = encodeDensePutBlock({ ...mark, timeMs: clock.now(), ...arrays });
      await bus.append('dense', denseSubject(model), bytes, { messageId: `${producer}-dense` });
    },
    async flush() {
      const tables = layouts.map((_, table) => table);
      for (let partition = 0; partition < partitions; partition += 1) {
        // One block of all tables where that is small enough, which it nearly always is.
        for (const table of tables) await send(partition, [table]);
      }
      return heads;
    },
    get rows() {
      return rowsAdded;
    },
  };
}

function emptyRows(layout: TableLayout, stateFloats: number, blockBytes: number): Gathered {
  const room = Math.max(1, Math.floor(blockBytes / (4 * (2 + layout.dim + stateFloats))));
  return {
    layout,
    stateFloats,
    count: 0,
    room,
    keys: new Uint32Array(2 * room),
    weights: new Float32Array(layout.dim * room),
    state: new Float32Array(stateFloats * room),
  };
}

function sectionsOf(rows: Gathered | null, table: number): readonly PutSection[] {
  if (rows === null || rows.count === 0) return [];
  const { layout, stateFloats, count, keys, weights, state } = rows;
  return [{ table, dim: layout.dim, stateFloats, count, keys, weights, state }];
}

function refuseBroken(
  what: string,
  key: readonly [low: number, high: number] | null,
  arrays: readonly Float32Array[],
): void {
  if (arrays.every((floats) => floats.every(Number.isFinite))) return;
  const where = key === null ? 'the dense weights' : `table "${what}", key ${keyText(key[0], key[1])}`;
  throw new MillraceError('MILL_FILE_INVALID', `cannot import ${where}: wanted finite floats, found others`);
}
