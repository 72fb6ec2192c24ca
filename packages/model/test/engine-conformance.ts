/**
 * What every engine must do, whatever runs it. Two oracles:
 *   - central differences of a float64 reference (net-reference.ts): (L(v + h) − L(v − h)) / 2h with h = 1e-4, whose own
 *     error is below 1e-7 here. Engines compute in float32, about 1e-6 of a value, so they may differ by 2e-5 + 2e-4 · |value|.
 *   - the plain engine: every output within 1e-4.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../src/choose-engine.ts';
import type { Engine, EngineName, Gradients, Program } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { netCases as cases, type NetCase } from './net-cases.ts';
import {
  inputFrom,
  type ReferenceBatch,
  referenceBatch,
  referenceLogit,
  referenceLoss,
  referenceLossSum,
} from './net-reference.ts';

const step = 1e-4;

/** All nets, at batches of one row, of some, and of more than a tile of any kernel. */
const everything = { nets: cases, rows: [1, 3, 64] };

/** Nets that have every part between them, for engines that are slow. */
export const fewNets: ConformanceSize = {
  nets: cases.filter(({ title }) => ['deepfm', 'dlrm', 'two towers', 'everything'].includes(title)),
  rows: [3],
};

export interface ConformanceSize {
  readonly nets: readonly NetCase[];
  readonly rows: readonly number[];
}

export function engineConformance(
  name: EngineName,
  { nets, rows: sizes }: ConformanceSize = everything,
): void {
  let engine: Engine;
  let plain: Engine;
  beforeAll(async () => {
    ({ engine } = await openEngine({ wanted: name, shape: cases[0].shape, onSkip: () => {} }));
    plain = createPlainEngine();
  });
  afterAll(() => {
    engine.dispose();
    plain.dispose();
  });

  for (const { title, shape } of nets) {
    for (const rows of sizes) {
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
        // Each parameter costs the reference two passes over the batch, so a large one looks at some of them.
        const every = rows > 3 ? 7 : 1;
        const picked = found.parameters.filter((_, i) => i % every === 0);
        expectClose(picked, parameterGradients(shape, batch, every), 'parameters');
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

  test(`engine ${name}: gradients: offsets count in the loss and not in the logits`, async () => {
    for (const { shape } of [cases[0], cases[3]]) {
      const batch = { ...batchOf(shape, 5), offsets: [2, -1, 0.5, 0, -3] };
      const found = await outputs(engine.compile(shape), shape, batch);
      expectClose(
        found.logits,
        rowsOf(5, (b) => referenceLogit(shape, batch, b)),
        'logits',
      );
      expectClose(found.logitGradients, wideGradients(shape, batch), 'logitGradients');
      expectClose(found.embeddings, embeddingGradients(shape, batch), 'embeddings');
      expectClose(found.parameters, parameterGradients(shape, batch), 'parameters');
    }
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

function parameterGradients(shape: NetShape, batch: ReferenceBatch, every = 1): number[] {
  const loss = (parameters: number[]) => referenceLossSum(shape, { ...batch, parameters });
  return differences(batch.parameters, loss, every);
}

/** Derivatives of the loss by each value, or by one in `every`. */
function differences(
  values: readonly number[],
  loss: (moved: number[], i: number) => number,
  every = 1,
): number[] {
  const moved = [...values];
  const places = values.map((_, i) => i).filter((i) => i % every === 0);
  return places.map((i) => {
    const value = values[i];
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
  // Biases begin at 0 and pair weights at 1; here they must count, and differ.
  const parameters = initialParameters(shape, 7).map((w, i) =>
    w === 0 || w === 1 ? w + 0.1 * ((i % 7) - 3) + 0.05 : w,
  );
  return referenceBatch(shape, rows, parameters, 11);
}
