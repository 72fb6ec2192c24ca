/**
 * From features as callers give them to keys: each value is hashed in its field's key space, lists are pooled by weighting
 * their keys, crosses combine the keys of their fields. What depends on the request alone is hashed once a request.
 */
import { hashInteger, hashPair, hashText } from '@millrace/core';
import { type DenseTransform, type Features, type FeatureValue, MillraceError } from '@millrace/protocol';
import { boundKey } from './bounded-key.ts';
import type { DenseInput, FeaturePlan, KeyField, MomentField } from './feature-plan.ts';
import { addOccurrence, noteRequest, noteScaled, reserveLengths, type SparseBatch } from './sparse-batch.ts';

export interface FeatureEncoder {
  /** Takes the part that all items of a request share. Throws MILL_FEATURE_INVALID. */
  beginRequest(user: Features, context: Features): void;
  /**
   * Appends one example to `batch`: the shared part with one item.
   * @param place the item's place in the request, for error messages.
   * @throws MILL_FEATURE_INVALID naming item, field, wanted and found; the batch is as before then.
   */
  addItem(batch: SparseBatch, item: Features, place: number): void;
}

const noFeatures: Features = {};
/** Whose feature it is: `user`, `context`, or the place of an item, which becomes text only where a message needs it. */
type Where = string | number;
const float32Max = 3.4028234663852886e38;
const int32Max = 2 ** 31 - 1;

export function createFeatureEncoder(plan: FeaturePlan): FeatureEncoder {
  // Keys of one example by field: words[2 · (starts[f] … starts[f] + counts[f])], weight xs[f].
  let words = new Uint32Array(512);
  let used = 0;
  const starts = new Int32Array(plan.keyFields.length);
  const counts = new Int32Array(plan.keyFields.length);
  const xs = new Float64Array(plan.keyFields.length);
  const shared = plan.keyFields.flatMap((field, f) => (field.scope === 'item' ? [] : [f]));
  const perItem = plan.keyFields.flatMap((field, f) => (field.scope === 'item' ? [f] : []));
  const every = plan.keyFields.map((_, f) => f);
  /** Fields whose keys each item has for itself. */
  const unshared = every.filter((f) => !plan.keyFields[f].shared);
  let sharedUsed = 0;
  /** No item of the request is in a batch yet. */
  let isNew = true;
  let user = noFeatures;
  let context = noFeatures;
  const crossWords = new Uint32Array(2);

  const reserve = (more: number) => {
    if (2 * (used + more) <= words.length) return;
    const larger = new Uint32Array(2 * Math.max(words.length, 2 * (used + more)));
    larger.set(words);
    words = larger;
  };
  const addText = (field: KeyField, text: string, from = 0, to = text.length) => {
    reserve(1);
    hashText(text, field.seedLow, field.seedHigh, words, 2 * used, from, to);
    if (field.buckets > 0) boundKey(words, 2 * used, field.buckets, field);
    used += 1;
  };
  /** As addText of the number's text. */
  const addNumber = (field: KeyField, value: number, where: Where) => {
    if (!(value >= 0 && value <= int32Max && Math.floor(value) === value)) {
      addText(field, textOf(value, where, field.name));
      return;
    }
    reserve(1);
    hashInteger(value, field.seedLow, field.seedHigh, words, 2 * used);
    if (field.buckets > 0) boundKey(words, 2 * used, field.buckets, field);
    used += 1;
  };

  const encodeField = (f: number, features: Features, where: Where) => {
    const field = plan.keyFields[f];
    starts[f] = used;
    counts[f] = 0;
    xs[f] = 1;
    const value = ownValue(features, field.name);
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
      hashPair(low, high, words[2 * i], words[2 * i + 1], crossWords, 0);
      addCross(batch, cross, depth + 1, crossWords[0], crossWords[1]);
    }
  };

  return {
    beginRequest(newUser, newContext) {
      user = newUser;
      context = newContext;
      isNew = true;
      used = 0;
      for (const f of shared) {
        const isUser = plan.keyFields[f].scope === 'user';
        encodeField(f, isUser ? user : context, isUser ? 'user' : 'context');
      }
      sharedUsed = used;
    },
    addItem(batch, item, place) {
      used = sharedUsed;
      for (const f of perItem) encodeField(f, item, place);
      if (plan.denseInputs.length > 0) writeDense(batch, plan.denseInputs, { user, context, item }, place);
      if (plan.moments.length > 0) writeRaw(batch, plan.moments, { user, context, item }, place);
      if (plan.attended > 0) reserveLengths(batch, plan.attended);
      const isFirst = isNew || batch.rows === 0;
      isNew = false;
      if (isFirst) noteRequest(batch);
      for (const f of isFirst ? every : unshared) {
        const field = plan.keyFields[f];
        const shared = field.shared ? 1 : 0;
        const table = batch.tables[field.table];
        let { slot } = field;
        for (let i = starts[f]; i < starts[f] + counts[f]; i += 1) {
          addOccurrence(batch, table, words[2 * i], words[2 * i + 1], slot, xs[f], shared);
          slot += field.dim;
        }
        if (field.attended >= 0) batch.lengths[batch.rows * plan.attended + field.attended] = counts[f];
        if (field.moments >= 0 && counts[f] > 0) noteScaled(batch, field.table, field.moments);
      }
      for (const cross of plan.crosses)
        if (isFirst || !cross.shared) addCross(batch, cross, 0, cross.seedLow, cross.seedHigh);
      const { bias } = plan;
      if (bias && isFirst) addOccurrence(batch, batch.tables[bias.table], bias.low, bias.high, -1, 1, 1);
      batch.rows += 1;
    },
  };
}

/** What each of so many values of a list counts. */
function weightOf(pooling: KeyField['pooling'], count: number): number {
  if (pooling === 'sum' || count === 0) return 1;
  return pooling === 'mean' ? 1 / count : 1 / Math.sqrt(count);
}

interface Scopes {
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
}

function writeDense(batch: SparseBatch, inputs: readonly DenseInput[], scopes: Scopes, where: Where): void {
  const at = batch.rows * inputs.length;
  if (at + inputs.length > batch.dense.length) {
    const larger = new Float32Array(2 * (at + inputs.length));
    larger.set(batch.dense);
    batch.dense = larger;
  }
  for (let i = 0; i < inputs.length; i += 1) {
    const { name, scope, transform } = inputs[i];
    const value = ownValue(scopes[scope], name);
    const missing = value === undefined || value === null || value === '';
    const place = scope === 'item' ? where : scope;
    batch.dense[at + i] = missing ? 0 : inputOf(value, transform, place, name);
  }
}

const anyNumber: DenseTransform = { type: 'none' };

/** Keeps the values of fields with running moments as they came, until a dense version says what they are. */
function writeRaw(batch: SparseBatch, fields: readonly MomentField[], scopes: Scopes, where: Where): void {
  const at = batch.rows * fields.length;
  if (at + fields.length > batch.raw.length) {
    const larger = new Float32Array(2 * (at + fields.length));
    larger.set(batch.raw);
    batch.raw = larger;
  }
  for (let i = 0; i < fields.length; i += 1) {
    const { name, scope } = fields[i];
    const value = ownValue(scopes[scope], name);
    const missing = value === undefined || value === null || value === '';
    const place = scope === 'item' ? where : scope;
    batch.raw[at + i] = missing ? Number.NaN : inputOf(value, anyNumber, place, name);
  }
}

/** What every object inherits (a field named "constructor") is a function or an object, so plain values need no second look. */
function ownValue(features: Features, name: string): FeatureValue | undefined {
  const value = features[name];
  if (typeof value !== 'object' && typeof value !== 'function') return value;
  return Object.hasOwn(features, name) ? value : undefined;
}

/** A number as the net reads it. Float32 must hold it: an infinite input makes NaN of the score, and of what is learned from it. */
function inputOf(value: FeatureValue, transform: DenseTransform, where: Where, name: string): number {
  const x = transformed(numberOf(value, where, name), transform);
  if (!(Math.abs(x) <= float32Max))
    throw wrong(where, name, 'a number within ±3.4e38 once transformed', value);
  return x;
}

function transformed(x: number, transform: DenseTransform): number {
  switch (transform.type) {
    case 'none':
    case 'bucket':
      return x;
    case 'log1p':
      return Math.sign(x) * Math.log1p(Math.abs(x));
    case 'standardize':
      return (x - (transform.mean ?? 0)) / (transform.deviation ?? 1);
  }
}

/** How many boundaries are not above x. */
function bucketOf(x: number, transform: DenseTransform): number {
  if (transform.type !== 'bucket') return 0;
  let bucket = 0;
  while (bucket < transform.boundaries.length && transform.boundaries[bucket] <= x) bucket += 1;
  return bucket;
}

function numberOf(value: FeatureValue, where: Where, name: string): number {
  const number = typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : Number.NaN;
  if (!Number.isFinite(number)) throw wrong(where, name, 'a finite number', value);
  return number;
}

function textOf(value: number | boolean, where: Where, name: string): string {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw wrong(where, name, 'text or a finite number', value);
  return String(value);
}

/** Pieces that `split` would cut a text into. */
function piecesIn(text: string, separator: string): number {
  let pieces = 1;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + separator.length))
    pieces += 1;
  return pieces;
}

function listOf(
  value: FeatureValue,
  separator: string,
  where: Where,
  name: string,
): readonly (string | number)[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return value as readonly (string | number)[];
  throw wrong(where, name, `a list, or text with "${separator}" between`, value);
}

function wrong(where: Where, name: string, wanted: string, found: unknown): MillraceError {
  const kind = Array.isArray(found) ? 'a list' : found === null ? 'null' : typeof found;
  const shown = typeof found === 'number' ? String(found) : kind;
  const path = `${typeof where === 'number' ? `items[${where}]` : where}.${name}`;
  return new MillraceError('MILL_FEATURE_INVALID', `cannot use ${path}: it must be ${wanted}, got ${shown}`, {
    details: { path },
  });
}
