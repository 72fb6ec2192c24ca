import { memory } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { initialParameters } from '../src/initial-parameters.ts';
import { openTfjsBackend } from '../src/tfjs-backends.ts';
import { createTfjsEngine } from '../src/tfjs-engine.ts';
import { netCases, shapeOf } from './net-cases.ts';
import { inputFrom, referenceBatch, referenceLogit } from './net-reference.ts';

const shape = shapeOf(
  { wide: true, fm: true, layers: [{ units: 12 }, { units: 6, activation: 'tanh' }] },
  { slots: 2, dense: 3, dim: 8 },
);
const everything = netCases.find(({ title }) => title === 'everything')!.shape;

for (const [name, title, net] of [
  ['cpu', 'layers', shape],
  ['wasm', 'layers', shape],
  ['wasm', 'every part', everything],
] as const) {
  test(`tfjs engine: ${name}, ${title}: 50 steps with fresh weights leave no tensor behind`, async () => {
    const engine = createTfjsEngine(await openTfjsBackend[name]());
    const program = engine.compile(net);
    const parameters = initialParameters(net, 3);
    const batch = referenceBatch(net, 16, parameters, 5);
    const out = {
      logits: new Float32Array(16),
      logitGradients: new Float32Array(16),
      embeddings: new Float32Array(16 * net.embeddingFloats),
      parameters: new Float32Array(net.parameters),
    };
    const input = inputFrom(batch);
    const before = memory();
    for (let i = 0; i < 50; i++) {
      const loaded = program.load(parameters);
      await program.forward(loaded, input, out.logits);
      const [labels, weights] = [Float32Array.from(batch.labels), Float32Array.from(batch.weights)];
      await program.gradients(loaded, input, weights, labels, out);
      loaded.dispose();
    }
    const after = memory();
    expect(after.numTensors).toBe(before.numTensors);
    expect(after.numBytes).toBe(before.numBytes);
    engine.dispose();
  });
}

test('tfjs engine: forward: one load serves batches of any size in any order', async () => {
  const engine = createTfjsEngine(await openTfjsBackend.wasm());
  const program = engine.compile(shape);
  const parameters = initialParameters(shape, 3);
  const loaded = program.load(parameters);
  for (const rows of [1, 40, 3, 40, 7]) {
    const batch = referenceBatch(shape, rows, parameters, rows);
    const logits = new Float32Array(rows);
    await program.forward(loaded, inputFrom(batch), logits);
    logits.forEach((logit, b) => {
      expect(logit).toBeCloseTo(referenceLogit(shape, batch, b), 4);
    });
  }
  engine.dispose();
});

test('tfjs engine: dispose: takes every loaded weight along, and may be repeated', async () => {
  const engine = createTfjsEngine(await openTfjsBackend.wasm());
  const before = memory().numTensors;
  const program = engine.compile(shape);
  const first = program.load(initialParameters(shape, 1));
  program.load(initialParameters(shape, 2));
  // Three layers, a kernel and a bias each, twice.
  expect(memory().numTensors).toBe(before + 12);
  first.dispose();
  first.dispose();
  expect(memory().numTensors).toBe(before + 6);
  engine.dispose();
  engine.dispose();
  expect(memory().numTensors).toBe(before);
});

test('tfjs engine: dispose: takes along what scores of requests have made of the weights', async () => {
  const engine = createTfjsEngine(await openTfjsBackend.wasm());
  const before = memory().numTensors;
  const { shape: sided } = netCases.find(({ title }) => title === 'deepfm')!;
  const program = engine.compile(sided);
  const parameters = initialParameters(sided, 3);
  const loaded = program.load(parameters);
  const whole = memory().numTensors;
  const input = inputFrom(referenceBatch(sided, 4, parameters, 4));
  for (const starts of [Int32Array.of(0), Int32Array.of(0, 1)])
    await program.forward(
      loaded,
      { ...input, requests: { starts, count: starts.length } },
      new Float32Array(4),
    );
  // The first layer's kernel by the side of its inputs.
  expect(memory().numTensors).toBe(whole + 2);
  loaded.dispose();
  expect(memory().numTensors).toBe(before);
  engine.dispose();
});

test('tfjs engine: a program of an engine that another has replaced fails instead of running elsewhere', async () => {
  const wasm = createTfjsEngine(await openTfjsBackend.wasm());
  const program = wasm.compile(shape);
  await openTfjsBackend.cpu();
  expect(() => program.load(initialParameters(shape, 1))).toThrow('engine wasm: the backend in use is cpu');
  await openTfjsBackend.wasm();
  program.load(initialParameters(shape, 1)).dispose();
  wasm.dispose();
});
