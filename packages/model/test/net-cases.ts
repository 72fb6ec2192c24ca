/** Shapes of nets for tests of engines: every part, and what may stand together. */
import type { FieldSpec, LayersNet, TableSpec } from '@millrace/protocol';
import { compileNet } from '../src/compile-model.ts';
import type { NetShape } from '../src/net-shape.ts';
import { smallModel } from './small-model.ts';

export interface NetCase {
  readonly title: string;
  readonly shape: NetShape;
}

interface Sizes {
  /** Sparse fields with an embedding: of the user, of the item, of the user and so on. */
  readonly slots: number;
  readonly dense: number;
  readonly dim?: number;
  /** Sequence fields, each of up to 4 values. */
  readonly sequences?: number;
}

const activations = ['relu', 'tanh', 'sigmoid', 'linear'] as const;
const two = [{ units: 6 }, { units: 5 }] as const;
const small = [{ units: 3 }, { units: 2 }] as const;

export const netCases: readonly NetCase[] = [
  netCase('linear', { wide: true, layers: [] }, { slots: 0, dense: 0 }),
  netCase('fm', { wide: true, fm: true, layers: [] }, { slots: 3, dense: 0 }),
  netCase('fm without wide', { fm: true, layers: [] }, { slots: 2, dense: 0 }),
  netCase('deepfm', { wide: true, fm: true, layers: two }, { slots: 3, dense: 2 }),
  netCase('layers over embeddings alone', { layers: [{ units: 6 }] }, { slots: 3, dense: 0 }),
  netCase(
    'layers over dense fields alone',
    { layers: [{ units: 6, activation: 'tanh' }] },
    { slots: 0, dense: 3 },
  ),
  netCase('layers of one unit', { layers: [{ units: 1, activation: 'linear' }] }, { slots: 2, dense: 0 }),
  ...activations.map((activation) =>
    netCase(
      `wide and ${activation} layers with dense fields`,
      { wide: true, layers: two.map((layer) => ({ ...layer, activation })) },
      { slots: 2, dense: 2 },
    ),
  ),
  netCase('fwfm', { wide: true, fwfm: true, layers: [] }, { slots: 4, dense: 0 }),
  netCase('fwfm of one float', { fwfm: true, layers: [] }, { slots: 3, dense: 0, dim: 1 }),
  netCase('fwfm, fm and layers', { fm: true, fwfm: true, layers: two }, { slots: 3, dense: 1 }),
  netCase('dcn', { wide: true, cross: { layers: 2 }, layers: small }, { slots: 2, dense: 2, dim: 2 }),
  netCase(
    'parallel cross of rank 2',
    { cross: { layers: 3, rank: 2, structure: 'parallel' }, layers: small },
    { slots: 3, dense: 1, dim: 2 },
  ),
  netCase(
    'parallel cross',
    { cross: { layers: 1, structure: 'parallel' }, layers: small },
    { slots: 2, dense: 0, dim: 2 },
  ),
  netCase(
    'cross of rank 1 without layers',
    { cross: { layers: 2, rank: 1 }, layers: [] },
    { slots: 2, dense: 1, dim: 2 },
  ),
  netCase(
    'cross of one dense field',
    { cross: { layers: 2 }, layers: [{ units: 3 }] },
    { slots: 0, dense: 1, dim: 2 },
  ),
  netCase('dlrm', { wide: true, dots: true, layers: small }, { slots: 4, dense: 2, dim: 2 }),
  netCase('dots of one float without layers', { dots: true, layers: [] }, { slots: 3, dense: 0, dim: 1 }),
  netCase(
    'dots behind a cross',
    { dots: true, cross: { layers: 2 }, layers: small },
    { slots: 3, dense: 1, dim: 2 },
  ),
  netCase(
    'dots beside a cross',
    { dots: true, cross: { layers: 1, rank: 3, structure: 'parallel' }, layers: small },
    { slots: 3, dense: 1, dim: 2 },
  ),
  netCase(
    'attention and layers',
    { wide: true, attention: [{ sequence: 'history0', target: 'slot1', units: 3 }], layers: small },
    { slots: 2, dense: 1, dim: 2, sequences: 1 },
  ),
  netCase(
    'attention over two sequences and fm',
    {
      fm: true,
      attention: [
        { sequence: 'history1', target: 'slot0', units: 2 },
        { sequence: 'history0', target: 'slot0', units: 1 },
      ],
      layers: [],
    },
    { slots: 1, dense: 0, dim: 2, sequences: 2 },
  ),
  netCase(
    'two towers',
    { wide: true, towers: { layers: [{ units: 5 }, { units: 3, activation: 'linear' }] }, layers: [] },
    { slots: 4, dense: 3, dim: 2 },
  ),
  netCase(
    'towers of one tanh unit',
    { towers: { layers: [{ units: 1, activation: 'tanh' }] }, layers: [] },
    { slots: 2, dense: 0, dim: 2 },
  ),
  netCase(
    'towers over dense fields alone',
    { towers: { layers: [{ units: 2, activation: 'sigmoid' }] }, layers: [] },
    { slots: 0, dense: 2, dim: 2 },
  ),
  netCase(
    'towers with a sequence that only the layers read',
    {
      attention: [{ sequence: 'history0', target: 'slot1', units: 2 }],
      towers: { layers: [{ units: 3, activation: 'tanh' }] },
      layers: [{ units: 4 }],
    },
    { slots: 2, dense: 1, dim: 2, sequences: 1 },
  ),
  netCase(
    'everything',
    {
      wide: true,
      fm: true,
      fwfm: true,
      dots: true,
      cross: { layers: 1, rank: 2 },
      attention: [{ sequence: 'history0', target: 'slot1', units: 2 }],
      towers: { layers: [{ units: 3 }] },
      layers: [{ units: 4, activation: 'tanh' }],
    },
    { slots: 3, dense: 2, dim: 2, sequences: 1 },
  ),
];

/** Nets whose first layer is large enough for a tensor library to split. */
export const wideCases: readonly NetCase[] = [
  ...(['relu', 'tanh'] as const).map((activation) =>
    netCase(
      `wide first ${activation} layer beside fm`,
      { wide: true, fm: true, layers: [{ units: 128, activation }, { units: 4 }] },
      { slots: 8, dense: 3, dim: 16 },
    ),
  ),
  netCase('wide first layer alone', { layers: [{ units: 160 }] }, { slots: 7, dense: 0, dim: 16 }),
  netCase(
    'wide first layer beside fwfm, which reads whole rows',
    { wide: true, fwfm: true, layers: [{ units: 128 }, { units: 4 }] },
    { slots: 8, dense: 3, dim: 16 },
  ),
];

export function netCase(title: string, net: LayersNet, sizes: Sizes): NetCase {
  return { title, shape: shapeOf(net, sizes) };
}

export function shapeOf(net: LayersNet, { slots, dense, dim = 4, sequences = 0 }: Sizes): NetShape {
  const optimizer = { type: 'sgd', learningRate: 1 } as const;
  const tables: TableSpec[] = [{ name: 'ids', wide: { optimizer }, embedding: { dim, optimizer } }];
  const sideOf = (place: number) => (place % 2 === 0 ? 'user' : 'item');
  const named = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}${i}`);
  const fields: FieldSpec[] = [
    ...named(slots, 'slot').map(
      (name, i) => ({ name, type: 'sparse', scope: sideOf(i), table: 'ids' }) as const,
    ),
    ...named(sequences, 'history').map(
      (name) => ({ name, type: 'sequence', scope: 'user', table: 'ids', lengthMax: 4 }) as const,
    ),
    ...named(dense, 'number').map((name, i) => ({ name, type: 'dense', scope: sideOf(i) }) as const),
  ];
  return compileNet(smallModel({ fields, tables, net }));
}
