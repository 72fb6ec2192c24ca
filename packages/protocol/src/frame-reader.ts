/**
 * From a byte stream to whole frames. Chunks are copied into one buffer whose frames start 4-byte aligned, so that keys and
 * rows can be read in place; the buffer grows to the largest frame seen, which the protocol bounds.
 */
import { type FrameHeader, frameHeaderBytes, readFrameHeader } from './pull-frame.ts';

const firstBytes = 64 * 1024;

/** A whole frame; valid only until the handler returns. */
export interface Frame {
  readonly header: FrameHeader;
  /** The frame's bytes, header included; starts at a multiple of 4. */
  readonly bytes: Uint8Array;
}

export interface FrameReader {
  /**
   * Takes the next chunk and calls `onFrame` for each frame that it completes.
   * @throws MILL_FRAME_INVALID, MILL_FRAME_TOO_LARGE, MILL_PROTOCOL_VERSION; the stream cannot be read on then.
   */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => void): void;
  /** Bytes of a frame that is not whole yet. */
  readonly pendingBytes: number;
}

export function createFrameReader(): FrameReader {
  let buffer = new Uint8Array(firstBytes);
  let view = new DataView(buffer.buffer);
  let end = 0;

  const growTo = (bytes: number) => {
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
    larger.set(buffer.subarray(0, end));
    buffer = larger;
    view = new DataView(buffer.buffer);
  };

  return {
    push(chunk, onFrame) {
      if (end + chunk.length > buffer.length) growTo(end + chunk.length);
      buffer.set(chunk, end);
      end += chunk.length;
      let start = 0;
      while (end - start >= frameHeaderBytes) {
        const header = readFrameHeader(view, start);
        if (end - start < header.bytes) break;
        const bytes = buffer.subarray(start, start + header.bytes);
        start += header.bytes;
        onFrame({ header, bytes });
      }
      if (start > 0) {
        buffer.copyWithin(0, start, end);
        end -= start;
      }
    },
    get pendingBytes() {
      return end;
    },
  };
}
