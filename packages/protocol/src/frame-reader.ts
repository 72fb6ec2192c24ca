/**
 * From a byte stream to whole frames. The stream is read into one buffer where frames lie 4-byte aligned one behind the
 * other, so that keys and rows are read in place:
 *
 *   | done | frames, the last one not whole | room |
 *          start                            end
 *
 * When room runs short, what is pending moves to the front; when that is not enough the buffer grows. It grows with the bytes
 * that came, never with what a header announces, up to twice the largest frame, which the protocol bounds.
 */
import { type FrameHeader, frameHeaderBytes, readFrameHeader } from './pull-frame.ts';

/** Small: most connections carry a few thousand keys at most. */
const firstBytes = 64 * 1024;
/** Least room for a read. */
const roomBytesMin = 32 * 1024;
/** A buffer that a read has filled, so that more was waiting, grows up to this: fewer reads of a stream of rows. */
const streamBytes = 512 * 1024;

/** A whole frame; valid only until the handler returns. */
export interface Frame {
  readonly header: FrameHeader;
  /** The frame's bytes, header included; starts at a multiple of 4. */
  readonly bytes: Uint8Array;
}

export interface FrameReader {
  /**
   * Takes the next chunk, which is copied, and calls `onFrame` for each frame that it completes.
   * @throws MILL_FRAME_INVALID, MILL_FRAME_TOO_LARGE, MILL_PROTOCOL_VERSION; the stream cannot be read on then.
   */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => void): void;
  /** Memory to read the next bytes of the stream into, for sockets that can; valid until the next call of any function. */
  room(): Uint8Array;
  /** As push, for `bytes` that were read into the beginning of room(). */
  filled(bytes: number, onFrame: (frame: Frame) => void): void;
  /** Bytes of a frame that is not whole yet. */
  readonly pendingBytes: number;
}

export function createFrameReader(): FrameReader {
  let buffer = new Uint8Array(firstBytes);
  let view = new DataView(buffer.buffer);
  let start = 0;
  let end = 0;

  /** Moves what is pending to the front of a buffer of at least `bytes`. */
  const moveTo = (bytes: number) => {
    const pending = buffer.subarray(start, end);
    if (bytes > buffer.length) {
      buffer = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
      view = new DataView(buffer.buffer);
    }
    buffer.set(pending);
    start = 0;
    end = pending.length;
  };
  const makeRoom = (bytes: number) => {
    if (buffer.length - end < bytes) moveTo(end - start + bytes);
  };

  const giveFrames = (onFrame: (frame: Frame) => void) => {
    while (end - start >= frameHeaderBytes) {
      const header = readFrameHeader(view, start);
      if (end - start < header.bytes) return;
      const bytes = buffer.subarray(start, start + header.bytes);
      start += header.bytes;
      onFrame({ header, bytes });
    }
    if (start === end) {
      start = 0;
      end = 0;
    }
  };

  return {
    push(chunk, onFrame) {
      makeRoom(chunk.length);
      buffer.set(chunk, end);
      end += chunk.length;
      giveFrames(onFrame);
    },
    room() {
      makeRoom(roomBytesMin);
      return buffer.subarray(end);
    },
    filled(bytes, onFrame) {
      end += bytes;
      const wasFull = end === buffer.length;
      giveFrames(onFrame);
      if (wasFull && buffer.length < streamBytes) moveTo(2 * buffer.length);
    },
    get pendingBytes() {
      return end - start;
    },
  };
}
