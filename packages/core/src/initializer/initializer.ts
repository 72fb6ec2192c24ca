/**
 * First values of a row: a function of (seed, key, place) alone (I2), so that a row which nobody has created yet reads the
 * same on every owner, and is created with just these values.
 */
import type { InitializerSpec } from '@millrace/protocol';
import { fmix } from '../key-hash.ts';

/** Writes `dim` first values of the key (low, high) to out[at …]. `seed` is the table's. */
export type Initializer = (
  seed: number,
  low: number,
  high: number,
  out: Float32Array,
  at: number,
  dim: number,
) => void;

export function createInitializer(spec: InitializerSpec): Initializer {
  switch (spec.type) {
    case 'zeros':
      return constant(0);
    case 'constant':
      return constant(spec.value);
    case 'uniform':
      return uniform(spec.scale);
  }
}

function constant(value: number): Initializer {
  return (_seed, _low, _high, out, at, dim) => {
    out.fill(value, at, at + dim);
  };
}

/** scale · (2u − 1), u = hash(seed, key, place) / 2^32. */
function uniform(scale: number): Initializer {
  return (seed, low, high, out, at, dim) => {
    const base = fmix(Math.imul(low ^ seed, 0x9e3779b1) ^ fmix(high ^ Math.imul(seed, 0x85ebca6b)));
    for (let d = 0; d < dim; d += 1) {
      const u = fmix(base + Math.imul(d + 1, 0x9e3779b9)) / 4_294_967_296;
      out[at + d] = scale * (2 * u - 1);
    }
  };
}
