/** A model file from what was found out about a log and one set of choices. */
import type {
  CrossSpec,
  DenseTransform,
  FieldScope,
  FieldSpec,
  ModelFile,
  OptimizerSpec,
  TableSpec,
} from '@millrace/protocol';
import type { NumberForm } from './column-uses.ts';
import type { ScreenedColumn } from './screen-columns.ts';

/** What the trials vary. */
export interface Choices {
  /** Prior precision of a weight: larger is slower and safer; more fields that step at once need more. */
  readonly lambda: number;
  /** That of columns with many values is so many times larger. */
  readonly idsFactor: number;
  /** Share of the evidence that damps later steps: near 0 keeps learning for ever, 1 settles. */
  readonly c: number;
  /** Numbers in the form that was best alone, as x·w where possible, or as keys where possible. */
  readonly numbers: 'best' | 'weighted' | 'keys';
  readonly crosses: readonly (readonly [string, string])[];
  /** Columns whose rows also hold factors; empty: a linear model. */
  readonly factors: readonly string[];
  readonly factorsRate: number;
}

export interface ModelParts {
  readonly name: string;
  readonly label: string;
  readonly timestamp: string | null;
  readonly item: string | null;
  readonly partitions: number;
  readonly columns: readonly ScreenedColumn[];
  readonly scopes: ReadonlyMap<string, FieldScope>;
  /** Log-odds that the model starts from. */
  readonly startLogit: number;
}

/** Columns of more values than this have a table of their own, whose rows are met seldom. */
export const idsMin = 100;
/** Factors a row: enough for the few directions that a pass over a log can learn. */
const factorsDim = 8;
/** ln(1 + x) of counts and prices lies around 3, so its square, which steps grow with, around 10. */
const logarithmSquare = 10;

export function buildModel(parts: ModelParts, choices: Choices): ModelFile {
  const crossed = new Set(choices.crosses.flat());
  const fields = parts.columns.flatMap((column) => fieldFrom(column, parts, choices, crossed));
  const crosses = choices.crosses.map(crossFrom);
  const used = new Set([...fields, ...crosses].map(({ table }) => table));
  return {
    name: parts.name,
    label: parts.label,
    ...(parts.timestamp === null ? {} : { timestamp: parts.timestamp }),
    ...(parts.item === null ? {} : { item: parts.item }),
    partitions: parts.partitions,
    tables: tablesFrom(parts, choices).filter(({ name }) => name === 'bias' || used.has(name)),
    fields,
    ...(crosses.length === 0 ? {} : { crosses }),
    bias: true,
    net: choices.factors.length > 0 ? 'fm' : 'linear',
    loss: 'logloss',
    seed: 1,
  };
}

function tablesFrom(parts: ModelParts, choices: Choices): TableSpec[] {
  const { lambda, c, idsFactor } = choices;
  const wide = (precision: number): { optimizer: OptimizerSpec } => ({
    optimizer: { type: 'newton', lambda: precision, c },
  });
  const start = { type: 'constant', value: parts.startLogit } as const;
  return [
    // First, so that the bias is in it, and alone, so that nothing else starts where it does.
    { name: 'bias', wide: { ...wide(lambda), initializer: start } },
    { name: 'weights', wide: wide(lambda) },
    { name: 'ids', wide: wide(lambda * idsFactor) },
    { name: 'numbers', wide: wide(lambda) },
    { name: 'logarithms', wide: wide(lambda * logarithmSquare) },
    { name: 'crosses', wide: wide(lambda) },
    {
      name: 'factors',
      wide: wide(lambda * idsFactor),
      embedding: {
        dim: factorsDim,
        optimizer: { type: 'adagrad', learningRate: choices.factorsRate },
        initializer: { type: 'uniform', scale: 0.1 },
      },
    },
  ];
}

/** The form that a number takes under these choices. */
export function formOf(column: ScreenedColumn, numbers: Choices['numbers'], mustBeKeys: boolean): NumberForm {
  const { forms } = column;
  const asKeys = forms.find(({ form }) => form.kind !== 'weighted');
  const asWeight = forms.find(({ form }) => form.kind === 'weighted');
  const wanted = mustBeKeys || numbers === 'keys' ? asKeys : numbers === 'weighted' ? asWeight : undefined;
  return (wanted ?? forms[0]).form;
}

function fieldFrom(
  column: ScreenedColumn,
  parts: ModelParts,
  choices: Choices,
  crossed: ReadonlySet<string>,
): FieldSpec[] {
  const { use } = column;
  if (use.kind === 'left-out') return [];
  const common = { name: use.column, scope: parts.scopes.get(use.column) ?? 'context' } as const;
  const distinct = use.kind === 'list' ? 0 : use.distinct;
  const sparseTable = distinct > idsMin ? 'ids' : 'weights';
  const table = choices.factors.includes(use.column) ? 'factors' : sparseTable;
  if (use.kind === 'value') return [{ ...common, type: 'sparse', table }];
  if (use.kind === 'list') {
    return [
      { ...common, type: 'multi', table, ...(use.separator === null ? {} : { separator: use.separator }) },
    ];
  }
  const form = formOf(column, choices.numbers, crossed.has(use.column));
  switch (form.kind) {
    case 'value':
      return [{ ...common, type: 'sparse', table }];
    case 'bucket': {
      const { boundaries } = form;
      return [{ ...common, type: 'dense', transform: { type: 'bucket', boundaries }, table: 'weights' }];
    }
    case 'weighted':
      return [{ ...common, type: 'dense', transform: form.transform, table: numberTable(form.transform) }];
  }
}

function numberTable(transform: DenseTransform): string {
  return transform.type === 'log1p' ? 'logarithms' : 'numbers';
}

function crossFrom(pair: readonly [string, string], place: number): CrossSpec {
  const name = `${pair[0]} × ${pair[1]}`;
  return { name: name.length <= 64 ? name : `cross ${place + 1}`, fields: pair, table: 'crosses' };
}
