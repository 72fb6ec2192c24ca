/**
 * What examples say of one field: how many have a value, how many of its values are new, and how its values are spread
 * over 64 cells: hashes of texts, signs and magnitudes of numbers. No value is kept.
 */
import { fmix, hashName, hashText, type SeenKeys, type SlidingKind } from '@millrace/core';
import type { Features, FeatureValue, FieldSpec } from '@millrace/protocol';

export const fieldCells = 64;

export interface FieldFigures {
  examples: number;
  present: number;
  values: number;
  fresh: number;
  /** float64[65]: examples' values by cell, the last for none. */
  readonly cells: Float64Array;
}

export const fieldFiguresKind: SlidingKind<FieldFigures> = {
  create: () => ({ examples: 0, present: 0, values: 0, fresh: 0, cells: new Float64Array(fieldCells + 1) }),
  add(to, what, sign) {
    to.examples += sign * what.examples;
    to.present += sign * what.present;
    to.values += sign * what.values;
    to.fresh += sign * what.fresh;
    for (let i = 0; i < to.cells.length; i += 1) to.cells[i] += sign * what.cells[i];
  },
  clear(what) {
    what.examples = 0;
    what.present = 0;
    what.values = 0;
    what.fresh = 0;
    what.cells.fill(0);
  },
};

export interface FieldReader {
  readonly field: string;
  /** True where values are numbers: they are never new. */
  readonly numeric: boolean;
  /** Adds one example to the figures. */
  read(user: Features, context: Features, item: Features, ...into: readonly FieldFigures[]): void;
}

const words = new Uint32Array(2);

/** @param seen  shared by all fields of a model. */
export function createFieldReader(spec: FieldSpec, seen: SeenKeys): FieldReader {
  const { name, scope = 'context' } = spec;
  const numeric = spec.type === 'dense';
  const separator = spec.type === 'multi' || spec.type === 'sequence' ? (spec.separator ?? '|') : null;
  const seed = hashName(name);
  const addValue = (value: string, into: readonly FieldFigures[]) => {
    hashText(value, seed, fmix(seed), words, 0);
    const isNew = seen.add(words[0], words[1]);
    for (const figures of into) {
      figures.values += 1;
      if (isNew) figures.fresh += 1;
      figures.cells[words[0] & (fieldCells - 1)] += 1;
    }
  };
  const addAll = (value: FeatureValue, into: readonly FieldFigures[]) => {
    if (typeof value === 'number' && numeric) {
      for (const figures of into) figures.cells[cellOfNumber(value)] += 1;
    } else if (typeof value === 'string' && separator !== null) {
      for (const part of value.split(separator)) if (part !== '') addValue(part, into);
    } else if (Array.isArray(value)) {
      for (const part of value) addValue(String(part), into);
    } else addValue(String(value), into);
  };
  return {
    field: name,
    numeric,
    read(user, context, item, ...into) {
      const features = scope === 'user' ? user : scope === 'item' ? item : context;
      const value = Object.hasOwn(features, name) ? features[name] : null;
      const isAbsent = value === null || value === undefined || value === '';
      for (const figures of into) {
        figures.examples += 1;
        if (isAbsent) figures.cells[fieldCells] += 1;
        else figures.present += 1;
      }
      if (!isAbsent) addAll(value, into);
    },
  };
}

/** 0 in the middle; each side by powers of two from 2^−15 to 2^15. */
function cellOfNumber(value: number): number {
  const middle = fieldCells / 2;
  if (value === 0 || !Number.isFinite(value)) return middle;
  const magnitude = Math.min(31, Math.max(1, Math.floor(Math.log2(Math.abs(value))) + 16));
  return value > 0 ? middle + magnitude : middle - magnitude;
}
