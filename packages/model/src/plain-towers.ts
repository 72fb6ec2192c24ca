/**
 * Two towers for one example: ⟨shared, item⟩ of their outputs. Each runs by itself over its own inputs, so that an item's
 * output can be computed ahead of the user who asks.
 */
import type { InputSide } from './input-sides.ts';
import { createItemMemo } from './item-memo.ts';
import type { TowerShape, TowersShape } from './net-shape.ts';
import {
  backwardLayers,
  createPlainChain,
  forwardLayers,
  outputPlace,
  type PlainChain,
} from './plain-layers.ts';
import type { PlainPart, PlainSplit } from './plain-part.ts';

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

/** @param sides of [slots, dense]. */
export function createPlainTowers(shape: TowersShape, sides: readonly InputSide[]): PlainPart {
  const shared = createPlainTower(shape.shared);
  const item = createPlainTower(shape.item);
  const [s, t] = [outputPlace(shared.chain), outputPlace(item.chain)];
  const units = shared.chain.values.length - s;
  return {
    split: splitTowers(shape, sides),
    forward({ x }, parameters) {
      towerForward(shared, x, parameters);
      towerForward(item, x, parameters);
      let dot = 0;
      for (let u = 0; u < units; u++)
        dot += shared.chain.values[s + u] * Math.fround(item.chain.values[t + u]);
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

/** The shared tower once a request; an item's output, as float32, from request to request. */
function splitTowers(shape: TowersShape, sides: readonly InputSide[]): PlainSplit {
  const shared = createPlainTower(shape.shared);
  const item = createPlainTower(shape.item);
  const [s, t] = [outputPlace(shared.chain), outputPlace(item.chain)];
  const units = shared.chain.values.length - s;
  const { inputs } = shape.item;
  // What an item attends to depends on the request.
  const isOwn = inputs.every((place) => sides[place] === 'item');
  const memo = createItemMemo(inputs.length, units);
  const itemInputs = new Float32Array(inputs.length);
  const itemOutput = new Float32Array(units);
  let parameters = new Float32Array(0) as Float32Array;
  let keepsItems = false;
  return {
    use(weights, keeps) {
      parameters = weights;
      keepsItems = keeps && isOwn;
      if (keepsItems) memo.use(weights);
    },
    begin({ x }) {
      towerForward(shared, x, parameters);
    },
    item({ x }) {
      let from: Float32Array = itemOutput;
      let place = -1;
      if (keepsItems) {
        for (let i = 0; i < inputs.length; i++) itemInputs[i] = x[inputs[i]];
        place = memo.find(itemInputs, 0);
      }
      if (place < 0) {
        towerForward(item, x, parameters);
        for (let u = 0; u < units; u++) itemOutput[u] = item.chain.values[t + u];
        if (keepsItems) memo.keep(itemInputs, 0, itemOutput, 0);
        place = 0;
      } else from = memo.outputs;
      let dot = 0;
      for (let u = 0; u < units; u++) dot += shared.chain.values[s + u] * from[place + u];
      return dot;
    },
  };
}
