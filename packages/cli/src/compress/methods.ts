/** What a model can be made smaller by. */
import type { FloatFormat, PackedFormat } from '@millrace/core';

export type RowsKept = 'float32' | PackedFormat;
/** Which net scores: the one that learned, that with its smallest weights at 0, that with fewer units, or a student. */
export type NetKept = 'whole' | 'sparse' | 'narrow' | 'student';

export interface Method {
  readonly rows: RowsKept;
  readonly net: NetKept;
  /** How the net's weights are stored; they are unpacked when they are loaded. */
  readonly dense: FloatFormat;
}

const whole: Method = { rows: 'float32', net: 'whole', dense: 'float32' };

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
  'distill-int8': { rows: 'int8', net: 'student', dense: 'int8' },
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof methods;
export const methodNames = Object.keys(methods) as readonly MethodName[];

/** True when a method changes something of a net with so many parameters and hidden layers. */
export function applies(
  name: MethodName,
  net: { readonly parameters: number; readonly hidden: number },
): boolean {
  const { dense, net: kept } = methods[name];
  if (kept !== 'whole') return net.hidden > 0;
  return dense === 'float32' || net.parameters > 0;
}
