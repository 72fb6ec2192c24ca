/** A net of middling size learned and scored step by step, beside the plain engine: kernels that small nets do not reach. */
import { expect, test } from 'vitest';
import type { Engine, EngineName, Gradients, NetInput } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';
import { openByName } from '../src/open-engine.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { shapeOf } from './net-cases.ts';
import { inputFrom, referenceBatch } from './net-reference.ts';

const rows = 64;
const steps = 4;
const learningRate = 1;

export function engineTraining(name: EngineName): void {
  test(`engine ${name}: ${steps} steps of 160-64-32-1 learn what the plain engine learns, and score it alike`, async () => {
    const shape = shapeOf(
      { wide: true, fm: true, layers: [{ units: 64 }, { units: 32 }] },
      { slots: 9, dense: 16, dim: 16 },
    );
    const engine = await openByName(name);
    const plain = createPlainEngine();
    const found = await learn(engine, shape);
    const wanted = await learn(plain, shape);
    engine.dispose();
    plain.dispose();
    // Measured against how far the weights went: as good as unmoved ones would pass a bare tolerance.
    expect(distance(found.parameters, wanted.parameters)).toBeLessThan(
      2e-3 * distance(wanted.parameters, initialParameters(shape, 3)),
    );
    expect(found.losses.at(-1)).toBeLessThan(0.9 * found.losses[0]);
    found.losses.forEach((loss, i) => {
      expect(loss).toBeCloseTo(wanted.losses[i], 3);
    });
  });
}

/** Plain steps down the mean gradient of one batch. */
async function learn(engine: Engine, shape: NetShape) {
  const parameters = initialParameters(shape, 3);
  const batch = referenceBatch(shape, rows, parameters, 5);
  const input: NetInput = inputFrom(batch);
  const shown = new Float32Array(rows).fill(1);
  const clicked = Float32Array.from(batch.labels);
  const out: Gradients = {
    logits: new Float32Array(rows),
    logitGradients: new Float32Array(rows),
    embeddings: new Float32Array(rows * shape.embeddingFloats),
    parameters: new Float32Array(shape.parameters),
  };
  const program = engine.compile(shape);
  const losses: number[] = [];
  for (let step = 0; step <= steps; step += 1) {
    const loaded = program.load(parameters);
    await program.forward(loaded, input, out.logits);
    losses.push(lossOf(out.logits, clicked));
    await program.gradients(loaded, input, shown, clicked, out);
    loaded.dispose();
    if (step === steps) break;
    for (let i = 0; i < parameters.length; i += 1) parameters[i] -= (learningRate / rows) * out.parameters[i];
  }
  program.dispose();
  return { parameters, losses };
}

function lossOf(logits: Float32Array, clicked: Float32Array): number {
  return logits.reduce((sum, z, b) => sum + Math.log1p(Math.exp(z)) - clicked[b] * z, 0) / rows;
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, i) => value - b[i]));
}
