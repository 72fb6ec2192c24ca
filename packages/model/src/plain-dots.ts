/** Pairwise dot products of an example's slots (DLRM, Naumov et al., arXiv 1906.00091), in the order (0,1), (0,2) … (1,2) … */
import type { DotsShape } from './net-shape.ts';

/** ⟨x[a …], x[b …]⟩ */
export function dotOf(x: Float64Array, a: number, b: number, dim: number): number {
  let dot = 0;
  for (let d = 0; d < dim; d++) dot += x[a + d] * x[b + d];
  return dot;
}

/** Writes the products of the slots at the start of `values` to values[to …]. */
export function dotsForward({ slots, dim }: DotsShape, values: Float64Array, to: number): void {
  let pair = to;
  for (let i = 0; i < slots; i++) {
    for (let j = i + 1; j < slots; j++, pair++) values[pair] = dotOf(values, i * dim, j * dim, dim);
  }
}

/** Adds to the slots' part of `deltas` what the products' part of it, from `at` on, makes of them. */
export function dotsBackward(
  { slots, dim }: DotsShape,
  values: Float64Array,
  deltas: Float64Array,
  at: number,
): void {
  let pair = at;
  for (let i = 0; i < slots; i++) {
    for (let j = i + 1; j < slots; j++, pair++) {
      const delta = deltas[pair];
      for (let d = 0; d < dim; d++) {
        deltas[i * dim + d] += delta * values[j * dim + d];
        deltas[j * dim + d] += delta * values[i * dim + d];
      }
    }
  }
}
