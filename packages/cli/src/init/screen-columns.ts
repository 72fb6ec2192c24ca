/**
 * How much each form of a column, alone, would have lowered the loss of the sample: each event is predicted from those before
 * it, then learned, so a form with more weights than its events can teach comes out worse by itself.
 */
import { loglossOf } from '@millrace/core';
import type { ColumnUse, NumberForm } from './column-uses.ts';
import type { Sample } from './sample.ts';
import { type Codes, codesOfForm, codesOfValues, numbersOf, transformed } from './sample-codes.ts';

/** Events of the mean that a new value starts from. */
const priorEvents = 8;

/**
 * Nats an event that knowing the value would have saved over the mean of the events before; below 0 where it would have cost.
 * A value's probability is its own share of ones, drawn to the mean by `priorEvents` events.
 */
export function gainOfCodes({ codes, size }: Codes, labels: Uint8Array): number {
  const ones = new Float64Array(size);
  const seen = new Float64Array(size);
  let gain = 0;
  let allOnes = 0.5;
  for (let i = 0; i < labels.length; i += 1) {
    const mean = allOnes / (i + 1);
    const code = codes[i];
    if (code >= 0) {
      const p = (ones[code] + priorEvents * mean) / (seen[code] + priorEvents);
      gain += loglossOf(mean, labels[i]) - loglossOf(p, labels[i]);
      ones[code] += labels[i];
      seen[code] += 1;
    }
    allOnes += labels[i];
  }
  return gain / labels.length;
}

/** The same for x·w + b, learned by diagonal Newton steps. @param xs float64[events], NaN where missing. */
export function gainOfLine(xs: Float64Array, labels: Uint8Array): number {
  let gain = 0;
  let allOnes = 0.5;
  let w = 0;
  let b = 0;
  let wPrecision = 1;
  let bPrecision = 1;
  for (let i = 0; i < labels.length; i += 1) {
    const mean = allOnes / (i + 1);
    const x = xs[i];
    if (!Number.isNaN(x)) {
      const p = 1 / (1 + Math.exp(-(Math.log(mean / (1 - mean)) + w * x + b)));
      gain += loglossOf(mean, labels[i]) - loglossOf(p, labels[i]);
      const curvature = Math.max(p * (1 - p), 1e-6);
      wPrecision += curvature * x * x;
      bPrecision += curvature;
      // Both move at once; half a step each keeps them from passing the optimum together.
      w -= (0.5 * (p - labels[i]) * x) / wPrecision;
      b -= (0.5 * (p - labels[i])) / bPrecision;
    }
    allOnes += labels[i];
  }
  return gain / labels.length;
}

export interface ScreenedColumn {
  readonly use: ColumnUse;
  /** Of a number: each form with its gain, best first. Of others: empty. */
  readonly forms: readonly { readonly form: NumberForm; readonly gain: number }[];
  /** Nats an event of the best form; NaN for lists, which are not screened. */
  readonly gain: number;
}

/** Screens all columns that are used. */
export function screenColumns(uses: readonly ColumnUse[], sample: Sample): readonly ScreenedColumn[] {
  return uses.map((use) => {
    if (use.kind === 'value') {
      return { use, forms: [], gain: gainOfCodes(codesOfValues(sample, use.column), sample.labels) };
    }
    if (use.kind !== 'number') return { use, forms: [], gain: Number.NaN };
    const forms = use.forms.map((form) => ({ form, gain: gainOfForm(form, use.column, sample) }));
    forms.sort((a, b) => b.gain - a.gain);
    return { use, forms, gain: forms[0].gain };
  });
}

function gainOfForm(form: NumberForm, column: string, sample: Sample): number {
  if (form.kind !== 'weighted') return gainOfCodes(codesOfForm(sample, column, form), sample.labels);
  const xs = numbersOf(sample, column).map((x) => transformed(x, form.transform));
  return gainOfLine(xs, sample.labels);
}
