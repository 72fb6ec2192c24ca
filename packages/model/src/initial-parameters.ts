/**
 * Starting weights of a net, the same on every machine: an integer hash of (seed, place) and then + − × ÷ sqrt alone, all of
 * which IEEE 754 rounds in one way only.
 */
import type { NetShape } from './net-shape.ts';

/** Weyl step of the golden ratio; odd, so that consecutive places get different states through 2^32 of them. */
const goldenStep = 0x9e37_79b9;

/**
 * Matrices Glorot-uniform, the rest constant: mostly 0, pair weights of a field-weighted machine 1.
 *   w[place] = (2 · u − 1) · limit,   limit = sqrt(6 / (inputs + units)),   u = (hash(seed, place) >>> 8) / 2^24
 * `place` is the weight's position in the flat parameters, so no two weights share a draw.
 * Source: Glorot, Bengio, AISTATS 2010, formula 16.
 * @param seed unsigned 32-bit integer: the model file's.
 * @returns float32[shape.parameters], NetShape.parameters; owned by the caller.
 */
export function initialParameters(shape: NetShape, seed: number): Float32Array {
  const parameters = new Float32Array(shape.parameters);
  // The seed is mixed first: seeds 1 and 2 would otherwise give the same sequence, one place apart.
  const first = mixed(seed);
  for (const { offset, count, start } of shape.initial) {
    if ('constant' in start) {
      parameters.fill(start.constant, offset, offset + count);
      continue;
    }
    for (let place = offset; place < offset + count; place++) {
      const u = (mixed(first + Math.imul(place, goldenStep)) >>> 8) / 0x100_0000;
      parameters[place] = (2 * u - 1) * start.uniform;
    }
  }
  return parameters;
}

/** Finaliser of MurmurHash3 (Appleby, public domain): every bit of the input reaches every bit of the result. */
function mixed(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}
