/**
 * Two towers for one example: ⟨shared, item⟩ of their outputs. Each runs by itself over its own inputs, so that an item's
 * output can be computed ahead of the user who asks.
 */
import type { TowerShape, TowersShape } from './net-shape.ts';
import {
  backwardLayers,
  createPlainChain,
  forwardLayers,
  outputPlace,
  type PlainChain,
} from './plain-layers.ts';
import type { PlainPart } from './plain-part.ts';

export interface PlainTower {
  readonly shape: TowerShape;
  readonly chain: PlainChain;
}

export function createPlainTower(shape: TowerShape): PlainTower {
  return { shape, chain: createPlainChain(shape.layers, shape.inputs.length) };
}

/** Runs the tower over an example's [slots, dense]; its output stands in the chain's values from outputPlace on. */
export function towerForward({ shape, chain }: PlainTower, x: Float64Array, parameters: Float32Array): void {
  for (let i = 0; i < shape.inputs.length; i++) chain.values[i] = x[shape.inputs[i]];
  forwardLayers(chain, parameters);
}

/** The chain's deltas have ∂loss/∂output; what of its inputs are slots is added to `slopes`. */
function towerBackward(
  { shape, chain }: PlainTower,
  parameters: Float32Array,
  slopes: Float64Array,
  sums: Float64Array,
): void {
  backwardLayers(chain, parameters, sums);
  for (let i = 0; i < shape.inputs.length; i++) {
    if (shape.inputs[i] < slopes.length) slopes[shape.inputs[i]] += chain.deltas[i];
  }
}

export function createPlainTowers(shape: TowersShape): PlainPart {
  const shared = createPlainTower(shape.shared);
  const item = createPlainTower(shape.item);
  const [s, t] = [outputPlace(shared.chain), outputPlace(item.chain)];
  const units = shared.chain.values.length - s;
  return {
    forward({ x }, parameters) {
      towerForward(shared, x, parameters);
      towerForward(item, x, parameters);
      let dot = 0;
      for (let u = 0; u < units; u++) dot += shared.chain.values[s + u] * item.chain.values[t + u];
      return dot;
    },
    backward({ slopes }, parameters, gradient, sums) {
      for (let u = 0; u < units; u++) {
        shared.chain.deltas[s + u] = gradient * item.chain.values[t + u];
        item.chain.deltas[t + u] = gradient * shared.chain.values[s + u];
      }
      towerBackward(shared, parameters, slopes, sums);
      towerBackward(item, parameters, slopes, sums);
    },
  };
}
