/**
 * The cached rows of one model, kept fresh: says to shards that it wants to be told of changes, takes what they tell, and the
 * heads that the updater tells.
 */
import { fingerprintOf, lookupRows, type TableLayout, tableLayouts } from '@millrace/core';
import {
  decodeHeads,
  decodeRowUpdate,
  headsSubject,
  isMillraceError,
  type ModelFile,
  modelNameFrom,
  type PartitionUpdate,
  partitionsDefault,
  type RowUpdateSection,
  rowsSubject,
  rowsWantedEveryMs,
  rowsWantedSubject,
} from '@millrace/protocol';
import type { Bus, Clock, Logger } from '@millrace/runtime';
import {
  type CachedPartitions,
  createCachedPartitions,
  dropPartition,
  takeHeads,
  takeNews,
} from './cached-partitions.ts';
import { type CachedTable, type CopyFormat, createCachedTable, renewCopy } from './cached-table.ts';

export interface CachedModel {
  readonly partitions: CachedPartitions;
  /** By place in the model file. */
  readonly tables: readonly CachedTable[];
  tableOf(layout: TableLayout): CachedTable;
  /** Copies that notices have renewed or let go. */
  readonly renewed: number;
  close(): Promise<void>;
}

export interface CachedModelOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: ModelFile;
  /** Of each table. */
  readonly rowsMax: number;
  /** How they are kept. */
  readonly format: CopyFormat;
}

const nothing = new Uint8Array(0);
let found = new Int32Array(1_024);

export function openCachedModel({
  bus,
  clock,
  logger,
  file,
  rowsMax,
  format,
}: CachedModelOptions): CachedModel {
  const name = modelNameFrom(file.name);
  const fingerprint = fingerprintOf(file);
  const partitions = createCachedPartitions(file.partitions ?? partitionsDefault);
  const tables = tableLayouts(file).map((layout) => createCachedTable(layout, rowsMax, format));
  const byId = new Map(tables.map((table) => [table.rows.layout.tableId, table]));
  let renewed = 0;

  const takeUpdate = (update: PartitionUpdate) => {
    const { partition, previous, sequence, whole, sections } = update;
    if (partition >= partitions.told.length || takeNews(partitions, partition, previous, sequence) !== 'next')
      return;
    if (whole) dropPartition(partitions, partition, sequence);
    for (const section of sections)
      renewed += renewSection(tables, section, partitions.generations[partition], sequence);
  };
  const takeNotice = (payload: Uint8Array) => {
    try {
      const update = decodeRowUpdate(payload);
      if (update.model !== file.name || update.fingerprint !== fingerprint) return;
      for (const part of update.partitions) takeUpdate(part);
    } catch (error) {
      // What it would have told is missing then, and the next notice shows the gap.
      if (!isMillraceError(error)) throw error;
      logger.warn(
        { model: file.name, code: error.code, reason: error.message },
        'notice of rows passed over',
      );
    }
  };

  const readers = [
    bus.onNotice(rowsSubject(name), takeNotice),
    bus.onNotice(headsSubject(name), (payload) =>
      takeHeads(partitions, decodeHeads(payload).partitions, clock.monotonicMs()),
    ),
  ];
  let timer = { cancel() {} };
  const want = () => {
    bus.notify(rowsWantedSubject(name), nothing);
    timer = clock.setTimer(rowsWantedEveryMs, want);
  };
  want();

  return {
    partitions,
    tables,
    tableOf: ({ tableId }) => byId.get(tableId) as CachedTable,
    get renewed() {
      return renewed;
    },
    async close() {
      timer.cancel();
      for (const reader of readers) await reader.close();
    },
  };
}

/** Renews the copies of a section's keys that are there and of this generation; returns how many. */
function renewSection(
  tables: readonly CachedTable[],
  { table, dim, rows, forgotten, keys, weights }: RowUpdateSection,
  generation: number,
  sequence: number,
): number {
  const cached = tables[table];
  // One fingerprint, one form: another one would be a defect of a shard.
  if (cached === undefined || cached.dim !== dim) return 0;
  const count = rows + forgotten;
  if (found.length < count) found = new Int32Array(2 * count);
  lookupRows(cached.rows, keys, count, found);
  let renewed = 0;
  for (let i = 0; i < count; i += 1) {
    const told = i < rows ? weights : null;
    if (renewCopy(cached, found[i], generation, told, i * dim, sequence)) renewed += 1;
  }
  return renewed;
}
