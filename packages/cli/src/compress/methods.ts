/** What a model can be made smaller or faster by. */
import type { FloatFormat, PackedFormat } from '@millrace/core';
import { hiddenUnitsOf } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';

export type RowsKept = 'float32' | PackedFormat;
/** Which net scores: the one that learned, that with its smallest weights at 0, that with fewer units, or a student. */
export type NetKept = 'whole' | 'sparse' | 'narrow' | 'student';

export interface Method {
  readonly rows: RowsKept;
  readonly net: NetKept;
  /** How the net's weights are stored; they are unpacked when they are loaded. */
  readonly dense: FloatFormat;
  /** Whether events are scored as requests of one item, which share nothing, or as items of requests that have more. */
  readonly requests: 'single' | 'split';
}

const whole: Method = { rows: 'float32', net: 'whole', dense: 'float32', requests: 'single' };

/** What all others are compared with. */
export const uncompressed: Method = whole;

export const methods = {
  'rows-float16': { ...whole, rows: 'float16' },
  'rows-int8': { ...whole, rows: 'int8' },
  'dense-float16': { ...whole, dense: 'float16' },
  'dense-int8': { ...whole, dense: 'int8' },
  'prune-weights': { ...whole, net: 'sparse', dense: 'sparse' },
  'prune-units': { ...whole, net: 'narrow' },
  distill: { ...whole, net: 'student' },
  'distill-int8': { ...whole, rows: 'int8', net: 'student', dense: 'int8' },
  split: { ...whole, requests: 'split' },
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof methods;
export const methodNames = Object.keys(methods) as readonly MethodName[];

/** What a model has that methods can change. */
export interface Compressible {
  readonly parameters: number;
  /** Hidden layers. */
  readonly hidden: number;
  /** Some of its fields are of the request, and some of the item. */
  readonly hasBothSides: boolean;
}

/** True when a method changes something of such a model. */
export function applies(name: MethodName, { parameters, hidden, hasBothSides }: Compressible): boolean {
  const { dense, net: kept, requests } = methods[name];
  if (requests === 'split') return hasBothSides;
  if (kept !== 'whole') return hidden > 0;
  return dense === 'float32' || parameters > 0;
}

export function compressibleFrom(file: ModelFile, parameters: number): Compressible {
  const ofItems = file.fields.filter(({ scope }) => scope === 'item').length;
  const hasBothSides = ofItems > 0 && ofItems < file.fields.length;
  return { parameters, hidden: hiddenUnitsOf(file).length, hasBothSides };
}
