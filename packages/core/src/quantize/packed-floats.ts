/**
 * A run of dense weights in fewer bytes, for storing; unpacked before use.
 *
 *   float32  4 bytes a weight
 *   float16  binary16, 2 bytes a weight
 *   int8     blocks of 32: scale 2 (binary16), codes int8[32]; w ≈ scale · code, off by scale / 2 at most
 *   sparse   a bit a weight (1: not 0), then float32 of those that are not 0; exact
 */
import { floatFromHalf, halfAbove, halfFrom, halfMax, roundHalfEven } from './float16.ts';

export const floatFormats = ['float32', 'float16', 'int8', 'sparse'] as const;
export type FloatFormat = (typeof floatFormats)[number];

const blockFloats = 32;
const blockBytes = 2 + blockFloats;
const codeMax = 127;

/** @returns the caller's; {@link unpackFloats} with the same format and count takes it back. */
export function packFloats(weights: Float32Array, format: FloatFormat): Uint8Array {
  return packers[format](weights);
}

/** @returns float32[count], the caller's. */
export function unpackFloats(bytes: Uint8Array, count: number, format: FloatFormat): Float32Array {
  const weights = new Float32Array(count);
  unpackers[format](bytes, weights);
  return weights;
}

const packers: Readonly<Record<FloatFormat, (weights: Float32Array) => Uint8Array>> = {
  float32(weights) {
    const bytes = new Uint8Array(4 * weights.length);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < weights.length; i += 1) view.setFloat32(4 * i, weights[i], true);
    return bytes;
  },
  float16(weights) {
    const bytes = new Uint8Array(2 * weights.length);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < weights.length; i += 1) view.setUint16(2 * i, halfFrom(weights[i]), true);
    return bytes;
  },
  int8(weights) {
    const blocks = Math.ceil(weights.length / blockFloats);
    const bytes = new Uint8Array(2 * blocks + weights.length);
    const view = new DataView(bytes.buffer);
    for (let block = 0; block < blocks; block += 1) {
      const from = block * blockFloats;
      const to = Math.min(weights.length, from + blockFloats);
      let max = 0;
      for (let i = from; i < to; i += 1) max = Math.max(max, Math.abs(weights[i]));
      const step = halfAbove(Math.min(max, halfMax) / codeMax);
      const scale = floatFromHalf(step);
      const at = block * blockBytes;
      view.setUint16(at, step, true);
      for (let i = from; i < to; i += 1) {
        const code = scale === 0 ? 0 : roundHalfEven(weights[i] / scale);
        view.setInt8(at + 2 + i - from, Math.min(codeMax, Math.max(-codeMax, code)));
      }
    }
    return bytes;
  },
  sparse(weights) {
    const kept = weights.filter((weight) => weight !== 0);
    const marks = Math.ceil(weights.length / 8);
    const bytes = new Uint8Array(marks + 4 * kept.length);
    for (let i = 0; i < weights.length; i += 1) if (weights[i] !== 0) bytes[i >>> 3] |= 1 << (i & 7);
    bytes.set(packers.float32(kept), marks);
    return bytes;
  },
};

const unpackers: Readonly<Record<FloatFormat, (bytes: Uint8Array, weights: Float32Array) => void>> = {
  float32(bytes, weights) {
    const view = viewOf(bytes);
    for (let i = 0; i < weights.length; i += 1) weights[i] = view.getFloat32(4 * i, true);
  },
  float16(bytes, weights) {
    const view = viewOf(bytes);
    for (let i = 0; i < weights.length; i += 1) weights[i] = floatFromHalf(view.getUint16(2 * i, true));
  },
  int8(bytes, weights) {
    const view = viewOf(bytes);
    for (let i = 0; i < weights.length; i += 1) {
      const at = Math.floor(i / blockFloats) * blockBytes;
      weights[i] = floatFromHalf(view.getUint16(at, true)) * view.getInt8(at + 2 + (i % blockFloats));
    }
  },
  sparse(bytes, weights) {
    const view = viewOf(bytes);
    let at = Math.ceil(weights.length / 8);
    for (let i = 0; i < weights.length; i += 1) {
      if ((bytes[i >>> 3] & (1 << (i & 7))) === 0) continue;
      weights[i] = view.getFloat32(at, true);
      at += 4;
    }
  },
};

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
