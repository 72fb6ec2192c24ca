/**
 * Layers of requests in TensorFlow.js: of the first one what the items of a request share is computed once.
 *
 *   z = requestOf(x_shared·K_shared + b) + x_own·K_own
 *
 * A sum and an activation by themselves cost the WASM backend less than the products that they save; the shared sum as a bias
 * inside the product would cost more, for it packs the kernel anew with each bias.
 */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { NetInput } from './engine.ts';
import type { DenseLayer } from './net-shape.ts';
import { activate, type TfChain } from './tfjs-layers.ts';
import { placesFrom, type Tf } from './tfjs-part.ts';
import { matrix, noteRequests, pack, type TfScore, type TfSplitRoom } from './tfjs-split.ts';

export interface SplitFirstLayer {
  /** Made by the first score. */
  readonly weights: readonly Tensor[];
  readonly score: TfScore;
}

interface Kernels {
  readonly shared: Tensor2D;
  readonly own: Tensor2D;
}

/** @param chain all layers of the net, `first` in front. */
export function createSplitFirstLayer(
  tf: Tf,
  room: TfSplitRoom,
  first: DenseLayer,
  chain: TfChain,
): SplitFirstLayer {
  const { sharedPlaces, ownPlaces } = room;
  const [kernel, bias] = chain.weights as readonly [Tensor2D, Tensor1D];
  let kernels: Kernels | null = null;
  let own = new Float32Array(0);
  let shared = new Float32Array(0);
  let requests = new Int32Array(0);
  let spread = new Float32Array(0);
  const rowsOf = (places: Int32Array): Tensor2D => tf.keep(tf.gather(kernel, placesFrom(tf, [...places])));

  /** Each request's row for each of its items. The WASM backend's own gather takes some µs a row, this a tenth of one. */
  const toItems = (once: Tensor2D, rows: number): Tensor2D => {
    const { units } = first;
    const values = once.dataSync();
    if (spread.length < rows * units) spread = new Float32Array(rows * units);
    for (let b = 0; b < rows; b += 1) {
      const [from, to] = [requests[b] * units, b * units];
      for (let i = 0; i < units; i += 1) spread[to + i] = values[from + i];
    }
    return matrix(tf, spread, rows, units);
  };

  return {
    get weights() {
      return kernels === null ? [] : [kernels.shared, kernels.own];
    },
    score(input: NetInput) {
      const { rows } = input;
      kernels ??= { shared: rowsOf(sharedPlaces), own: rowsOf(ownPlaces) };
      if (requests.length < rows) {
        own = new Float32Array(rows * ownPlaces.length);
        shared = new Float32Array(rows * sharedPlaces.length);
        requests = new Int32Array(rows);
      }
      const count = noteRequests(input, requests);
      const { starts } = input.requests ?? {};
      for (let r = 0; r < count; r += 1)
        pack(input, room, starts?.[r] ?? r, sharedPlaces, shared, r * sharedPlaces.length);
      for (let b = 0; b < rows; b += 1) pack(input, room, b, ownPlaces, own, b * ownPlaces.length);
      const once = tf.fused.matMul({
        a: matrix(tf, shared, count, sharedPlaces.length),
        b: kernels.shared,
        bias,
      }) as Tensor2D;
      // A single request's goes along with every row.
      const sharedSums = count === 1 ? once : toItems(once, rows);
      const z: Tensor2D = tf.add(tf.matMul(matrix(tf, own, rows, ownPlaces.length), kernels.own), sharedSums);
      return tf.reshape(chain.outputFrom(1, activate(tf, first, z)), [-1]) as Tensor1D;
    },
  };
}
