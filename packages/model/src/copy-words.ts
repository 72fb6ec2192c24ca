/** Floats moved as words: nothing is computed with them, and a float32 that is read is a float64 that has to be rounded back. */

/** The same memory. */
export function wordsOf({ buffer, byteOffset, length }: Float32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length);
}

export function copyWords(
  from: Int32Array,
  fromAt: number,
  to: Int32Array,
  toAt: number,
  count: number,
): void {
  let d = 0;
  for (; d + 8 <= count; d += 8) {
    const source = fromAt + d;
    const target = toAt + d;
    to[target] = from[source];
    to[target + 1] = from[source + 1];
    to[target + 2] = from[source + 2];
    to[target + 3] = from[source + 3];
    to[target + 4] = from[source + 4];
    to[target + 5] = from[source + 5];
    to[target + 6] = from[source + 6];
    to[target + 7] = from[source + 7];
  }
  for (; d < count; d += 1) to[toAt + d] = from[fromAt + d];
}
