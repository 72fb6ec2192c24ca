/**
 * How a table's rows lie in memory, derived once from the model file: which floats of a row belong to which segment, and
 * what starts and steps them.
 *
 *   weights  [ wide 1? | embedding dim? | precision 1? ]       what reads want
 *   state    [ state of wide | state of embedding | clock? ]   beside it, in an arena of its own; the clock is for expiry
 */
import type { AdmissionSpec, InitializerSpec, ModelFile, TableSpec } from '@millrace/protocol';
import { createExpiry } from './expiry/create-expiry.ts';
import type { Expiry } from './expiry/expiry.ts';
import { createInitializer, type Initializer } from './initializer/initializer.ts';
import { fmix, hashName } from './key-hash.ts';
import { createAccumulator } from './optimizer/accumulator.ts';
import { createOptimizer } from './optimizer/create-optimizer.ts';
import type { Optimizer } from './optimizer/optimizer.ts';

export interface Segment {
  readonly weightsAt: number;
  readonly stateAt: number;
  readonly dim: number;
  readonly optimizer: Optimizer;
  readonly initializer: Initializer;
}

export interface TableLayout {
  readonly name: string;
  /** Names the table in pull frames; unique over the models of a cluster but for hash accidents, which creation refuses. */
  readonly tableId: number;
  readonly seed: number;
  /** Weights a row. */
  readonly dim: number;
  /** State floats a row: of the optimizers, then words of the clock. */
  readonly stateFloats: number;
  /** Where in a row's state the clock begins; behind it nothing stands, before it the floats of the optimizers. */
  readonly clockAt: number;
  /** What keys without a row are asked for; null: nothing. */
  readonly admission: AdmissionSpec | null;
  /** What takes rows away; null: nothing. */
  readonly expiry: Expiry | null;
  /** True where admission or expiry count the examples in which a key stands. */
  readonly countsOccurrences: boolean;
  readonly segments: readonly Segment[];
  readonly hasWide: boolean;
  /** Floats of the embedding, 0 when there is none. It starts at weight 1 after a wide weight, else at 0. */
  readonly embeddingDim: number;
  /** The float that sums the curvature of the wide weight, and the precision of one without any; null: the table keeps none. */
  readonly precision: { readonly at: number; readonly prior: number } | null;
  readonly needsCurvature: boolean;
}

const zeros: InitializerSpec = { type: 'zeros' };
const embeddingInitializer: InitializerSpec = { type: 'uniform', scale: 0.01 };

/** Layouts of a model's tables, in file order. */
export function tableLayouts(file: ModelFile): readonly TableLayout[] {
  return file.tables.map((table, place) => tableLayout(table, file, place));
}

function tableLayout(table: TableSpec, file: ModelFile, place: number): TableLayout {
  const segments: Segment[] = [];
  let weightsAt = 0;
  let stateAt = 0;
  const add = (dim: number, optimizer: Optimizer, initializerSpec: InitializerSpec) => {
    segments.push({ weightsAt, stateAt, dim, optimizer, initializer: createInitializer(initializerSpec) });
    weightsAt += dim;
    stateAt += optimizer.stateFloats(dim);
  };
  if (table.wide) add(1, createOptimizer(table.wide.optimizer), table.wide.initializer ?? zeros);
  if (table.embedding) {
    const { dim, optimizer, initializer = embeddingInitializer } = table.embedding;
    add(dim, createOptimizer(optimizer), initializer);
  }
  const precisionAt = weightsAt;
  if (table.precision) add(1, createAccumulator(), zeros);
  const expiry = table.expiry ? createExpiry(table.expiry) : null;
  return {
    name: table.name,
    tableId: hashName(`${file.name}/${table.name}`),
    seed: fmix(file.seed ^ fmix(place + 1)),
    dim: weightsAt,
    stateFloats: stateAt + (expiry?.clockWords ?? 0),
    clockAt: stateAt,
    admission: table.admission ?? null,
    expiry,
    countsOccurrences: table.admission !== undefined || table.expiry?.type === 'score',
    segments,
    hasWide: table.wide !== undefined,
    embeddingDim: table.embedding?.dim ?? 0,
    precision: table.precision ? { at: precisionAt, prior: table.precision.prior } : null,
    needsCurvature: segments.some((segment) => segment.optimizer.needsCurvature),
  };
}

/** Writes the first weights of a key's row to out[at … at + dim). */
export function writeInitialRow(
  layout: TableLayout,
  low: number,
  high: number,
  out: Float32Array,
  at: number,
): void {
  for (const segment of layout.segments) {
    segment.initializer(layout.seed, low, high, out, at + segment.weightsAt, segment.dim);
  }
}
