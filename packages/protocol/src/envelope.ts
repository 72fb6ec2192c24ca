/**
 * The outer form of every binary log message: checked length and checksum, small metadata, raw numbers.
 *
 *   offset  size
 *   0       4     magic, four ASCII characters, tells the kind and the version of the layout
 *   4       4     CRC-32 (zlib) of all bytes from 8 to the end
 *   8       4     length of the whole message in bytes
 *   12      4     length m of the metadata in bytes
 *   16      m     metadata, MessagePack
 *   16+m    0–3   zeros up to a multiple of 4
 *   …             body: raw little-endian numbers, each array 4-byte aligned
 *
 * All integers are uint32 little-endian. Lengths are checked before anything is allocated or read.
 */
import { crc32 } from 'node:zlib';
import { alignedBytes } from './bytes.ts';
import { MillraceError } from './errors.ts';
import { messageBytesMax } from './limits.ts';
import { packed, unpacked } from './packing.ts';

const headerBytes = 16;

export interface Envelope {
  readonly metadata: unknown;
  /** Raw part, 4-byte aligned; a view of the message where that was aligned, else a copy. */
  readonly body: Uint8Array;
}

/** Lays metadata and raw arrays into one message. Throws MILL_BLOCK_INVALID when it is over messageBytesMax. */
export function sealEnvelope(magic: string, metadata: unknown, body: readonly ArrayBufferView[]): Uint8Array {
  const meta = packed(metadata);
  const bodyOffset = (headerBytes + meta.length + 3) & ~3;
  let length = bodyOffset;
  for (const part of body) length += part.byteLength;
  if (length > messageBytesMax) {
    throw new MillraceError(
      'MILL_BLOCK_INVALID',
      `cannot build a ${magic} message: at most ${messageBytesMax} bytes, got ${length}`,
    );
  }
  // From Node's pool of small buffers, 8-byte aligned; every byte is written below.
  const bytes = Buffer.allocUnsafe(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  for (let i = 0; i < 4; i += 1) bytes[i] = magic.charCodeAt(i);
  view.setUint32(8, length, true);
  view.setUint32(12, meta.length, true);
  bytes.set(meta, headerBytes);
  bytes.fill(0, headerBytes + meta.length, bodyOffset);
  let offset = bodyOffset;
  for (const part of body) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), offset);
    offset += part.byteLength;
  }
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

/** Checks and opens a message. Throws MILL_BLOCK_INVALID naming what is wrong. */
export function openEnvelope(magic: string, message: Uint8Array): Envelope {
  if (message.length < headerBytes)
    throw invalid(magic, `at least ${headerBytes} bytes`, `${message.length}`);
  const bytes = alignedBytes(message);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < 4; i += 1) {
    if (bytes[i] !== magic.charCodeAt(i)) throw invalid(magic, 'that magic', 'other bytes at 0');
  }
  const length = view.getUint32(8, true);
  if (length !== bytes.length) throw invalid(magic, `${length} bytes as its header says`, `${bytes.length}`);
  const checksum = crc32(bytes.subarray(8));
  if (checksum !== view.getUint32(4, true)) throw invalid(magic, 'a matching checksum', 'a damaged message');
  const metadataBytes = view.getUint32(12, true);
  const bodyOffset = (headerBytes + metadataBytes + 3) & ~3;
  if (metadataBytes > bytes.length || bodyOffset > bytes.length) {
    throw invalid(magic, `metadata within ${bytes.length} bytes`, `${metadataBytes} bytes of it`);
  }
  let metadata: unknown;
  try {
    metadata = unpacked(bytes.subarray(headerBytes, headerBytes + metadataBytes));
  } catch (cause) {
    throw new MillraceError(
      'MILL_BLOCK_INVALID',
      `cannot read a ${magic} message: its metadata is not MessagePack`,
      { cause },
    );
  }
  return { metadata, body: bytes.subarray(bodyOffset) };
}

function invalid(magic: string, wanted: string, found: string): MillraceError {
  return new MillraceError(
    'MILL_BLOCK_INVALID',
    `cannot read a ${magic} message: wanted ${wanted}, found ${found}`,
  );
}
