/** The items that a policy chooses between: those of a file, one a row, or all that the log shows. */
import { createLogTally, fileInvalid, type LogRecord, openLogFile } from '../log-file/index.ts';

export interface ItemUniverse {
  /** Items to choose between: numbers 0 … size − 1. */
  readonly size: number;
  /** These and the others of the log, which the policy never shows. */
  readonly known: number;
  /** By number the record that its features are read from: its row of the file, else the first of the log. */
  readonly records: readonly LogRecord[];
  /** Number of an item of the log. @param record where it was met. */
  numberOf(item: string, record: LogRecord): number;
}

/** @param fixed  records by item that are all there is to choose from; undefined: every item met is one. */
export function createItemUniverse(fixed?: ReadonlyMap<string, LogRecord>): ItemUniverse {
  const numbers = new Map<string, number>();
  const records: LogRecord[] = [];
  const add = (item: string, record: LogRecord) => {
    numbers.set(item, records.length);
    records.push(record);
    return records.length - 1;
  };
  for (const [item, record] of fixed ?? []) add(item, record);
  return {
    get size() {
      return fixed?.size ?? records.length;
    },
    get known() {
      return records.length;
    },
    records,
    numberOf: (item, record) => numbers.get(item) ?? add(item, record),
  };
}

/** @throws MILL_FILE_INVALID naming file and line for an item without a name or named twice. */
export async function itemsFromFile(path: string, action: string): Promise<ItemUniverse> {
  const rows = new Map<string, LogRecord>();
  const log = await openLogFile(path, { tally: createLogTally(path, 'strict') });
  try {
    for await (const record of log) {
      const value = Object.hasOwn(record.values, action) ? record.values[action] : null;
      const place = { file: path, line: record.line, column: action };
      if (typeof value !== 'string' && typeof value !== 'number')
        throw fileInvalid(place, 'the name of an item', 'nothing');
      if (rows.has(String(value))) throw fileInvalid(place, 'every item once', `"${value}" a second time`);
      rows.set(String(value), record);
    }
  } finally {
    log.close();
  }
  return createItemUniverse(rows);
}
