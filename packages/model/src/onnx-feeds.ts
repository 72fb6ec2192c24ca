/**
 * What a session is fed with, kept from call to call: a tensor is made anew only where its memory or its rows are others than the
 * last time. A tensor is a view, so what the caller writes to its arrays is what the next call reads.
 */
import type { Tensor } from 'onnxruntime-node';
import type { Ort } from './onnx-runtime.ts';

interface Fed {
  readonly values: Float32Array | Int32Array;
  readonly rows: number;
}

export class OnnxFeeds {
  /** By the names of the graph's inputs. */
  readonly tensors: Record<string, Tensor> = {};
  readonly #ort: Ort;
  readonly #fed = new Map<string, Fed>();

  constructor(ort: Ort) {
    this.#ort = ort;
  }

  /** @param columns 0: the tensor is [rows], else [rows, columns]. */
  put(name: string, values: Float32Array | Int32Array, rows: number, columns: number): void {
    const last = this.#fed.get(name);
    if (last !== undefined && last.values === values && last.rows === rows) return;
    this.#fed.set(name, { values, rows });
    this.tensors[name] = tensorOf(this.#ort, values, columns === 0 ? [rows] : [rows, columns]);
  }
}

/** The leading part of an array as a tensor, in the same memory: the library reads from it and writes to it. */
export function tensorOf(ort: Ort, values: Float32Array | Int32Array, dims: readonly number[]): Tensor {
  let count = 1;
  for (const size of dims) count *= size;
  return values instanceof Float32Array
    ? new ort.Tensor('float32', values.subarray(0, count), dims)
    : new ort.Tensor('int32', values.subarray(0, count), dims);
}
