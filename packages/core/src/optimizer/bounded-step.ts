/**
 * What every optimizer takes beside its own formula: penalties and limits of one step, around any of them. Per segment of a
 * row, with the gradient g of the block and the weights w before the step:
 *
 *   1  g_d ← min(max(g_d, −gradientMax), gradientMax)
 *   2  g   ← g · gradientNormMax / ‖g‖                 where ‖g‖ = sqrt(Σ g_d²) > gradientNormMax
 *   3  g_d ← g_d + l2·w_d
 *   4  g_d ← g_d + l1·sign(w_d)                        where w_d ≠ 0
 *      g_d ← g_d − l1·sign(g_d), or 0 where |g_d| ≤ l1    where w_d = 0
 *   5  w, s ← the optimizer's step with g
 *   6  w_d ← 0 where it left its side of 0             with l1: the side of w_d, or of −g_d where w_d was 0
 *   7  w_d ← min(max(w_d, −weightMax), weightMax)
 *
 * 4 and 6 are the pseudo-gradient and the orthant of OWL-QN (Andrew, Gao, ICML 2007): a weight at 0 stays there while its
 * gradient is no larger than l1, and one whose step would carry it over 0 stops there. FTRL has l1 and l2 in its closed form,
 * so for it 3, 4 and 6 are left out. Gradients are rounded to float32 once, after 4. Only + − × ÷ and sqrt (I2).
 */
import type { OptimizerSpec, StepBounds } from '@millrace/protocol';
import type { GradientView, Optimizer } from './optimizer.ts';

/** The optimizer with the bounds of its spec around it; the very same one where the spec has none. */
export function boundedOptimizer(plain: Optimizer, spec: OptimizerSpec): Optimizer {
  const { l1 = 0, l2 = 0, gradientMax = none, gradientNormMax = none, weightMax = none }: StepBounds = spec;
  const penalties = spec.type === 'ftrl' ? { l1: 0, l2: 0 } : { l1, l2 };
  const bounds: Bounds = { ...penalties, gradientMax, gradientNormMax, weightMax };
  const isBounded =
    bounds.l1 > 0 || bounds.l2 > 0 || Math.min(gradientMax, gradientNormMax, weightMax) < none;
  return isBounded ? withBounds(plain, bounds) : plain;
}

type Bounds = Readonly<Required<StepBounds>>;

const none = Number.POSITIVE_INFINITY;

function withBounds(plain: Optimizer, bounds: Bounds): Optimizer {
  const { l1, l2, weightMax } = bounds;
  // Grown to the longest segment once, so that a step allocates nothing.
  let sides = new Int8Array(0);
  const view: GradientView = { g: new Float32Array(0), h: new Float32Array(0), at: 0 };
  return {
    stateFloats: (dim) => plain.stateFloats(dim),
    needsCurvature: plain.needsCurvature,
    start: (row) => plain.start(row),
    step(row, { g, h, at }) {
      const { w, wAt, dim } = row;
      if (view.g.length < dim) {
        view.g = new Float32Array(dim);
        view.h = plain.needsCurvature ? new Float32Array(dim) : view.g;
        sides = new Int8Array(dim);
      }
      const scale = gradientScale(g, at, dim, bounds);
      for (let d = 0; d < dim; d += 1) {
        const weight = w[wAt + d];
        const gradient = within(g[at + d], bounds.gradientMax) * scale + l2 * weight;
        view.g[d] = l1 > 0 ? penalised(gradient, weight, l1) : gradient;
        sides[d] = weight > 0 ? 1 : weight < 0 ? -1 : view.g[d] < 0 ? 1 : view.g[d] > 0 ? -1 : 0;
        if (plain.needsCurvature) view.h[d] = h[at + d];
      }
      plain.step(row, view);
      for (let d = wAt; d < wAt + dim; d += 1) {
        if (l1 > 0 && w[d] * sides[d - wAt] <= 0) w[d] = 0;
        w[d] = within(w[d], weightMax);
      }
    },
  };
}

/** What the cut gradient is multiplied with, so that it is no longer than gradientNormMax. */
function gradientScale(g: Float32Array, at: number, dim: number, bounds: Bounds): number {
  const { gradientMax, gradientNormMax } = bounds;
  if (gradientNormMax === none) return 1;
  let squares = 0;
  for (let d = at; d < at + dim; d += 1) {
    const gradient = within(g[d], gradientMax);
    squares += gradient * gradient;
  }
  const norm = Math.sqrt(squares);
  return norm > gradientNormMax ? gradientNormMax / norm : 1;
}

/** The gradient with the slope of l1·|w|; at 0 the least of all that it may be there. */
function penalised(gradient: number, weight: number, l1: number): number {
  if (weight > 0) return gradient + l1;
  if (weight < 0) return gradient - l1;
  return gradient > l1 ? gradient - l1 : gradient < -l1 ? gradient + l1 : 0;
}

function within(value: number, max: number): number {
  return Math.min(max, Math.max(-max, value));
}
