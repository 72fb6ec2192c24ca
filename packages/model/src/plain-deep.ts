/** Layers for one example, with what may stand before and beside them (DeepShape). */
import { type InputSide, sideOfPair } from './input-sides.ts';
import type { DeepShape, DotsShape } from './net-shape.ts';
import { createPlainCross } from './plain-cross.ts';
import { dotsBackward, dotsForward } from './plain-dots.ts';
import {
  activate,
  backwardLayers,
  createPlainChain,
  forwardFrom,
  forwardLayers,
  outputPlace,
} from './plain-layers.ts';
import type { PlainPart, PlainSplit } from './plain-part.ts';
import { createSplitLayer, type SplitLayer } from './plain-split.ts';

/** @param sides of [slots, dense]. */
export function createPlainDeep(shape: DeepShape, sides: readonly InputSide[]): PlainPart {
  const { inputs, dots, cross, hidden, unit } = shape;
  const pairs = dots?.pairs ?? 0;
  const read = inputs - pairs;
  const net = cross === null ? null : createPlainCross(cross);
  const isStacked = cross?.structure === 'stacked';
  const chain = createPlainChain(hidden, inputs);
  const last = createPlainChain([unit], unit.inputs);
  // Without hidden layers the chain is its own output, so its inputs and its output are one place.
  const output = outputPlace(chain);
  const width = chain.values.length - output;
  const first = firstLayer(shape, sides);
  /** x₀ and ∂loss/∂x₀. */
  const start = { values: net?.values ?? chain.values, deltas: net?.deltas ?? chain.deltas };

  return {
    split: first === null ? null : splitDeep(shape, first),
    forward({ x }, parameters) {
      for (let i = 0; i < read; i++) start.values[i] = x[i];
      if (dots !== null) dotsForward(dots, start.values, read);
      if (net !== null) {
        net.forward(parameters);
        copy(net.values, isStacked ? net.outputPlace : 0, chain.values, 0, inputs);
      }
      if (first === null) forwardLayers(chain, parameters);
      else {
        first.use(parameters, false);
        first.begin(chain.values);
        first.item(chain.values, chain.values, chain.places[1]);
        activate(hidden[0].activation, chain.values, chain.places[1], hidden[0].units);
        forwardFrom(chain, parameters, 1);
      }
      copy(chain.values, output, last.values, 0, width);
      if (net !== null && !isStacked) copy(net.values, net.outputPlace, last.values, width, inputs);
      forwardLayers(last, parameters);
      return last.values[unit.inputs];
    },
    backward({ slopes }, parameters, gradient, sums) {
      last.deltas[unit.inputs] = gradient;
      backwardLayers(last, parameters, sums);
      copy(last.deltas, 0, chain.deltas, output, width);
      backwardLayers(chain, parameters, sums);
      if (net !== null) {
        copy(
          isStacked ? chain.deltas : last.deltas,
          isStacked ? 0 : width,
          net.deltas,
          net.outputPlace,
          inputs,
        );
        net.backward(parameters, sums);
        if (!isStacked) for (let i = 0; i < inputs; i++) net.deltas[i] += chain.deltas[i];
      }
      if (dots !== null) dotsBackward(dots, start.values, start.deltas, read);
      for (let i = 0; i < slopes.length; i++) slopes[i] += start.deltas[i];
    },
  };
}

/** Null: a cross network mixes all inputs before the first layer, or there are no hidden layers, and nothing that would pay. */
function firstLayer({ dots, cross, hidden }: DeepShape, sides: readonly InputSide[]): SplitLayer | null {
  if (cross !== null || hidden.length === 0) return null;
  return createSplitLayer(hidden[0], [...sides, ...pairSides(dots, sides)]);
}

function splitDeep({ inputs, dots, hidden, unit }: DeepShape, layer: SplitLayer): PlainSplit {
  const [first] = hidden;
  const read = inputs - (dots?.pairs ?? 0);
  const chain = createPlainChain([...hidden, unit], inputs);
  const to = chain.places[1];
  const output = outputPlace(chain);
  let parameters = new Float32Array(0) as Float32Array;
  const readInputs = (x: Float64Array) => {
    for (let i = 0; i < read; i++) chain.values[i] = x[i];
    if (dots !== null) dotsForward(dots, chain.values, read);
  };
  return {
    use(weights, keeps) {
      parameters = weights;
      layer.use(weights, keeps);
    },
    begin({ x }) {
      readInputs(x);
      layer.begin(chain.values);
    },
    item({ x }) {
      readInputs(x);
      layer.item(chain.values, chain.values, to);
      activate(first.activation, chain.values, to, first.units);
      forwardFrom(chain, parameters, 1);
      return chain.values[output];
    },
  };
}

/** Sides of the products of slots, in their order. */
function pairSides(dots: DotsShape | null, sides: readonly InputSide[]): InputSide[] {
  if (dots === null) return [];
  const { slots, dim } = dots;
  const found: InputSide[] = [];
  for (let i = 0; i < slots; i++) {
    for (let j = i + 1; j < slots; j++) {
      // An item's product is no input of its own: it is not what the item is found by, and costs next to nothing.
      const side = sideOfPair(sides[i * dim], sides[j * dim]);
      found.push(side === 'item' ? 'mixed' : side);
    }
  }
  return found;
}

function copy(from: Float64Array, fromAt: number, to: Float64Array, toAt: number, count: number): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i];
}
