import type { NetSpec } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { compileNet, denseOptimizerOf } from '../src/compile-model.ts';
import type { DeepShape, NetShape, TowerShape } from '../src/net-shape.ts';
import { exampleModel } from './example-model.ts';

test('compile model: slots are the fields with embeddings in file order, dense fields go to the layers', () => {
  // user, product, tags, history, age (bucketed), rating (x·w) have embeddings of 8; the cross has a wide weight alone.
  // price, rating and stock are numbers that the layers read.
  const kernels = [51 * 16, 16 * 8, 8];
  const second = kernels[0] + 16;
  const third = second + kernels[1] + 8;
  expect(compileNet(exampleModel())).toEqual({
    hasWide: true,
    slots: ['user', 'product', 'tags', 'history', 'age', 'rating'].map((name, s) => ({
      name,
      offset: 8 * s,
      dim: 8,
    })),
    slotFloats: 48,
    embeddingFloats: 48,
    denseFields: 3,
    sides: expect.any(Array),
    attention: [],
    parts: [
      { kind: 'fm', slots: 6, dim: 8 },
      {
        kind: 'deep',
        inputs: 51,
        dots: null,
        cross: null,
        hidden: [
          { inputs: 51, units: 16, activation: 'tanh', kernelOffset: 0 },
          { inputs: 16, units: 8, activation: 'relu', kernelOffset: second },
        ],
        unit: { inputs: 8, units: 1, activation: 'linear', kernelOffset: third },
      },
    ],
    parameters: third + 8 + 1,
    imported: null,
    initial: [
      { offset: 0, count: kernels[0], start: { uniform: Math.sqrt(6 / 67) } },
      { offset: second, count: kernels[1], start: { uniform: Math.sqrt(6 / 24) } },
      { offset: third, count: kernels[2], start: { uniform: Math.sqrt(6 / 9) } },
    ],
    moments: [],
    denseParameters: third + 8 + 1,
  });
});

test('compile model: a cross with an embedding comes after all fields', () => {
  const shape = compileNet(exampleModel((f) => (f.crosses[0].table = 'tags')));
  expect(shape.slots.map(({ name }) => name).slice(-2)).toEqual(['rating', 'user-age']);
  expect(shape.embeddingFloats).toBe(56);
});

test('compile model: slots of different dims stand one after another', () => {
  const shape = compileNet(
    exampleModel((f) => {
      f.net.fm = false;
      f.tables[1].embedding.dim = 3;
    }),
  );
  expect(shape.slots.map(({ offset, dim }) => [offset, dim])).toEqual([
    [0, 8],
    [8, 8],
    [16, 3],
    [19, 8],
    [27, 8],
    [35, 3],
  ]);
  expect(shape.embeddingFloats).toBe(38);
});

test('compile model: linear reads neither embeddings nor dense inputs', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'linear')));
  expect(shape).toEqual({
    hasWide: true,
    slots: [],
    slotFloats: 0,
    embeddingFloats: 0,
    denseFields: 0,
    sides: [],
    attention: [],
    parts: [],
    parameters: 0,
    imported: null,
    initial: [],
    moments: [],
    denseParameters: 0,
  });
});

test('compile model: fm has slots and no dense inputs', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'fm')));
  const parts = [{ kind: 'fm', slots: 6, dim: 8 }];
  expect(shape).toMatchObject({ hasWide: true, embeddingFloats: 48, denseFields: 0, parts, parameters: 0 });
});

/** Parts of the example model with another net, without those that a short name brings beside the one of interest. */
function partsOf(net: NetSpec): NetShape['parts'] {
  return compileNet(exampleModel((f) => (f.net = net))).parts;
}

function deepOf(net: NetSpec): DeepShape {
  return partsOf(net).find((part) => part.kind === 'deep')!;
}

test('compile model: deepfm is wide, fm and relu layers of 64 and 32, then one linear unit', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'deepfm')));
  expect(shape).toMatchObject({ hasWide: true, denseFields: 3 });
  expect(shape.parts.map(({ kind }) => kind)).toEqual(['fm', 'deep']);
  const { hidden, unit } = deepOf('deepfm');
  expect([...hidden, unit].map(({ inputs, units, activation }) => [inputs, units, activation])).toEqual([
    [51, 64, 'relu'],
    [64, 32, 'relu'],
    [32, 1, 'linear'],
  ]);
  expect(shape.parameters).toBe(51 * 64 + 64 + 64 * 32 + 32 + 32 + 1);
});

test('compile model: layers alone have neither wide nor fm', () => {
  const shape = compileNet(exampleModel((f) => (f.net = { layers: [{ units: 2 }] })));
  expect([shape.hasWide, shape.parts.map(({ kind }) => kind)]).toEqual([false, ['deep']]);
});

test('compile model: fwfm has a weight for each pair of slots', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'fwfm')));
  expect(shape.parts).toEqual([{ kind: 'fwfm', slots: 6, dim: 8, offset: 0 }]);
  expect([shape.parameters, shape.initial]).toEqual([15, [{ offset: 0, count: 15, start: { constant: 1 } }]]);
});

test('compile model: dcn is wide, two full cross layers and the layers of deepfm behind them', () => {
  const { cross, hidden } = deepOf('dcn');
  const layer = 51 * 51 + 51;
  expect(cross).toEqual({
    inputs: 51,
    rank: 0,
    structure: 'stacked',
    layers: [
      { offset: 0, biasOffset: 51 * 51 },
      { offset: layer, biasOffset: layer + 51 * 51 },
    ],
  });
  expect(hidden.map(({ inputs, kernelOffset }) => [inputs, kernelOffset])).toEqual([
    [51, 2 * layer],
    [64, 2 * layer + 51 * 64 + 64],
  ]);
});

test('compile model: a parallel cross network of a rank joins the layers at the unit', () => {
  const net: NetSpec = { cross: { layers: 1, rank: 4, structure: 'parallel' }, layers: [{ units: 2 }] };
  const { cross, hidden, unit } = deepOf(net);
  expect(cross?.layers).toEqual([{ offset: 0, biasOffset: 51 * 4 + 4 * 51 }]);
  expect([hidden[0].inputs, unit.inputs]).toEqual([51, 2 + 51]);
});

test('compile model: dlrm gives the layers 15 dot products of six slots beside slots and numbers', () => {
  const { inputs, dots, hidden } = deepOf('dlrm');
  expect([inputs, dots, hidden[0].inputs]).toEqual([51 + 15, { slots: 6, dim: 8, pairs: 15 }, 66]);
});

test('compile model: towers read the fields of their side', () => {
  const [towers] = partsOf('two-tower');
  if (towers.kind !== 'towers') throw new Error('wanted towers');
  const floats = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  // Slots: user, product, tags, history, age, rating; numbers: price (item), rating (item), stock (context).
  expect(towers.shared.inputs).toEqual([...floats(0, 8), ...floats(24, 40), 50]);
  expect(towers.item.inputs).toEqual([...floats(8, 24), ...floats(40, 48), 48, 49]);
  const layersOf = ({ layers }: TowerShape) => layers.map(({ units, activation }) => [units, activation]);
  for (const tower of [towers.shared, towers.item]) {
    expect(layersOf(tower)).toEqual([
      [32, 'relu'],
      [16, 'linear'],
    ]);
  }
});

test('compile model: an attended sequence has a slot, and its positions stand behind the slots', () => {
  const shape = compileNet(
    exampleModel((f) => {
      f.net.attention = [{ sequence: 'history', target: 'product', units: 3 }];
      delete f.fields[3].pooling;
    }),
  );
  expect([shape.slotFloats, shape.embeddingFloats]).toEqual([48, 48 + 20 * 8]);
  expect(shape.attention).toEqual([
    {
      sequence: 'history',
      target: 'product',
      dim: 8,
      lengthMax: 20,
      slotOffset: 24,
      targetOffset: 8,
      positionsOffset: 48,
      layers: [
        { inputs: 32, units: 3, activation: 'relu', kernelOffset: 0 },
        { inputs: 3, units: 1, activation: 'linear', kernelOffset: 32 * 3 + 3 },
      ],
    },
  ]);
});

test('compile model: running moments take three floats a field behind the parameters', () => {
  const shape = compileNet(
    exampleModel((f) => {
      f.net = 'linear';
      f.fields[6].transform = { type: 'standardize' };
    }),
  );
  expect([shape.moments, shape.parameters, shape.denseParameters]).toEqual([['rating'], 0, 3]);
});

test('compile model: dense weights learn by Adam at 0.001 unless the net says otherwise', () => {
  expect(denseOptimizerOf(exampleModel((f) => (f.net = 'deepfm')))).toEqual({
    type: 'adam',
    learningRate: 0.001,
  });
  expect(denseOptimizerOf(exampleModel())).toMatchObject({ type: 'adam', learningRate: 0.002 });
});
