/** Two towers in TensorFlow.js; each runs by itself over its own inputs. */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { TowerShape, TowersShape } from './net-shape.ts';
import { type ChainTrace, loadChain } from './tfjs-layers.ts';
import { placesFrom, type Tf, type TfPart } from './tfjs-part.ts';
import { createHalves, type TfScore, type TfSplitRoom } from './tfjs-split.ts';

export interface TfTower {
  readonly weights: readonly Tensor[];
  /** @param inputs [rows, inputs]: what the tower reads, in its order. */
  forwardOwn(inputs: Tensor2D): Tensor2D;
  /** @param all [rows, slotFloats + denseFields]: [slots, dense]. */
  forward(all: Tensor2D): ChainTrace;
}

export function loadTower(tf: Tf, { inputs, layers }: TowerShape, parameters: Float32Array): TfTower {
  const chain = loadChain(tf, layers, parameters);
  const places = placesFrom(tf, inputs);
  return {
    weights: [...chain.weights, places],
    forwardOwn: (own) => chain.forward(own).output,
    forward: (all) => chain.forward(tf.gather(all, places, 1)),
  };
}

/** @param room null: requests run whole. */
export function loadTowers(
  tf: Tf,
  shape: TowersShape,
  parameters: Float32Array,
  room: TfSplitRoom | null,
): TfPart {
  const shared = loadTower(tf, shape.shared, parameters);
  const item = loadTower(tf, shape.item, parameters);
  const [s, t] = [shape.shared.inputs.length, shape.item.inputs.length];
  return {
    weights: [...shared.weights, ...item.weights],
    score: room === null ? null : splitTowers(tf, shape, room, shared, item),
    forward({ rows, slots, all }) {
      const [a, b] = [shared.forward(all as Tensor2D), item.forward(all as Tensor2D)];
      return {
        logits: tf.sum(tf.mul(a.output, b.output), 1) as Tensor1D,
        backward(logitGradients) {
          const g: Tensor2D = tf.reshape(logitGradients, [-1, 1]);
          const toShared = a.backward(deltaFrom(tf, tf.mul(g, b.output)), s);
          const toItem = b.backward(deltaFrom(tf, tf.mul(g, a.output)), t);
          const parameters = [...toShared.parameters, ...toItem.parameters];
          if (slots === null) return { slots: null, parameters };
          // A slot that neither tower reads takes the row of zeros behind both.
          const found = [toShared.inputsT as Tensor2D, toItem.inputsT as Tensor2D, tf.zeros([1, rows])];
          const places = placesFrom(tf, placesOfSlots(shape, slots.shape[1]));
          return { slots: tf.transpose(tf.gather(tf.concat(found as Tensor2D[], 0), places)), parameters };
        },
      };
    },
  };
}

/** The shared tower once a request, the item's once an item. */
function splitTowers(tf: Tf, shape: TowersShape, room: TfSplitRoom, shared: TfTower, item: TfTower): TfScore {
  const units = shape.item.layers.at(-1)?.units ?? shape.item.inputs.length;
  const halves = createHalves(tf, room, item.weights, {
    shared: (x) => shared.forwardOwn(x),
    item: (x) => item.forwardOwn(x),
    sharedPlaces: Int32Array.from(shape.shared.inputs),
    itemPlaces: Int32Array.from(shape.item.inputs),
    units,
  });
  return (input) => {
    const met = halves(input);
    const logits = new Float32Array(input.rows);
    for (let b = 0; b < input.rows; b += 1) {
      const from = met.requestOf(b) * units;
      let dot = 0;
      for (let u = 0; u < units; u += 1) dot += met.shared[from + u] * met.items[b * units + u];
      logits[b] = dot;
    }
    return tf.tensor1d(logits);
  };
}

/** For each float of the slots its place among the inputs of both towers, one after the other. */
function placesOfSlots({ shared, item }: TowersShape, slotFloats: number): number[] {
  const inputs = [...shared.inputs, ...item.inputs];
  const places = new Array<number>(slotFloats).fill(inputs.length);
  inputs.forEach((from, place) => {
    if (from < slotFloats) places[from] = place;
  });
  return places;
}

function deltaFrom(tf: Tf, rows: Tensor2D) {
  return { rows, columns: tf.transpose(rows) as Tensor2D };
}
