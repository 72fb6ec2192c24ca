/**
 * Records of a log as the score requests that would have been sent for them, with what came of each. Which column feeds which
 * field is worked out once a model and header; a record then costs one pass over the model's fields.
 */
import type { FeatureValue, FieldSpec, ModelFile, ScoreRequest } from '@millrace/protocol';
import { CsvRecord, fileInvalid, type LogRecord } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import { featureFrom, labelFrom, timeMsFrom, wantedByType } from './record-values.ts';

export interface RecordRequest {
  /** Line of the file, from 1; no two records have the same. */
  readonly line: number;
  /** One candidate; each model field's column stands in user, context or the item, by the field's scope. */
  readonly request: ScoreRequest;
  readonly label: 0 | 1;
  /** Unix ms; null when the model names no timestamp column. */
  readonly timeMs: number | null;
  /** −ln of the rate at which negatives were kept; there when the model names a column of it. */
  readonly offset?: number;
}

export interface RequestReader {
  /**
   * Reads the columns that the model names; null for a record that cannot be used, which the tally has counted then. An empty
   * cell, a JSON null, or a column that this record does not name is a missing feature and is passed on as null.
   * @throws MILL_FILE_INVALID from a strict tally, and for a header without one of the columns.
   */
  read(record: LogRecord): RecordRequest | null;
  /** Columns that the model names and no record so far had. */
  unseen(): readonly string[];
}

interface Column {
  readonly name: string;
  readonly type: FieldSpec['type'];
  readonly scope: 'user' | 'item' | 'context';
  readonly separator: string;
}

export function createRequestReader(model: ModelFile, tally: LogTally): RequestReader {
  const fields: readonly Column[] = model.fields.map((field) => ({
    name: field.name,
    type: field.type,
    scope: field.scope ?? 'context',
    separator: ('separator' in field ? field.separator : undefined) ?? '|',
  }));
  // The model's columns: fields, then label, then time, then rate.
  const labelAt = fields.length;
  const timeAt = fields.length + 1;
  const names = [...fields.map(({ name }) => name), model.label];
  if (model.timestamp !== undefined) names.push(model.timestamp);
  const rateAt = names.length;
  if (model.negativeRate !== undefined) names.push(model.negativeRate);
  const read = new Set(names);
  const found: unknown[] = names.map(() => null);
  const isSeen = names.map(() => false);
  let unseenLeft = names.length;
  let header: readonly string[] | undefined;
  let cellAt: number[] = [];

  const findCells = (record: CsvRecord): void => {
    header = record.columns;
    cellAt = names.map((name) => record.columns.indexOf(name));
    const missing = cellAt.indexOf(-1);
    if (missing >= 0) throw columnMissing(record.file, record.line, names[missing], record.columns);
    unseenLeft = 0;
  };
  const look = (record: LogRecord): void => {
    if (record instanceof CsvRecord) {
      if (record.columns !== header) findCells(record);
      for (let i = 0; i < cellAt.length; i++) found[i] = record.cells[cellAt[i]];
      return;
    }
    const { values } = record;
    for (let i = 0; i < names.length; i++) {
      const isThere = Object.hasOwn(values, names[i]);
      found[i] = isThere ? values[names[i]] : null;
      if (!isThere || isSeen[i]) continue;
      isSeen[i] = true;
      unseenLeft -= 1;
    }
  };
  const noteUnread = (record: LogRecord, weighted: readonly string[]): void => {
    for (let i = 0; i < weighted.length; i += 2) {
      const [list, column] = [weighted[i], weighted[i + 1]];
      if ((list === '' || read.has(list)) && !read.has(column)) tally.noteUnread(column, record.line);
    }
  };

  return {
    read(record) {
      look(record);
      const label = labelFrom(found[labelAt]);
      if (label === undefined) {
        tally.skip('label', { line: record.line, column: model.label }, '0 or 1', found[labelAt]);
        return null;
      }
      let timeMs: number | null = null;
      if (model.timestamp !== undefined) {
        const time = timeMsFrom(found[timeAt]);
        if (time === undefined) {
          const wanted = 'Unix seconds, Unix ms or ISO 8601';
          tally.skip('timestamp', { line: record.line, column: model.timestamp }, wanted, found[timeAt]);
          return null;
        }
        timeMs = time;
      }
      const offset = model.negativeRate === undefined ? null : offsetFrom(found[rateAt]);
      if (offset === undefined) {
        const place = { line: record.line, column: model.negativeRate as string };
        tally.skip('feature', place, 'a rate above 0 and at most 1', found[rateAt]);
        return null;
      }
      const user: Record<string, FeatureValue> = {};
      const context: Record<string, FeatureValue> = {};
      const item: Record<string, FeatureValue> = {};
      for (let i = 0; i < fields.length; i++) {
        const { name, type, scope, separator } = fields[i];
        const value = featureFrom(type, separator, found[i]);
        if (value === undefined) {
          tally.skip('feature', { line: record.line, column: name }, wantedByType[type], found[i]);
          return null;
        }
        if (scope === 'user') user[name] = value;
        else if (scope === 'item') item[name] = value;
        else context[name] = value;
      }
      for (let i = 0; i < fields.length; i++) {
        if (found[i] === null || found[i] === '') tally.noteEmpty(fields[i].name);
      }
      if (record.weighted !== undefined) noteUnread(record, record.weighted);
      tally.take(record.line, timeMs);
      const request = { model: model.name, user, context, items: [item] };
      const known = { line: record.line, request, label, timeMs };
      return offset === null ? known : { ...known, offset };
    },
    unseen: () => (unseenLeft === 0 ? [] : names.filter((_, i) => !isSeen[i])),
  };
}

/** The error for a column that the model names and the log has not: a misspelt one would otherwise go unnoticed. */
export function columnMissing(
  file: string,
  line: number | undefined,
  column: string,
  there: readonly string[],
): Error {
  const place = line === undefined ? { file, column } : { file, line, column };
  return fileInvalid(place, 'that column (or null in it)', `only ${there.slice(0, 30).join(', ')}`);
}

/** −ln of a rate; undefined when it is none. */
function offsetFrom(rate: unknown): number | undefined {
  const value = typeof rate === 'string' && rate !== '' ? Number(rate) : rate;
  return typeof value === 'number' && value > 0 && value <= 1 ? -Math.log(value) : undefined;
}
