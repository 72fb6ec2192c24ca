/** What is measured: nets by the widths of their layers, and batches of several sizes. */
import { compileNet, defineModel, type NetShape } from '@millrace/model';

export interface DenseParameters {
  readonly nets: readonly DenseNet[];
  /** Sizes of batches, ascending. */
  readonly rows: readonly number[];
  /** The size that engines take steps at, and that the default engine is compared at. */
  readonly headlineRows: number;
  /** Everything takes its turn once a round. */
  readonly rounds: number;
  readonly turnMs: number;
}

export interface DenseNet {
  readonly name: string;
  readonly slots: number;
  readonly dim: number;
  readonly dense: number;
  readonly layers: readonly number[];
}

export const fullSize: DenseParameters = {
  nets: [
    { name: '160-128-64-1', slots: 18, dim: 8, dense: 16, layers: [128, 64] },
    { name: '429-512-256-1', slots: 26, dim: 16, dense: 13, layers: [512, 256] },
  ],
  rows: [1, 8, 32, 128, 512],
  headlineRows: 128,
  rounds: 21,
  turnMs: 40,
};

/** Small enough for a unit test. */
export const smokeSize: DenseParameters = {
  nets: [{ name: '20-8-1', slots: 4, dim: 4, dense: 4, layers: [8] }],
  rows: [1, 8],
  headlineRows: 8,
  rounds: 1,
  turnMs: 2,
};

export function shapeOf({ slots, dim, dense, layers }: DenseNet): NetShape {
  const optimizer = { type: 'sgd', learningRate: 0.1 } as const;
  const names = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}${i}`);
  return compileNet(
    defineModel({
      name: 'bench',
      label: 'clicked',
      tables: [{ name: 'ids', embedding: { dim, optimizer } }],
      fields: [
        ...names(slots, 'slot').map((name) => ({ name, type: 'sparse', table: 'ids' }) as const),
        ...names(dense, 'number').map((name) => ({ name, type: 'dense' }) as const),
      ],
      bias: false,
      net: { layers: layers.map((units) => ({ units })) },
      loss: 'logloss',
      seed: 1,
    }),
  );
}
