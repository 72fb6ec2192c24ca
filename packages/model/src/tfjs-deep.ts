/** Layers in TensorFlow.js, with what may stand before and beside them (DeepShape). */
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { DeepShape } from './net-shape.ts';
import { type CrossTrace, loadCross, type TfCross } from './tfjs-cross.ts';
import { loadDots, type TfDots } from './tfjs-dots.ts';
import { createSplitFirstLayer } from './tfjs-first-layer.ts';
import { type ChainTrace, type Delta, loadChain } from './tfjs-layers.ts';
import { type ParameterGradient, sumOf, type Tf, type TfGradients, type TfPart } from './tfjs-part.ts';
import type { TfSplitRoom } from './tfjs-split.ts';

/** @param room null: requests run whole. */
export function loadDeep(
  tf: Tf,
  shape: DeepShape,
  parameters: Float32Array,
  room: TfSplitRoom | null,
): TfPart {
  const dots = shape.dots === null ? null : loadDots(tf, shape.dots);
  const cross = shape.cross === null ? null : loadCross(tf, shape.cross, parameters);
  const load = { ...shape, dots, cross };
  return shape.cross?.structure === 'parallel'
    ? parallel(tf, load, parameters)
    : inOneChain(tf, load, parameters, room);
}

type Loaded = Omit<DeepShape, 'dots' | 'cross'> & {
  readonly dots: TfDots | null;
  readonly cross: TfCross | null;
};

/** The hidden layers and the unit one after another, behind the cross network when there is one. */
function inOneChain(
  tf: Tf,
  { dots, cross, hidden, unit }: Loaded,
  parameters: Float32Array,
  room: TfSplitRoom | null,
): TfPart {
  const chain = loadChain(tf, [...hidden, unit], parameters);
  const split = room === null ? null : createSplitFirstLayer(tf, room, hidden[0], chain);
  return {
    get weights() {
      return [
        ...(dots?.weights ?? []),
        ...(cross?.weights ?? []),
        ...chain.weights,
        ...(split?.weights ?? []),
      ];
    },
    score: split?.score ?? null,
    forward({ slots, all }) {
      const start = inputsFrom(tf, dots, slots, all);
      const crossed = cross?.forward(start.x) ?? null;
      const trace = chain.forward(crossed?.output ?? start.x);
      return {
        logits: tf.reshape(trace.output, [-1]) as Tensor1D,
        backward(logitGradients) {
          const wanted = crossed !== null || dots !== null ? start.x.shape[1] : start.slotFloats;
          const back = trace.backward(deltaOf(tf, logitGradients), wanted);
          if (back.inputsT === null) return { slots: null, parameters: back.parameters };
          return start.backward(throughCross(crossed, tf.transpose(back.inputsT), back.parameters));
        },
      };
    },
  };
}

/** The hidden layers beside the cross network; the unit reads both. */
function parallel(tf: Tf, { dots, cross, hidden, unit }: Loaded, parameters: Float32Array): TfPart {
  const chain = loadChain(tf, hidden, parameters);
  const last = loadChain(tf, [unit], parameters);
  return {
    weights: [...(dots?.weights ?? []), ...(cross?.weights ?? []), ...chain.weights, ...last.weights],
    score: null,
    forward({ slots, all }) {
      const start = inputsFrom(tf, dots, slots, all);
      const inputs = start.x.shape[1];
      const crossed = (cross as TfCross).forward(start.x);
      const trace = chain.forward(start.x);
      const width = trace.output.shape[1];
      const head: ChainTrace = last.forward(tf.concat([trace.output, crossed.output], 1));
      return {
        logits: tf.reshape(head.output, [-1]) as Tensor1D,
        backward(logitGradients) {
          const back = head.backward(deltaOf(tf, logitGradients), width + inputs);
          const deltaT = back.inputsT as Tensor2D;
          const columns: Tensor2D = tf.slice(deltaT, [0, 0], [width, -1]);
          const through = trace.backward({ rows: tf.transpose(columns), columns }, inputs);
          const crossDelta: Tensor2D = tf.transpose(tf.slice(deltaT, [width, 0], [inputs, -1]));
          const found = [...back.parameters, ...through.parameters];
          const { x, parameters: all } = throughCross(crossed, crossDelta, found);
          return start.backward({ x: tf.add(x, tf.transpose(through.inputsT as Tensor2D)), parameters: all });
        },
      };
    },
  };
}

function deltaOf(tf: Tf, logitGradients: Tensor1D): Delta {
  return { rows: tf.reshape(logitGradients, [-1, 1]), columns: tf.reshape(logitGradients, [1, -1]) };
}

/** ∂loss/∂x₀, or of its first columns alone, and what was found of parameters. */
interface Found {
  readonly x: Tensor2D;
  readonly parameters: readonly ParameterGradient[];
}

function throughCross(
  crossed: CrossTrace | null,
  delta: Tensor2D,
  parameters: readonly ParameterGradient[],
): Found {
  if (crossed === null) return { x: delta, parameters };
  const back = crossed.backward(delta);
  return { x: back.x, parameters: [...parameters, ...back.parameters] };
}

/** x₀ = [slots, dense, dots], and the way from its gradient to that of the slots: dense fields have nothing to learn. */
function inputsFrom(tf: Tf, dots: TfDots | null, slots: Tensor2D | null, all: Tensor2D | null) {
  const read = all as Tensor2D;
  const slotFloats = slots?.shape[1] ?? 0;
  const paired = dots?.forward(slots as Tensor2D) ?? null;
  const x: Tensor2D = paired === null ? read : tf.concat([read, paired.products], 1);
  return {
    x,
    slotFloats,
    backward({ x: delta, parameters }: Found): TfGradients {
      if (slotFloats === 0) return { slots: null, parameters };
      const width = delta.shape[1];
      const own = width === slotFloats ? delta : tf.slice(delta, [0, 0], [-1, slotFloats]);
      const fromDots =
        paired?.backward(tf.slice(delta, [0, read.shape[1]], [-1, width - read.shape[1]])) ?? null;
      return { slots: sumOf(tf, own, fromDots), parameters };
    },
  };
}
