/**
 * What every engine must do, whatever runs it. Two oracles:
 *   - central differences of a float64 reference (net-reference.ts): (L(v + h) − L(v − h)) / 2h with h = 1e-4, whose own
 *     error is below 1e-7 here. Engines compute in float32, about 1e-6 of a value, so they may differ by 2e-5 + 2e-4 · |value|.
 *   - the plain engine: every output within 1e-4.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../src/choose-engine.ts';
import { layersFrom } from '../src/compile-model.ts';
import type { Engine, EngineName, Gradients, Program } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import {
  inputFrom,
  type ReferenceBatch,
  referenceBatch,
  referenceLogit,
  referenceLoss,
  referenceLossSum,
} from './net-reference.ts';

const step = 1e-4;

interface NetCase {
  readonly title: string;
  readonly shape: NetShape;
}

const activations = ['relu', 'tanh', 'sigmoid', 'linear'] as const;

const cases: readonly NetCase[] = [
  { title: 'linear', shape: shapeOf({ wide: true, slots: 0, dense: 0, layers: [] }) },
  { title: 'fm', shape: shapeOf({ wide: true, fm: true, slots: 3, dense: 0, layers: [] }) },
  { title: 'fm without wide', shape: shapeOf({ fm: true, slots: 2, dense: 0, layers: [] }) },
  { title: 'deepfm', shape: shapeOf({ wide: true, fm: true, slots: 3, dense: 2, layers: ['relu', 'relu'] }) },
  { title: 'layers over embeddings alone', shape: shapeOf({ slots: 3, dense: 0, layers: ['relu'] }) },
  { title: 'layers over dense fields alone', shape: shapeOf({ slots: 0, dense: 3, layers: ['tanh'] }) },
  {
    title: 'layers of one unit',
    shape: {
      ...shapeOf({ slots: 2, dense: 0, layers: [] }),
      ...layersFrom([{ units: 1, activation: 'linear' }], 8),
    },
  },
  ...activations.map((activation) => ({
    title: `wide and ${activation} layers with dense fields`,
    shape: shapeOf({ wide: true, slots: 2, dense: 2, layers: [activation, activation] }),
  })),
];

export function engineConformance(name: EngineName): void {
  let engine: Engine;
  let plain: Engine;
  beforeAll(async () => {
    engine = await openEngine({ wanted: name, shape: cases[0].shape, onSkip: () => {} });
    plain = createPlainEngine();
  });
  afterAll(() => {
    engine.dispose();
    plain.dispose();
  });

  for (const { title, shape } of cases) {
    for (const rows of [1, 3, 64]) {
      test(`engine ${name}: ${title}, ${rows} rows: logits and gradients are those of the formulas`, async () => {
        const batch = batchOf(shape, rows);
        const found = await outputs(engine.compile(shape), shape, batch);
        expectClose(
          found.forward,
          rowsOf(rows, (b) => referenceLogit(shape, batch, b)),
          'forward',
        );
        expectClose(
          found.logits,
          rowsOf(rows, (b) => referenceLogit(shape, batch, b)),
          'logits',
        );
        expectClose(found.logitGradients, wideGradients(shape, batch), 'logitGradients');
        expectClose(found.embeddings, embeddingGradients(shape, batch), 'embeddings');
        expectClose(found.parameters, parameterGradients(shape, batch), 'parameters');
      });

      test(`engine ${name}: ${title}, ${rows} rows: agrees with the plain engine`, async () => {
        const batch = batchOf(shape, rows);
        const found = await outputs(engine.compile(shape), shape, batch);
        const wanted = await outputs(plain.compile(shape), shape, batch);
        for (const part of ['forward', 'logits', 'logitGradients', 'embeddings', 'parameters'] as const) {
          expect(largestDifference(found[part], wanted[part]), part).toBeLessThan(1e-4);
        }
      });
    }
  }

  test(`engine ${name}: load: keeps a copy of the weights, and two loads side by side`, async () => {
    const { shape } = cases[3];
    const batch = batchOf(shape, 3);
    const program = engine.compile(shape);
    const weights = Float32Array.from(batch.parameters);
    const first = program.load(weights);
    weights.fill(0);
    const second = program.load(weights);
    const logits = new Float32Array(3);
    await program.forward(second, inputFrom(batch), logits);
    const zeroed = { ...batch, parameters: batch.parameters.map(() => 0) };
    expectClose(
      logits,
      rowsOf(3, (b) => referenceLogit(shape, zeroed, b)),
      'second',
    );
    second.dispose();
    await program.forward(first, inputFrom(batch), logits);
    expectClose(
      logits,
      rowsOf(3, (b) => referenceLogit(shape, batch, b)),
      'first',
    );
    program.dispose();
  });

  test(`engine ${name}: gradients: stay finite at logits of ±200`, async () => {
    const { shape } = cases[0];
    const batch = { ...batchOf(shape, 2), wide: [200, -200], labels: [0, 1], weights: [1, 1] };
    const found = await outputs(engine.compile(shape), shape, batch);
    expect([...found.logitGradients]).toEqual([1, -1]);
  });
}

interface Outputs extends Gradients {
  readonly forward: Float32Array;
}

async function outputs(program: Program, shape: NetShape, batch: ReferenceBatch): Promise<Outputs> {
  const { rows } = batch;
  // NaN wherever an engine fails to write.
  const empty = (length: number) => new Float32Array(length).fill(Number.NaN);
  const out = {
    logits: empty(rows),
    logitGradients: empty(rows),
    embeddings: empty(rows * shape.embeddingFloats),
    parameters: empty(shape.parameters),
  };
  const forward = empty(rows);
  const loaded = program.load(Float32Array.from(batch.parameters));
  const input = inputFrom(batch);
  await program.forward(loaded, input, forward);
  await program.gradients(
    loaded,
    input,
    Float32Array.from(batch.weights),
    Float32Array.from(batch.labels, (label, b) => label * batch.weights[b]),
    out,
  );
  program.dispose();
  return { ...out, forward };
}

function wideGradients(shape: NetShape, batch: ReferenceBatch): number[] {
  // ∂loss/∂logit is found through a wide input, also for nets that have none.
  const widened = { ...shape, hasWide: true };
  const wide = shape.hasWide ? batch.wide : batch.wide.map(() => 0);
  return differences(wide, (moved, b) => referenceLoss(widened, { ...batch, wide: moved }, b));
}

function embeddingGradients(shape: NetShape, batch: ReferenceBatch): number[] {
  return differences(batch.embeddings, (embeddings, i) =>
    referenceLoss(shape, { ...batch, embeddings }, Math.floor(i / shape.embeddingFloats)),
  );
}

function parameterGradients(shape: NetShape, batch: ReferenceBatch): number[] {
  return differences(batch.parameters, (parameters) => referenceLossSum(shape, { ...batch, parameters }));
}

function differences(values: readonly number[], loss: (moved: number[], i: number) => number): number[] {
  const moved = [...values];
  return values.map((value, i) => {
    moved[i] = value + step;
    const above = loss(moved, i);
    moved[i] = value - step;
    const below = loss(moved, i);
    moved[i] = value;
    return (above - below) / (2 * step);
  });
}

function expectClose(found: Float32Array, wanted: readonly number[], part: string): void {
  expect(found.length, part).toBe(wanted.length);
  wanted.forEach((value, i) => {
    const difference = Math.abs(found[i] - value);
    expect(difference, `${part}[${i}] = ${found[i]}, wanted ${value}`).toBeLessThan(
      2e-5 + 2e-4 * Math.abs(value),
    );
  });
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
}

function rowsOf(rows: number, value: (b: number) => number): number[] {
  return Array.from({ length: rows }, (_, b) => value(b));
}

function batchOf(shape: NetShape, rows: number): ReferenceBatch {
  const parameters = initialParameters(shape, 7);
  // Biases start at 0; here they must count.
  for (const { inputs, units, kernelOffset } of shape.layers) {
    for (let u = 0; u < units; u++) parameters[kernelOffset + inputs * units + u] = 0.1 * (u + 1);
  }
  return referenceBatch(shape, rows, parameters, 11);
}

interface ShapeParts {
  readonly wide?: boolean;
  readonly fm?: boolean;
  readonly slots: number;
  readonly dense: number;
  readonly layers: readonly (typeof activations)[number][];
}

function shapeOf({ wide = false, fm = false, slots, dense, layers }: ShapeParts): NetShape {
  const dim = 4;
  return {
    hasWide: wide,
    hasFm: fm,
    slots: Array.from({ length: slots }, (_, s) => ({ name: `slot${s}`, offset: s * dim, dim })),
    embeddingFloats: slots * dim,
    denseFields: dense,
    ...layersFrom(
      layers.map((activation, l) => ({ units: 6 - l, activation })),
      slots * dim + dense,
    ),
  };
}
