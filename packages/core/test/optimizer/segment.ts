/** One segment and its optimizer, for tests of a step. */
import type { OptimizerSpec } from '@millrace/protocol';
import { createOptimizer } from '../../src/optimizer/create-optimizer.ts';
import type { Optimizer } from '../../src/optimizer/optimizer.ts';

export interface TestSegment {
  readonly optimizer: Optimizer;
  readonly w: Float32Array;
  readonly s: Float32Array;
  step(g: readonly number[] | Float32Array, h?: readonly number[] | Float32Array): void;
}

/** A started segment of its own, or, with `padding`, one that lies so many floats within larger arenas. */
export function segmentOf(spec: OptimizerSpec, weights: readonly number[], padding = 0): TestSegment {
  const optimizer = createOptimizer(spec);
  const dim = weights.length;
  const floats = optimizer.stateFloats(dim);
  const arenaW = new Float32Array(dim + 2 * padding).fill(99);
  const arenaS = new Float32Array(floats + 2 * padding).fill(99);
  arenaW.set(weights, padding);
  const row = { w: arenaW, wAt: padding, s: arenaS, sAt: padding, dim };
  optimizer.start(row);
  return {
    optimizer,
    w: arenaW.subarray(padding, padding + dim),
    s: arenaS.subarray(padding, padding + floats),
    step(g, h = g) {
      const paddedG = new Float32Array(dim + padding).fill(99);
      const paddedH = new Float32Array(dim + padding).fill(99);
      paddedG.set(g, padding);
      paddedH.set(h, padding);
      optimizer.step(row, { g: paddedG, h: paddedH, at: padding });
    },
  };
}
