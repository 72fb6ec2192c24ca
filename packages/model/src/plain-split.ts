/**
 * The first of a chain's layers in parts, so that each is computed no more often than it changes:
 *
 *   z = (b + Σ_shared x·K)  +  float32(Σ_item x·K)  +  Σ_mixed x·K
 *        once a request        once an item, kept      each time
 *
 * The order is the same whether parts are kept or computed anew, so that a score does not depend on the company it was in.
 */
import { type InputSide, placesOf } from './input-sides.ts';
import { createItemMemo, type ItemMemo } from './item-memo.ts';
import type { DenseLayer } from './net-shape.ts';

export interface SplitLayer {
  /** Begins a batch with these weights; items are kept from request to request where `keeps`. */
  use(parameters: Float32Array, keeps: boolean): void;
  /** Computes what the items of a request share. @param inputs  float64, the layer's inputs are its first; shared ones are read. */
  begin(inputs: Float64Array): void;
  /** Writes z, before the activation, to out[at …). */
  item(inputs: Float64Array, out: Float64Array, at: number): void;
}

/** @param sides of the layer's inputs. */
export function createSplitLayer(layer: DenseLayer, sides: readonly InputSide[]): SplitLayer {
  const { inputs: width, units, kernelOffset } = layer;
  const shared = placesOf(sides, 'shared');
  const own = placesOf(sides, 'item');
  const mixed = placesOf(sides, 'mixed');
  const memo: ItemMemo = createItemMemo(own.length, units);
  const sharedSums = new Float64Array(units);
  const itemSums = new Float64Array(units);
  const itemZ = new Float32Array(units);
  const itemInputs = new Float32Array(own.length);
  const biasOffset = kernelOffset + width * units;
  let parameters = new Float32Array(0) as Float32Array;
  let keepsItems = false;

  return {
    use(weights, keeps) {
      parameters = weights;
      keepsItems = keeps && own.length > 0;
      if (keepsItems) memo.use(weights);
    },
    begin(inputs) {
      for (let u = 0; u < units; u += 1) sharedSums[u] = parameters[biasOffset + u];
      addRows(shared, inputs, parameters, kernelOffset, units, sharedSums, 0);
    },
    item(inputs, out, at) {
      let from: Float32Array = itemZ;
      let place = -1;
      if (keepsItems) {
        for (let i = 0; i < own.length; i += 1) itemInputs[i] = inputs[own[i]];
        place = memo.find(itemInputs, 0);
      }
      if (place < 0) {
        itemSums.fill(0);
        addRows(own, inputs, parameters, kernelOffset, units, itemSums, 0);
        itemZ.set(itemSums);
        if (keepsItems) memo.keep(itemInputs, 0, itemZ, 0);
        place = 0;
      } else from = memo.outputs;
      for (let u = 0; u < units; u += 1) out[at + u] = sharedSums[u] + from[place + u];
      addRows(mixed, inputs, parameters, kernelOffset, units, out, at);
    },
  };
}

/** out[at + u] += Σ over the places of inputs[place] · kernel[place, u] */
function addRows(
  places: Int32Array,
  inputs: Float64Array,
  parameters: Float32Array,
  kernelOffset: number,
  units: number,
  out: Float64Array,
  at: number,
): void {
  for (let i = 0; i < places.length; i += 1) {
    const x = inputs[places[i]];
    if (x === 0) continue;
    const row = kernelOffset + places[i] * units;
    for (let u = 0; u < units; u += 1) out[at + u] += x * parameters[row + u];
  }
}
