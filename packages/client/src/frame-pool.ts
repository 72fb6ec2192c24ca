/** Request frames, used again once they are answered: memory for each anew is most of the work of the garbage collector. */

/** Frames kept of one size: more are under way only in bursts. */
const keptMax = 16;
/** Larger frames, beyond 8,000 keys, are rare. */
const keptBytesMax = 64 * 1024;

export interface FramePool {
  /** `bytes` bytes of any content, 8-byte aligned. */
  take(bytes: number): Uint8Array;
  /** Gives back what take gave, once nobody reads it any more. */
  give(frame: Uint8Array): void;
}

export function createFramePool(): FramePool {
  /** By the power of two that their memory has. */
  const free: ArrayBuffer[][] = [];
  return {
    take(bytes) {
      const power = 32 - Math.clz32(bytes - 1);
      const memory = free[power]?.pop() ?? new ArrayBuffer(2 ** power);
      return new Uint8Array(memory, 0, bytes);
    },
    give(frame) {
      const memory = frame.buffer as ArrayBuffer;
      if (memory.byteLength > keptBytesMax) return;
      const power = 31 - Math.clz32(memory.byteLength);
      free[power] ??= [];
      if (free[power].length < keptMax) free[power].push(memory);
    },
  };
}
