/**
 * Answer buffers, used again once the socket has sent them: a fresh 160 KiB allocation an answer costs more (page faults)
 * than looking its rows up. Kept memory is bounded; what does not fit is left to the garbage collector.
 */
const smallestBytes = 4 * 1024;

export interface BufferPool {
  /** A buffer of at least `bytes`, contents arbitrary, 8-byte aligned. */
  take(bytes: number): Uint8Array;
  /** Gives back a buffer (or a part from its start) that nobody reads any more. */
  give(bytes: Uint8Array): void;
}

export function createBufferPool(keptBytesMax: number): BufferPool {
  const free = new Map<number, Uint8Array[]>();
  let keptBytes = 0;
  return {
    take(bytes) {
      const size = Math.max(smallestBytes, 2 ** Math.ceil(Math.log2(bytes)));
      const buffer = free.get(size)?.pop();
      if (!buffer) return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
      keptBytes -= size;
      return buffer;
    },
    give(bytes) {
      const size = bytes.buffer.byteLength;
      const isOurs = size >= smallestBytes && (size & (size - 1)) === 0 && bytes.byteOffset === 0;
      if (!isOurs || keptBytes + size > keptBytesMax) return;
      const list = free.get(size);
      const whole = new Uint8Array(bytes.buffer);
      if (list) list.push(whole);
      else free.set(size, [whole]);
      keptBytes += size;
    },
  };
}
