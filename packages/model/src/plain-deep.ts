/** Layers for one example, with what may stand before and beside them (DeepShape). */
import type { DeepShape } from './net-shape.ts';
import { createPlainCross } from './plain-cross.ts';
import { dotsBackward, dotsForward } from './plain-dots.ts';
import { backwardLayers, createPlainChain, forwardLayers, outputPlace } from './plain-layers.ts';
import type { PlainPart } from './plain-part.ts';

export function createPlainDeep({ inputs, dots, cross, hidden, unit }: DeepShape): PlainPart {
  const pairs = dots?.pairs ?? 0;
  const read = inputs - pairs;
  const net = cross === null ? null : createPlainCross(cross);
  const isStacked = cross?.structure === 'stacked';
  const chain = createPlainChain(hidden, inputs);
  const last = createPlainChain([unit], unit.inputs);
  // Without hidden layers the chain is its own output, so its inputs and its output are one place.
  const output = outputPlace(chain);
  const width = chain.values.length - output;
  /** x₀ and ∂loss/∂x₀. */
  const start = { values: net?.values ?? chain.values, deltas: net?.deltas ?? chain.deltas };

  return {
    forward({ x }, parameters) {
      for (let i = 0; i < read; i++) start.values[i] = x[i];
      if (dots !== null) dotsForward(dots, start.values, read);
      if (net !== null) {
        net.forward(parameters);
        copy(net.values, isStacked ? net.outputPlace : 0, chain.values, 0, inputs);
      }
      forwardLayers(chain, parameters);
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

function copy(from: Float64Array, fromAt: number, to: Float64Array, toAt: number, count: number): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i];
}
