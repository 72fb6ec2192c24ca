import { expect, test } from 'vitest';
import { compileNet, denseOptimizerOf } from '../src/compile-model.ts';
import { exampleModel } from './example-model.ts';

test('compile model: slots are the fields with embeddings in file order, dense fields go to the layers', () => {
  // user, product, tags, history, age (bucketed), rating (x·w) have embeddings of 8; the cross has a wide weight alone.
  // price, rating and stock are numbers that the layers read.
  expect(compileNet(exampleModel())).toEqual({
    hasWide: true,
    hasFm: true,
    slots: ['user', 'product', 'tags', 'history', 'age', 'rating'].map((name, s) => ({
      name,
      offset: 8 * s,
      dim: 8,
    })),
    embeddingFloats: 48,
    denseFields: 3,
    layers: [
      { inputs: 51, units: 16, activation: 'tanh', kernelOffset: 0 },
      { inputs: 16, units: 8, activation: 'relu', kernelOffset: 51 * 16 + 16 },
      { inputs: 8, units: 1, activation: 'linear', kernelOffset: 51 * 16 + 16 + 16 * 8 + 8 },
    ],
    parameters: 51 * 16 + 16 + 16 * 8 + 8 + 8 + 1,
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
    hasFm: false,
    slots: [],
    embeddingFloats: 0,
    denseFields: 0,
    layers: [],
    parameters: 0,
  });
});

test('compile model: fm has slots and no dense inputs', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'fm')));
  expect(shape).toMatchObject({
    hasWide: true,
    hasFm: true,
    embeddingFloats: 48,
    denseFields: 0,
    layers: [],
  });
});

test('compile model: deepfm is wide, fm and relu layers of 64 and 32, then one linear unit', () => {
  const shape = compileNet(exampleModel((f) => (f.net = 'deepfm')));
  expect(shape).toMatchObject({ hasWide: true, hasFm: true, denseFields: 3 });
  expect(shape.layers.map(({ inputs, units, activation }) => [inputs, units, activation])).toEqual([
    [51, 64, 'relu'],
    [64, 32, 'relu'],
    [32, 1, 'linear'],
  ]);
  expect(shape.parameters).toBe(51 * 64 + 64 + 64 * 32 + 32 + 32 + 1);
});

test('compile model: layers alone have neither wide nor fm', () => {
  const shape = compileNet(exampleModel((f) => (f.net = { layers: [{ units: 2 }] })));
  expect(shape).toMatchObject({ hasWide: false, hasFm: false });
  expect(shape.layers).toHaveLength(2);
});

test('compile model: dense weights learn by Adam at 0.001 unless the net says otherwise', () => {
  expect(denseOptimizerOf(exampleModel((f) => (f.net = 'deepfm')))).toEqual({
    type: 'adam',
    learningRate: 0.001,
  });
  expect(denseOptimizerOf(exampleModel())).toMatchObject({ type: 'adam', learningRate: 0.002 });
});
