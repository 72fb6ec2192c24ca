import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { compileNet } from '../src/compile-model.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import { parseModelFile } from '../src/model-file.ts';
import { hiddenUnitsOf, magnitudeMask, narrowNet, withHiddenUnits } from '../src/narrow-net.ts';
import type { DeepShape } from '../src/net-shape.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { embeddingTable, smallModel } from './small-model.ts';

/** Parts before the layers and behind them, a cross network beside them. */
const file: ModelFile = smallModel({
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'standardize' } },
  ],
  tables: [embeddingTable('ids', 3)],
  net: {
    wide: true,
    fwfm: true,
    cross: { layers: 1, structure: 'parallel' },
    towers: { layers: [{ units: 2 }] },
    layers: [{ units: 6 }, { units: 4, activation: 'tanh' }],
  },
});
const shape = compileNet(file);
const deep = shape.parts.find(({ kind }) => kind === 'deep') as DeepShape;
const weights = Float32Array.from({ length: shape.denseParameters }, (_, i) => Math.sin(7 * i + 1));

function logits(of: ModelFile, dense: Float32Array): number[] {
  const net = compileNet(of);
  const program = createPlainEngine().compile(net);
  const rows = 5;
  const out = new Float32Array(rows);
  const input = {
    rows,
    wide: Float32Array.from({ length: rows }, (_, b) => b / 10),
    embeddings: Float32Array.from({ length: rows * net.embeddingFloats }, (_, i) => Math.cos(3 * i)),
    dense: Float32Array.from({ length: rows }, (_, b) => b - 2),
    lengths: new Int32Array(0),
  };
  void program.forward(program.load(dense), input, out);
  return [...out];
}

test('narrow net: without a unit less it is the same net', () => {
  const whole = narrowNet(file, weights, 1);
  expect(hiddenUnitsOf(whole.file)).toEqual([6, 4]);
  expect(logits(whole.file, whole.weights)).toEqual(logits(file, weights));
  expect(whole.weights).toEqual(weights);
});

test('narrow net: scores as the whole net does whose weakest units nobody reads', () => {
  const narrow = narrowNet(file, weights, 0.5);
  expect(hiddenUnitsOf(narrow.file)).toEqual([3, 2]);
  expect(() => parseModelFile(narrow.file)).not.toThrow();
  const chain = [...deep.hidden, deep.unit];
  const deaf = weights.slice();
  for (const [l, { inputs, units, kernelOffset }] of deep.hidden.entries()) {
    const next = chain[l + 1];
    const strength = Array.from({ length: units }, (_, u) => {
      const into = Array.from({ length: inputs }, (_, i) => weights[kernelOffset + i * units + u] ** 2);
      const out = Array.from(
        { length: next.units },
        (_, n) => weights[next.kernelOffset + u * next.units + n] ** 2,
      );
      return into.reduce((a, b) => a + b) * out.reduce((a, b) => a + b);
    });
    const weakest = [...strength.keys()].sort((a, b) => strength[a] - strength[b]).slice(0, units / 2);
    for (const u of weakest)
      deaf.fill(0, next.kernelOffset + u * next.units, next.kernelOffset + (u + 1) * next.units);
  }
  const wanted = logits(file, deaf);
  for (const [b, logit] of logits(narrow.file, narrow.weights).entries())
    expect(logit).toBeCloseTo(wanted[b], 5);
  expect(logits(narrow.file, narrow.weights)).not.toEqual(logits(file, weights));
  // The moments of the number stay.
  expect(narrow.weights.slice(-3)).toEqual(weights.slice(-3));
});

test('narrow net: of a net without hidden layers nothing goes', () => {
  const linear = smallModel({ fields: [{ name: 'ad', type: 'sparse', table: 'wide' }] });
  expect(narrowNet(linear, new Float32Array(0), 0.1).file).toBe(linear);
  expect(hiddenUnitsOf(linear)).toEqual([]);
});

test('narrow net: short names get their hidden layers written out', () => {
  const deepfm: ModelFile = { ...file, net: 'deepfm' };
  expect(withHiddenUnits(deepfm, [8, 4]).net).toEqual({
    wide: true,
    fm: true,
    layers: [{ units: 8 }, { units: 4 }],
  });
});

test('magnitude mask: the smallest weights of the layers go, biases and other parts stay', () => {
  const start = initialParameters(shape, 3);
  const mask = magnitudeMask(shape, start, 0.75);
  const kernels = [...deep.hidden, deep.unit];
  let [gone, largestGone, smallestKept] = [0, 0, Number.POSITIVE_INFINITY];
  const inKernels = new Set<number>();
  for (const { kernelOffset, inputs, units } of kernels) {
    for (let at = kernelOffset; at < kernelOffset + inputs * units; at += 1) {
      inKernels.add(at);
      if (mask[at] === 0) {
        gone += 1;
        largestGone = Math.max(largestGone, Math.abs(start[at]));
      } else smallestKept = Math.min(smallestKept, Math.abs(start[at]));
    }
  }
  expect(gone).toBe(Math.floor(0.75 * inKernels.size));
  expect(largestGone).toBeLessThanOrEqual(smallestKept);
  expect([...mask.keys()].filter((at) => mask[at] === 0 && !inKernels.has(at))).toEqual([]);
});
