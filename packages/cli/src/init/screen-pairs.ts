/**
 * Which pairs of columns say more together than apart. A model of single columns is learned over the sample; for each pair a
 * weight for every combination is learned on top of it, in one pass, each event predicted before it is learned. What this
 * saves is compared with how much it varies.
 */
import type { Sample } from './sample.ts';
import { type Codes, codesOfForm, codesOfValues } from './sample-codes.ts';
import type { ScreenedColumn } from './screen-columns.ts';

export interface ScreenedPair {
  readonly columns: readonly [string, string];
  /** Nats an event saved. */
  readonly gain: number;
}

/** Columns looked at, those of fewest values: 780 pairs. */
const columnsMax = 40;
/** Combinations of a pair, at most, an event of the sample: more hardly repeat. */
const combinationsAnEvent = 4;
/** Savings must be this many standard errors above 0: of 780 pairs of noise one in a hundred such logs shows one. */
const errorsMin = 4;
/** And at least this much, or it is not worth its rows. */
const gainMin = 0.0005;

/** Pairs that pay, best first. */
export function screenPairs(screened: readonly ScreenedColumn[], sample: Sample): readonly ScreenedPair[] {
  const columns = codedColumns(screened, sample);
  const logits = logitsOfSingles(columns, sample.labels);
  const few = columns
    .filter(({ codes }) => codes.size > 1)
    .sort((a, b) => a.codes.size - b.codes.size)
    .slice(0, columnsMax);
  const found: ScreenedPair[] = [];
  for (let i = 0; i < few.length; i += 1) {
    for (let j = i + 1; j < few.length; j += 1) {
      if (few[i].codes.size * few[j].codes.size > combinationsAnEvent * sample.labels.length) continue;
      const gain = gainOfPair(few[i].codes, few[j].codes, logits, sample.labels);
      if (gain !== null) found.push({ columns: [few[i].column, few[j].column], gain });
    }
  }
  return found.sort((a, b) => b.gain - a.gain);
}

interface CodedColumn {
  readonly column: string;
  readonly codes: Codes;
}

function codedColumns(screened: readonly ScreenedColumn[], sample: Sample): CodedColumn[] {
  return screened.flatMap(({ use, forms }) => {
    if (use.kind === 'value') return [{ column: use.column, codes: codesOfValues(sample, use.column) }];
    if (use.kind !== 'number') return [];
    // The form that a cross of it would have; a number that can only weight a row has none.
    const keys = forms.find(({ form }) => form.kind !== 'weighted');
    if (keys === undefined) return [];
    return [{ column: use.column, codes: codesOfForm(sample, use.column, keys.form) }];
  });
}

/** Progressive logits of a linear model over single columns, by diagonal Newton steps. */
function logitsOfSingles(columns: readonly CodedColumn[], labels: Uint8Array): Float64Array {
  const weights = columns.map(({ codes }) => new Float64Array(codes.size));
  const precisions = columns.map(({ codes }) =>
    new Float64Array(codes.size).fill(Math.max(1, columns.length / 3)),
  );
  const logits = new Float64Array(labels.length);
  let bias = 0;
  let biasPrecision = 1;
  for (let i = 0; i < labels.length; i += 1) {
    let z = bias;
    for (let c = 0; c < columns.length; c += 1) {
      const code = columns[c].codes.codes[i];
      if (code >= 0) z += weights[c][code];
    }
    logits[i] = z;
    const p = 1 / (1 + Math.exp(-z));
    const curvature = p * (1 - p);
    biasPrecision += curvature;
    bias -= (p - labels[i]) / biasPrecision;
    for (let c = 0; c < columns.length; c += 1) {
      const code = columns[c].codes.codes[i];
      if (code < 0) continue;
      precisions[c][code] += curvature;
      weights[c][code] -= (p - labels[i]) / precisions[c][code];
    }
  }
  return logits;
}

/** Savings of a pair, or null where they are too small or too uncertain. */
function gainOfPair(a: Codes, b: Codes, logits: Float64Array, labels: Uint8Array): number | null {
  const weights = new Float64Array(a.size * b.size);
  const precisions = new Float64Array(a.size * b.size).fill(2);
  let sum = 0;
  let squares = 0;
  const n = labels.length;
  for (let i = 0; i < n; i += 1) {
    if (a.codes[i] < 0 || b.codes[i] < 0) continue;
    const cell = a.codes[i] * b.size + b.codes[i];
    const z = logits[i];
    const together = z + weights[cell];
    const saved = labels[i] === 1 ? softplus(-z) - softplus(-together) : softplus(z) - softplus(together);
    sum += saved;
    squares += saved * saved;
    const p = 1 / (1 + Math.exp(-together));
    precisions[cell] += p * (1 - p);
    weights[cell] -= (p - labels[i]) / precisions[cell];
  }
  const gain = sum / n;
  const error = Math.sqrt(Math.max(0, squares / n - gain * gain) / n);
  return gain >= gainMin && gain >= errorsMin * error ? gain : null;
}

/** ln(1 + e^z), without overflow. */
function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}
