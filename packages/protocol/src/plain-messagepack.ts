/**
 * What of MessagePack is read from others: nil, booleans, numbers, text, bytes, arrays and maps. Extension types are refused:
 * the decoder would make dates, errors, bigints and even objects that contain themselves of them, which nobody who asked
 * for plain values expects (JSON.stringify throws for the last two). Depth is bounded, since decoding is recursive.
 *
 *   first byte   followed by
 *   00–7f e0–ff  nothing: small integers
 *   80–8f        2n values        de df        a count of 2, 4 bytes, then twice as many values
 *   90–9f        n values         dc dd        a count of 2, 4 bytes, then so many values
 *   a0–bf        n bytes          d9 da db     a length of 1, 2, 4 bytes, then so many bytes (text)
 *   c0 c2 c3     nothing          c4 c5 c6     a length of 1, 2, 4 bytes, then so many bytes
 *   ca cb        4, 8 bytes       cc–cf d0–d3  1, 2, 4, 8 bytes
 *
 * Source: MessagePack specification, github.com/msgpack/msgpack, spec.md.
 */

/** Maps and arrays inside each other, at most. The deepest message of ours, a refusal with its map, has four. */
export const nestingMax = 32;

// For each first byte from c0 to df: bytes of the number, length or count that follows it; and what that stands for:
// n the number itself, b so many bytes, v so many values, p so many pairs of values, x refused.
const sizes = Uint8Array.of(
  ...[0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4],
);
const meanings = new TextEncoder().encode('nxnnbbbxxxnnnnnnnnnnxxxxxbbbvvpp');
const [itself, ofBytes, ofPairs, refused] = new TextEncoder().encode('nbpx');

/** Values still to come at each depth above the one being read. */
const left = new Float64Array(nestingMax + 1);

/** Throws an Error unless `bytes` are exactly one plain value. Allocates nothing. */
export function assertPlain(bytes: Uint8Array): void {
  const length = bytes.length;
  let at = 0;
  let depth = 0;
  let toCome = 1;
  for (;;) {
    while (toCome === 0) {
      if (depth === 0) {
        if (at !== length) throw new Error(`MessagePack of ${at} bytes, found ${length}`);
        return;
      }
      depth -= 1;
      toCome = left[depth];
    }
    toCome -= 1;
    if (at >= length) throw new Error(`MessagePack ends within a value, at byte ${length}`);
    const head = bytes[at];
    at += 1;
    if (head < 0x80 || head >= 0xe0) continue;
    let inside = 0;
    if (head < 0xa0) inside = head < 0x90 ? 2 * (head & 0x0f) : head & 0x0f;
    else if (head < 0xc0) at += head & 0x1f;
    else {
      const meaning = meanings[head - 0xc0];
      const size = sizes[head - 0xc0];
      if (meaning === refused) throw new Error(`MessagePack type 0x${head.toString(16)} is not plain`);
      if (meaning !== itself) {
        const amount = numberAt(bytes, at, size);
        if (meaning === ofBytes) at += amount;
        else inside = meaning === ofPairs ? 2 * amount : amount;
      }
      at += size;
    }
    if (inside === 0) continue;
    if (depth === nestingMax) throw new Error(`MessagePack is nested deeper than ${nestingMax}`);
    left[depth] = toCome;
    depth += 1;
    toCome = inside;
  }
}

/** Big-endian unsigned integer; bytes beyond the end count as 0, the caller finds at its next value that they are missing. */
function numberAt(bytes: Uint8Array, at: number, size: number): number {
  let number = 0;
  for (let i = at; i < at + size; i += 1) number = number * 256 + (i < bytes.length ? bytes[i] : 0);
  return number;
}
