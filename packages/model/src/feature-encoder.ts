/**
 * From features as callers give them to keys: each value is hashed in its field's key space, lists are pooled by weighting
 * their keys, crosses combine the keys of their fields. What depends on the request alone is hashed once a request.
 */
import { hashBytes, hashInteger, hashPair, hashText } from '@millrace/core';
import type { Features, FeatureValue } from '@millrace/protocol';
import { boundKey } from './bounded-key.ts';
import { type ReadValue, writeDense, writeRaw } from './example-numbers.ts';
import type { FeaturePlan, KeyField } from './feature-plan.ts';
import {
  bucketOf,
  inputOf,
  listOf,
  numberOf,
  ownValue,
  piecesIn,
  textOf,
  type Where,
  wrong,
} from './feature-values.ts';
import { fieldRuns } from './field-runs.ts';
import {
  columnIn,
  entryWords,
  ItemColumns,
  type Items,
  isHashedAsIs,
  kindIn,
  lengthIn,
} from './item-columns.ts';
import { createKnownItems, passedOver, unknown } from './known-items.ts';
import { createPlainItems } from './plain-items.ts';
import {
  addOccurrence,
  addOccurrences,
  type FieldKeys,
  noteRequest,
  noteScaled,
  reserve,
  reserveLengths,
  type SparseBatch,
} from './sparse-batch.ts';

export interface FeatureEncoder {
  /** Makes room for what so many items will have at least, at once: a batch that grows with each request looks all its keys up anew. */
  expect(batch: SparseBatch, items: number): void;
  /** Takes the part that all items of a request share. Throws MILL_FEATURE_INVALID. */
  beginRequest(user: Features, context: Features): void;
  /**
   * Appends one example to `batch`: the shared part with one item.
   * @param place the item's place in the request, for error messages.
   * @throws MILL_FEATURE_INVALID naming item, field, wanted and found; the batch is as before then.
   */
  addItem(batch: SparseBatch, item: Features, place: number): void;
  /** Appends all items of a request; as addItem would one after the other. @throws as addItem; the items before are in the batch then. */
  addItems(batch: SparseBatch, items: Items): void;
  /** Items so far whose keys were known from a request before (known-items.ts). */
  readonly knownItems: number;
}

const noFeatures: Features = {};
const int32Max = 2 ** 31 - 1;

export function createFeatureEncoder(plan: FeaturePlan): FeatureEncoder {
  const fields = plan.keyFields;
  const keys: FieldKeys = {
    words: new Uint32Array(512),
    starts: new Int32Array(fields.length),
    counts: new Int32Array(fields.length),
    xs: new Float32Array(fields.length),
    slots: Int32Array.from(fields, ({ slot }) => slot),
    steps: Int32Array.from(fields, ({ dim }) => dim),
    shared: Uint8Array.from(fields, ({ shared }) => (shared ? 1 : 0)),
  };
  const { starts, counts, xs } = keys;
  /** Keys in `words`, and how many there is room for. */
  let used = 0;
  let room = keys.words.length / 2;
  const placesOf = (isWanted: (field: KeyField) => boolean) =>
    Int32Array.from(fields.flatMap((field, f) => (isWanted(field) ? [f] : [])));
  const shared = placesOf(({ scope }) => scope !== 'item');
  const perItem = placesOf(({ scope }) => scope === 'item');
  const own = perItem.length;
  const seedLows = Int32Array.from(fields, ({ seedLow }) => seedLow);
  const seedHighs = Int32Array.from(fields, ({ seedHigh }) => seedHigh);
  const buckets = Int32Array.from(fields, ({ buckets }) => buckets);
  const isSingle = Uint8Array.from(fields, ({ kind }) => (kind === 'single' ? 1 : 0));
  const attended = placesOf(({ attended }) => attended >= 0);
  const every = fieldRuns(fields, () => true);
  /** Fields whose keys each item has for itself. */
  const unshared = fieldRuns(fields, ({ shared }) => !shared);
  let sharedUsed = 0;
  /** No item of the request is in a batch yet. */
  let isNew = true;
  let user = noFeatures;
  let context = noFeatures;
  /** The item in work, or else where it is. */
  let item = noFeatures;
  let columns: ItemColumns | null = null;
  /** By column the item's entry, −1: none. */
  let entryOf = new Int32Array(64);
  /** By field its column, −1: no item has it; where they were looked for. */
  const columnOf = new Int32Array(plan.keyFields.length);
  let hasColumns = false;
  const crossWords = new Uint32Array(2);
  const known = createKnownItems(perItem, keys);
  /** By table its fields among the items' own, by their places in `perItem`. */
  const ownOf = plan.tables.map((_, table) =>
    Int32Array.from([...perItem.keys()].filter((n) => fields[perItem[n]].table === table)),
  );
  /** An item that is not the first of its request adds its own keys to the batch and nothing else. */
  const addsKeysAlone =
    plan.denseInputs.length + plan.moments.length + plan.attended === 0 &&
    plan.crosses.every(({ shared }) => shared) &&
    fields.every(({ shared, scope }) => shared || scope === 'item');
  const plain =
    addsKeysAlone && perItem.every((f) => isSingle[f] === 1)
      ? createPlainItems(Array.from(perItem, (f) => fields[f]))
      : null;
  /** Something else than keys is read of an item. */
  const readsValues = [...plan.denseInputs, ...plan.moments].some(({ scope }) => scope === 'item');

  const reserveKeys = (more: number) => {
    if (used + more <= room) return;
    room = 2 * (used + more);
    const larger = new Uint32Array(2 * room);
    larger.set(keys.words);
    keys.words = larger;
  };
  const addText = (field: KeyField, text: string, from = 0, to = text.length) => {
    reserveKeys(1);
    hashText(text, field.seedLow, field.seedHigh, keys.words, 2 * used, from, to);
    if (field.buckets > 0) boundKey(keys.words, 2 * used, field.buckets, field);
    used += 1;
  };
  /** As addText of the number's text. */
  const addNumber = (field: KeyField, value: number, where: Where) => {
    if (!(value >= 0 && value <= int32Max && Math.floor(value) === value)) {
      addText(field, textOf(value, where, field.name));
      return;
    }
    reserveKeys(1);
    hashInteger(value, field.seedLow, field.seedHigh, keys.words, 2 * used);
    if (field.buckets > 0) boundKey(keys.words, 2 * used, field.buckets, field);
    used += 1;
  };

  const encodeField = (f: number, value: FeatureValue | undefined, where: Where) => {
    const field = plan.keyFields[f];
    starts[f] = used;
    counts[f] = 0;
    xs[f] = 1;
    if (value === undefined || value === null || value === '') return;
    switch (field.kind) {
      case 'single':
        if (typeof value === 'number') addNumber(field, value, where);
        else if (typeof value === 'object') throw wrong(where, field.name, 'one value', value);
        else addText(field, typeof value === 'string' ? value : textOf(value, where, field.name));
        break;
      case 'list':
        encodeList(field, value, where);
        xs[f] = weightOf(field.pooling, used - starts[f]);
        break;
      case 'bucket': {
        const number = numberOf(value, where, field.name);
        addText(field, String(bucketOf(number, field.transform)));
        break;
      }
      case 'weighted':
        xs[f] = inputOf(value, field.transform, where, field.name);
        addText(field, '');
        break;
    }
    counts[f] = used - starts[f];
  };

  const findColumns = ({ names }: ItemColumns) => {
    for (const f of perItem) columnOf[f] = names.indexOf(fields[f].name);
    if (entryOf.length < names.length) entryOf = new Int32Array(2 * names.length);
    hasColumns = true;
  };
  const findEntries = (items: ItemColumns, i: number, columns: number) => {
    const { entries, starts: firstOf } = items;
    if (!hasColumns) findColumns(items);
    for (let column = 0; column < columns; column += 1) entryOf[column] = -1;
    const end = entryWords * firstOf[i + 1];
    for (let entry = entryWords * firstOf[i]; entry < end; entry += entryWords)
      entryOf[columnIn(entries[entry + 1])] = entry;
  };
  /** As encodeColumns; of an item that is known by what is known. */
  const encodeKnown = (found: ItemColumns, i: number, columns: number) => {
    const entry = known.entries[i];
    if (entry < 0 || readsValues) findEntries(found, i, columns);
    if (entry < 0) {
      encodeColumns(found, i);
      if (entry === unknown) known.keep(i, keys);
      return;
    }
    const count = known.keysOf(entry);
    reserveKeys(count);
    known.recall(entry, keys, used);
    used += count;
  };
  /** As encodeField of each of the item's values. */
  const encodeColumns = (found: ItemColumns, i: number) => {
    const { entries, text } = found;
    reserveKeys(own);
    let { words } = keys;
    for (let n = 0; n < own; n += 1) {
      const f = perItem[n];
      const entry = columnOf[f] < 0 ? -1 : entryOf[columnOf[f]];
      if (entry < 0) {
        encodeField(f, undefined, i);
        continue;
      }
      const told = entries[entry + 1];
      if (isSingle[f] === 0 || !isHashedAsIs(kindIn(told))) {
        encodeField(f, found.value(entry), i);
        reserveKeys(own);
        words = keys.words;
        continue;
      }
      const from = entries[entry];
      const length = lengthIn(told);
      starts[f] = used;
      counts[f] = length === 0 ? 0 : 1;
      xs[f] = 1;
      if (length === 0) continue;
      hashBytes(text, from, from + length, seedLows[f], seedHighs[f], words, 2 * used);
      if (buckets[f] > 0) boundKey(words, 2 * used, buckets[f], fields[f]);
      used += 1;
    }
  };
  const readValue: ReadValue = (scope, name) => {
    if (scope !== 'item') return ownValue(scope === 'user' ? user : context, name);
    if (columns === null) return ownValue(item, name);
    const column = columns.names.indexOf(name);
    return column < 0 || entryOf[column] < 0 ? undefined : columns.value(entryOf[column]);
  };

  /** The values of a list in one text, hashed where they stand; as encodeList would have them once they were cut apart. */
  const encodeText = (field: KeyField, text: string, where: Where) => {
    const { separator } = field;
    let spare = piecesIn(text, separator) - field.lengthMax;
    if (spare > 0 && !field.keepsNewest)
      throw wrong(where, field.name, `at most ${field.lengthMax} values`, spare + field.lengthMax);
    for (let start = 0; start <= text.length; spare -= 1) {
      const found = text.indexOf(separator, start);
      const end = found < 0 ? text.length : found;
      if (spare <= 0 && end > start) addText(field, text, start, end);
      start = end + separator.length;
    }
  };

  const encodeList = (field: KeyField, value: FeatureValue, where: Where) => {
    if (typeof value === 'string') {
      encodeText(field, value, where);
      return;
    }
    const values = listOf(value, field.separator, where, field.name);
    let from = 0;
    if (values.length > field.lengthMax) {
      if (!field.keepsNewest)
        throw wrong(where, field.name, `at most ${field.lengthMax} values`, values.length);
      from = values.length - field.lengthMax;
    }
    for (let i = from; i < values.length; i += 1) {
      const entry = values[i];
      if (entry === '') continue;
      if (typeof entry === 'string') addText(field, entry);
      else if (typeof entry === 'number') addNumber(field, entry, where);
      else throw wrong(where, field.name, 'text or numbers throughout', entry);
    }
  };

  const addCross = (
    batch: SparseBatch,
    cross: FeaturePlan['crosses'][number],
    depth: number,
    low: number,
    high: number,
  ) => {
    if (depth === cross.fields.length) {
      crossWords[0] = low;
      crossWords[1] = high;
      if (cross.buckets > 0) boundKey(crossWords, 0, cross.buckets, cross);
      const { table, slot, shared } = cross;
      addOccurrence(batch, batch.tables[table], crossWords[0], crossWords[1], slot, 1, shared ? 1 : 0);
      return;
    }
    const f = cross.fields[depth];
    for (let i = starts[f]; i < starts[f] + counts[f]; i += 1) {
      hashPair(low, high, keys.words[2 * i], keys.words[2 * i + 1], crossWords, 0);
      addCross(batch, cross, depth + 1, crossWords[0], crossWords[1]);
    }
  };

  /** Puts the item whose own keys were encoded into the batch, with what it shares. */
  const addExample = (batch: SparseBatch, place: number) => {
    if (plan.denseInputs.length > 0) writeDense(batch, plan.denseInputs, readValue, place);
    if (plan.moments.length > 0) writeRaw(batch, plan.moments, readValue, place);
    if (plan.attended > 0) reserveLengths(batch, plan.attended);
    const isFirst = isNew || batch.rows === 0;
    isNew = false;
    if (isFirst) noteRequest(batch);
    for (const { table, fields, moments } of isFirst ? every : unshared) {
      addOccurrences(batch, batch.tables[table], fields, keys);
      if (moments >= 0 && counts[fields[0]] > 0) noteScaled(batch, table, moments);
    }
    for (const f of attended)
      batch.lengths[batch.rows * plan.attended + plan.keyFields[f].attended] = counts[f];
    for (const cross of plan.crosses)
      if (isFirst || !cross.shared) addCross(batch, cross, 0, cross.seedLow, cross.seedHigh);
    const { bias } = plan;
    if (bias && isFirst) addOccurrence(batch, batch.tables[bias.table], bias.low, bias.high, -1, 1, 1);
    batch.rows += 1;
  };

  const addItem = (batch: SparseBatch, newItem: Features, place: number) => {
    item = newItem;
    columns = null;
    used = sharedUsed;
    for (const f of perItem) encodeField(f, ownValue(item, plan.keyFields[f].name), place);
    addExample(batch, place);
  };

  return {
    expect(batch, items) {
      for (let t = 0; t < ownOf.length; t += 1) reserve(batch.tables[t], items * ownOf[t].length);
    },
    beginRequest(newUser, newContext) {
      user = newUser;
      context = newContext;
      isNew = true;
      used = 0;
      for (const f of shared) {
        const { scope, name } = plan.keyFields[f];
        const where = scope === 'user' ? 'user' : 'context';
        encodeField(f, ownValue(scope === 'user' ? user : context, name), where);
      }
      sharedUsed = used;
    },
    addItem,
    get knownItems() {
      return known.found;
    },
    addItems(batch, items) {
      if (!(items instanceof ItemColumns)) {
        for (let i = 0; i < items.length; i += 1) addItem(batch, items[i], i);
        return;
      }
      columns = items;
      hasColumns = false;
      if (plan.keepsItems) known.find(items);
      else known.passOver(items);
      const { entries } = known;
      const { length } = items;
      plain?.begin(items);
      let i = 0;
      while (i < length) {
        const isAlone = addsKeysAlone && !isNew && batch.rows > 0;
        if (isAlone && entries[i] >= 0) {
          const from = i;
          while (i < length && entries[i] >= 0) i += 1;
          for (let t = 0; t < ownOf.length; t += 1) known.add(batch, batch.tables[t], ownOf[t], from, i);
          batch.rows += i - from;
          continue;
        }
        if (isAlone && plain !== null && entries[i] === passedOver) {
          let to = i + 1;
          while (to < length && entries[to] === passedOver) to += 1;
          const count = plain.hash(i, to) - i;
          if (count > 0) {
            for (let t = 0; t < ownOf.length; t += 1) plain.add(batch, batch.tables[t], ownOf[t], count);
            batch.rows += count;
            i += count;
            continue;
          }
        }
        used = sharedUsed;
        encodeKnown(items, i, items.names.length);
        addExample(batch, i);
        i += 1;
      }
    },
  };
}

/** What each of so many values of a list counts. */
function weightOf(pooling: KeyField['pooling'], count: number): number {
  if (pooling === 'sum' || count === 0) return 1;
  return pooling === 'mean' ? 1 / count : 1 / Math.sqrt(count);
}
