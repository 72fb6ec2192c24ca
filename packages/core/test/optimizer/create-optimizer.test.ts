/** What holds for every optimizer: its formula in float64, bits that depend on the state alone, no float beside its segment. */
import type { OptimizerSpec } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createOptimizer } from '../../src/optimizer/create-optimizer.ts';
import { optimizerSpecs } from '../model-files.ts';
import { segmentOf } from './segment.ts';

/** One step of one weight as the papers have it, in float64 throughout. `w`, `n` and `m` live on from step to step. */
interface Reference {
  w: number;
  /** Sum of squares, second moment or curvature. */
  n: number;
  /** First moment or z. */
  m: number;
  /** Steps taken, this one included. */
  t: number;
}

type ReferenceStep = (state: Reference, g: number, h: number, meanSquare: number) => void;

function referenceOf(spec: OptimizerSpec, w: number): { state: Reference; step: ReferenceStep } {
  const state: Reference = { w, n: 0, m: 0, t: 0 };
  switch (spec.type) {
    case 'sgd':
      return {
        state,
        step(r, g) {
          r.w -= spec.learningRate * g;
        },
      };
    case 'adagrad':
    case 'rowwise-adagrad': {
      state.n = 0.1;
      const step: ReferenceStep = (r, g, _h, meanSquare) => {
        r.n += spec.type === 'adagrad' ? g ** 2 : meanSquare;
        r.w -= (spec.learningRate * g) / Math.sqrt(r.n);
      };
      return { state, step };
    }
    case 'adam': {
      const step: ReferenceStep = (r, g) => {
        r.m = 0.9 * r.m + 0.1 * g;
        r.n = 0.999 * r.n + 0.001 * g ** 2;
        const first = r.m / (1 - 0.9 ** r.t);
        const second = r.n / (1 - 0.999 ** r.t);
        r.w -= (spec.learningRate * first) / (Math.sqrt(second) + 1e-8);
      };
      return { state, step };
    }
    case 'ftrl': {
      const { alpha, l1 = 0, l2 = 0 } = spec;
      state.m = -w * (1 / alpha + l2) - Math.sign(w) * l1;
      const step: ReferenceStep = (r, g) => {
        const n = r.n + g ** 2;
        r.m += g - ((Math.sqrt(n) - Math.sqrt(r.n)) / alpha) * r.w;
        r.n = n;
        r.w = Math.abs(r.m) <= l1 ? 0 : -(r.m - Math.sign(r.m) * l1) / ((1 + Math.sqrt(n)) / alpha + l2);
      };
      return { state, step };
    }
    case 'newton': {
      const step: ReferenceStep = (r, g, h) => {
        r.n += h;
        r.w -= g / (1 + r.n);
      };
      return { state, step };
    }
  }
}

/** Gradients of `steps` steps of four weights, from a fixed linear congruential generator: uniform in [−1, 1). */
function gradientsOf(steps: number, seed = 1): Float32Array[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return Array.from({ length: steps }, () => Float32Array.from({ length: 4 }, next));
}

const weights = [0.5, -0.25, 0, 1];

test.each(optimizerSpecs)(
  'optimizer: $type follows its formula in float64 for 1,000 random steps',
  (spec) => {
    const { w, step } = segmentOf(spec, weights);
    const references = weights.map((weight) => referenceOf(spec, weight));
    let worst = 0;
    for (const g of gradientsOf(1_000)) {
      const h = g.map((gradient) => gradient * gradient);
      const meanSquare = g.reduce((sum, gradient) => sum + gradient ** 2, 0) / 4;
      step(g, h);
      references.forEach(({ state, step: referenceStep }, d) => {
        state.t += 1;
        referenceStep(state, g[d], h[d], meanSquare);
        const wanted = state.w;
        worst = Math.max(worst, Math.abs(w[d] - wanted) / (1 + Math.abs(wanted)));
      });
    }
    // State and weights are rounded to 24 bits (6e-8) a step, and roundings add up like a walk: √1,000 · 6e-8 = 2e-6.
    // Twice that; found are 4e-7 to 8e-7.
    expect(worst).toBeLessThan(4e-6);
    // The comparison is of something: the weights have moved.
    expect(Math.abs(w[0] - weights[0])).toBeGreaterThan(1e-3);
  },
);

test.each(optimizerSpecs)('optimizer: $type takes the same next step from a copy, bit for bit', (spec) => {
  const original = segmentOf(spec, weights);
  for (const g of gradientsOf(100)) original.step(g, g.map(Math.abs));
  const copy = segmentOf(spec, weights, 3);
  copy.w.set(original.w);
  copy.s.set(original.s);
  for (const g of gradientsOf(100, 2)) {
    original.step(g, g.map(Math.abs));
    copy.step(g, g.map(Math.abs));
    // Of bits: toEqual tells 0 from −0.
    expect([copy.w.slice(), copy.s.slice()]).toEqual([original.w.slice(), original.s.slice()]);
  }
});

test.each(optimizerSpecs)('optimizer: $type writes its segment and nothing beside it', (spec) => {
  const { w, s, step } = segmentOf(spec, weights, 5);
  for (const g of gradientsOf(10)) step(g, g.map(Math.abs));
  for (const segment of [w, s]) {
    const arena = new Float32Array(segment.buffer);
    expect([...arena.subarray(0, 5), ...arena.subarray(arena.length - 5)]).toEqual(new Array(10).fill(99));
  }
});

test.each(optimizerSpecs)('optimizer: $type leaves the gradient as it was', (spec) => {
  const g = Float32Array.of(1, -2, 3, 0);
  const optimizer = createOptimizer(spec);
  const s = new Float32Array(optimizer.stateFloats(4));
  const row = { w: new Float32Array(4), wAt: 0, s, sAt: 0, dim: 4 };
  optimizer.start(row);
  optimizer.step(row, { g, h: g, at: 0 });
  expect([...g]).toEqual([1, -2, 3, 0]);
});

const elementwise = optimizerSpecs.filter((spec) => spec.type !== 'rowwise-adagrad');

test.each(elementwise)('optimizer: $type steps each weight on its own (property)', (spec) => {
  const anyNumbers = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(anyNumbers, fc.array(anyNumbers, { maxLength: 5 }), (initial, steps) => {
      const whole = segmentOf(spec, initial);
      const alone = initial.map((weight) => segmentOf(spec, [weight]));
      for (const g of steps) {
        whole.step(g, g.map(Math.abs));
        alone.forEach((segment, d) => {
          segment.step([g[d]], [Math.abs(g[d])]);
        });
      }
      expect([...whole.w]).toEqual(alone.map((segment) => segment.w[0]));
    }),
    { numRuns: 30 },
  );
});
