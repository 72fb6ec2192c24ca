import type { OptimizerSpec, StepBounds } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundedOptimizer } from '../../src/optimizer/bounded-step.ts';
import { createOptimizer } from '../../src/optimizer/create-optimizer.ts';
import { createSgd } from '../../src/optimizer/sgd.ts';
import { optimizerSpecs } from '../model-files.ts';
import { segmentOf } from './segment.ts';

/** Optimizers whose penalties are not their own. */
const penalised = optimizerSpecs.filter(({ type }) => type !== 'ftrl');
const all: StepBounds = { l1: 0.01, l2: 0.05, gradientMax: 0.8, gradientNormMax: 1.1, weightMax: 0.75 };

function close(found: Float32Array, wanted: readonly number[]): void {
  wanted.forEach((value, d) => {
    expect(found[d]).toBeCloseTo(value, 6);
  });
}

test('bounded step: no bounds, no wrapping: the step costs what it did', () => {
  const plain = createSgd({ type: 'sgd', learningRate: 1 });
  for (const spec of [{}, { l1: 0, l2: 0 }])
    expect(boundedOptimizer(plain, { type: 'sgd', learningRate: 1, ...spec })).toBe(plain);
  expect(boundedOptimizer(plain, { type: 'sgd', learningRate: 1, weightMax: 3 })).not.toBe(plain);
});

test('bounded step: gradientMax cuts, then gradientNormMax scales, hand-computed', () => {
  // (3, −9) is cut to (3, −4), of length 5, scaled to 1: (0.6, −0.8).
  const spec: OptimizerSpec = { type: 'sgd', learningRate: 1, gradientMax: 4, gradientNormMax: 1 };
  const { w, step } = segmentOf(spec, [0, 0]);
  step([3, -9]);
  close(w, [-0.6, 0.8]);
  // A gradient that is short enough stays what it is, bit for bit.
  const other = segmentOf(spec, [0, 0]);
  other.step([0.3, -0.7]);
  expect([...other.w]).toEqual([Math.fround(-0.3), Math.fround(0.7)]);
});

test('bounded step: sgd with l2, l1 and weightMax, hand-computed', () => {
  // w 1: g = 0.5 + 0.1·1 + 0.2 = 0.8, w = 0.92.  w −1: g = 0.5 − 0.1 − 0.2 = 0.2, w = −1.02, kept within −1.
  // w 0: |0.15| ≤ 0.2, stays.  w 0: g = −0.5 + 0.2 = −0.3, w = 0.03.  w 0.01: g = 0.5 + 0.001 + 0.2, over 0: 0.
  const spec: OptimizerSpec = { type: 'sgd', learningRate: 0.1, l2: 0.1, l1: 0.2, weightMax: 1 };
  const { w, step } = segmentOf(spec, [1, -1, 0, 0, 0.01]);
  step([0.5, 0.5, 0.15, -0.5, 0.5]);
  close(w, [0.92, -1, 0, 0.03, 0]);
});

test('bounded step: adagrad, hand-computed', () => {
  // g = 0.2 + 0.1·1 + 0.1 = 0.4; acc = 0.09 + 0.16 = 0.25; w = 1 − 0.5·0.4/0.5 = 0.6.
  const { w, s, step } = segmentOf(
    { type: 'adagrad', learningRate: 0.5, initialAccumulator: 0.09, l1: 0.1, l2: 0.1 },
    [1],
  );
  step([0.2]);
  close(w, [0.6]);
  close(s, [0.25]);
});

test('bounded step: row-wise adagrad takes the mean of the bounded gradients, hand-computed', () => {
  // (5, 0.05) is cut to (0.9, 0.05); with l1 (1, 0). acc = 1/2; w = 1 − 0.1 · 1/√0.5.
  const { w, s, step } = segmentOf(
    { type: 'rowwise-adagrad', learningRate: 0.1, initialAccumulator: 0, gradientMax: 0.9, l1: 0.1 },
    [1, 0],
  );
  step([5, 0.05]);
  close(s, [0.5]);
  close(w, [1 - 0.1 / Math.sqrt(0.5), 0]);
});

test('bounded step: adam, hand-computed', () => {
  // Its first step is lr · sign(g), whatever g is: 0.5 − 0.1; with weightMax 0.3 that is cut.
  const spec: OptimizerSpec = { type: 'adam', learningRate: 0.1, l2: 1, weightMax: 0.3 };
  const { w, s, step } = segmentOf(spec, [0.5]);
  step([0.5]);
  // m = 0.1 · (0.5 + 1 · 0.5), v = 0.001 · 1².
  close(s, [0.1, 0.001]);
  close(w, [0.3]);
});

test('bounded step: ftrl keeps its own l1 and l2 and takes the other bounds, hand-computed', () => {
  // g = 3 cut to 1; n = 1, z = 1; w = −(1 − 0.5) / ((1 + 1)/1 + 2) = −0.125, within 0.1: −0.1.
  const { w, s, step } = segmentOf(
    { type: 'ftrl', alpha: 1, l1: 0.5, l2: 2, gradientMax: 1, weightMax: 0.1 },
    [0],
  );
  step([3]);
  close(s, [1, 1]);
  close(w, [-0.1]);
  // With its penalties alone it is the plain one.
  const spec: OptimizerSpec = { type: 'ftrl', alpha: 0.1, l1: 0.01, l2: 0.1 };
  const [bare, wide] = [segmentOf(spec, [0.5]), segmentOf({ ...spec, weightMax: 1e9 }, [0.5])];
  for (const g of [0.3, -0.2, 0.7, 0.01]) {
    bare.step([g]);
    wide.step([g]);
    expect([...wide.w, ...wide.s]).toEqual([...bare.w, ...bare.s]);
  }
});

test('bounded step: newton keeps its curvature, hand-computed', () => {
  // g = 4 cut to 2, + 0.5·2 = 3; H = 5; w = 2 − 3/(1 + 5) = 1.5.
  const { w, s, step } = segmentOf({ type: 'newton', gradientMax: 2, l2: 0.5 }, [2]);
  step([4], [5]);
  close(s, [5]);
  close(w, [1.5]);
});

/** The formulas of bounded-step.ts in float64, around a step in float64 of one segment. */
function referenceStep(bounds: Required<StepBounds>, own: (w: number[], g: number[]) => void) {
  return (w: number[], gradient: Float32Array) => {
    const cut = [...gradient].map((g) => Math.sign(g) * Math.min(Math.abs(g), bounds.gradientMax));
    const norm = Math.hypot(...cut);
    const scaled = cut.map((g) => (norm > bounds.gradientNormMax ? (g * bounds.gradientNormMax) / norm : g));
    const g = scaled.map((each, d) => {
      const smooth = each + bounds.l2 * w[d];
      if (w[d] !== 0) return smooth + bounds.l1 * Math.sign(w[d]);
      return Math.sign(smooth) * Math.max(0, Math.abs(smooth) - bounds.l1);
    });
    const side = w.map((weight, d) => Math.sign(weight) || -Math.sign(g[d]));
    own(w, g);
    w.forEach((weight, d) => {
      const kept = bounds.l1 > 0 && Math.sign(weight) !== side[d] ? 0 : weight;
      w[d] = Math.sign(kept) * Math.min(Math.abs(kept), bounds.weightMax);
    });
  };
}

/** Steps of the optimizers as the papers have them, float64, with state of their own. */
function ownStep(spec: OptimizerSpec, dim: number): (w: number[], g: number[], h: number[]) => void {
  const n = new Array<number>(dim).fill(spec.type === 'adagrad' || spec.type === 'rowwise-adagrad' ? 0.1 : 0);
  const m = new Array<number>(dim).fill(0);
  let t = 0;
  return (w, g, h) => {
    t += 1;
    const meanSquare = g.reduce((sum, each) => sum + each ** 2, 0) / dim;
    g.forEach((each, d) => {
      if (spec.type === 'sgd') w[d] -= spec.learningRate * each;
      else if (spec.type === 'adagrad' || spec.type === 'rowwise-adagrad') {
        n[d] += spec.type === 'adagrad' ? each ** 2 : meanSquare;
        w[d] -= (spec.learningRate * each) / Math.sqrt(n[d]);
      } else if (spec.type === 'adam') {
        m[d] = 0.9 * m[d] + 0.1 * each;
        n[d] = 0.999 * n[d] + 0.001 * each ** 2;
        w[d] -= (spec.learningRate * (m[d] / (1 - 0.9 ** t))) / (Math.sqrt(n[d] / (1 - 0.999 ** t)) + 1e-8);
      } else if (spec.type === 'newton') {
        n[d] += h[d];
        w[d] -= each / (1 + n[d]);
      }
    });
  };
}

/** Gradients of steps of four weights, uniform in [−1, 1), from a fixed generator. */
function gradientsOf(steps: number, seed = 1): Float32Array[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return Array.from({ length: steps }, () => Float32Array.from({ length: 4 }, next));
}

test.each(penalised)('bounded step: $type follows the formulas in float64 over 500 random steps', (spec) => {
  // Without l1: whether a weight crosses 0 in float32 and in float64 may differ by a rounding, and then ways part.
  const bounds = { ...all, l1: 0 };
  const { w, step } = segmentOf({ ...spec, ...bounds }, [0.5, -0.25, 0, 1]);
  const reference = [...w];
  const own = ownStep(spec, 4);
  let worst = 0;
  for (const g of gradientsOf(500)) {
    const h = [...g].map(Math.abs);
    step(g, h);
    referenceStep({ ...bounds, l1: 0 } as Required<StepBounds>, (weights, gradient) =>
      own(weights, gradient, h),
    )(reference, g);
    reference.forEach((wanted, d) => {
      worst = Math.max(worst, Math.abs(w[d] - wanted));
    });
  }
  // Roundings to 24 bits add up like a walk: √500 · 6e-8 = 1.3e-6; a few times that.
  expect(worst).toBeLessThan(5e-6);
  expect([...w].every((weight) => Math.abs(weight) <= 0.75)).toBe(true);
});

test.each(penalised)(
  'bounded step: $type with l1 follows the formulas from any weights (property)',
  (spec) => {
    const anyWeight = fc.constantFrom(0, 0, 0.5, -0.5, 1e-3, -1e-3);
    const anyGradient = fc.constantFrom(0, 0.004, -0.004, 0.3, -0.3, 2, -2);
    const anyFour = <T>(of: fc.Arbitrary<T>) => fc.array(of, { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(anyFour(anyWeight), anyFour(anyGradient), (weights, gradient) => {
        const { w, step } = segmentOf({ ...spec, ...all }, weights);
        const reference = [...w];
        const own = ownStep(spec, 4);
        const h = gradient.map(Math.abs);
        step(gradient, h);
        referenceStep(all as Required<StepBounds>, (at, g) => own(at, g, h))(
          reference,
          Float32Array.from(gradient),
        );
        reference.forEach((wanted, d) => {
          if (Math.abs(w[d] - wanted) > 1e-6) expect.fail(`weight ${d}: ${w[d]}, wanted ${wanted}`);
        });
      }),
      { numRuns: 200 },
    );
  },
);

test.each(penalised)('bounded step: $type: l1 keeps zeros at zero for weak gradients (property)', (spec) => {
  const weak = fc.float({ min: Math.fround(-0.01), max: Math.fround(0.01), noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(weak, weak), { maxLength: 30 }), (gradients) => {
      const { w, step } = segmentOf({ ...spec, l1: 0.011 }, [0, 0]);
      for (const g of gradients) step(g, [1, 1]);
      expect([...w].map(Math.abs)).toEqual([0, 0]);
    }),
  );
});

test('bounded step: l1 brings a weight that nothing needs to 0, and keeps it there', () => {
  const { w, step } = segmentOf({ type: 'sgd', learningRate: 0.1, l1: 0.1 }, [0.5]);
  for (let i = 0; i < 60; i += 1) step([i % 2 === 0 ? 0.05 : -0.05]);
  expect(w[0]).toBe(0);
});

test.each(optimizerSpecs)('bounded step: $type takes the same next step from a copy, bit for bit', (spec) => {
  const bounded = { ...spec, ...all };
  const original = segmentOf(bounded, [0.5, -0.25, 0, 1]);
  for (const g of gradientsOf(100)) original.step(g, g.map(Math.abs));
  const copy = segmentOf(bounded, [0.5, -0.25, 0, 1], 3);
  copy.w.set(original.w);
  copy.s.set(original.s);
  for (const g of gradientsOf(100, 2)) {
    original.step(g, g.map(Math.abs));
    copy.step(g, g.map(Math.abs));
    expect([copy.w.slice(), copy.s.slice()]).toEqual([original.w.slice(), original.s.slice()]);
  }
});

test('bounded step: leaves the gradient as it was and writes nothing beside its segment', () => {
  const optimizer = createOptimizer({ type: 'adagrad', learningRate: 0.1, ...all });
  const w = new Float32Array(6).fill(2);
  const s = new Float32Array(6).fill(3);
  const g = Float32Array.of(9, 1, -2, 9);
  optimizer.step({ w, wAt: 2, s, sAt: 1, dim: 2 }, { g, h: g, at: 1 });
  expect([...g]).toEqual([9, 1, -2, 9]);
  expect([w[1], w[4], s[0], s[3]]).toEqual([2, 2, 3, 3]);
});
