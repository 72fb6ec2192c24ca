/**
 * Frames between a client and a shard over TCP, each way pipelined. Every frame starts with 16 bytes:
 *
 *   offset  size
 *   0       4     length of the whole frame in bytes, a multiple of 4, at most frameBytesMax
 *   4       1     0x4d ('M')
 *   5       1     protocol version, 1
 *   6       1     kind, see frameKinds
 *   7       1     0
 *   8       4     request id, chosen by the client, given back in the answer
 *   12      4     partition map epoch of the sender, 0: none yet
 *
 * then, by kind:
 *
 *   hello     MessagePack { cluster, role, token? }, zero-padded; first frame of a connection
 *   welcome   MessagePack { cluster, shard }
 *   pull      u32 table id · u32 count · count × (u32 key low, u32 key high)
 *   rows      u32 count · u32 dim · u32 partitions p · u32 0
 *             float32[count, dim] in the order of the keys asked for
 *             p × (u32 partition, u32 0, u32 applied sequence low, u32 high), partitions ascending
 *   inspect   MessagePack { model, partition? }; answered by `report`, MessagePack { partitions: PartitionReport[] } of
 *             that partition or of all held; hashing them walks every row, and nothing else is answered meanwhile
 *   refusal   MessagePack { code, message, map? }; answers any request. After MILL_FRAME_… the connection ends.
 *
 * All integers are uint32 little-endian. A length is checked before anything is allocated for it.
 */
import { highWordOf, lowWordOf } from './bytes.ts';
import { type ErrorCode, errorTable, MillraceError } from './errors.ts';
import { frameBytesMax } from './limits.ts';
import { packed, unpacked } from './packing.ts';
import { type PartitionMap, partitionMapFrom } from './partition-map.ts';

export const frameHeaderBytes = 16;
export const protocolVersion = 1;
const mark = 0x4d;

export const frameKinds = {
  hello: 1,
  welcome: 2,
  pull: 3,
  rows: 4,
  inspect: 5,
  report: 6,
  refusal: 7,
} as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];
const lastKind = frameKinds.refusal;

export interface FrameHeader {
  readonly bytes: number;
  readonly kind: FrameKind;
  readonly requestId: number;
  readonly epoch: number;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** With MILL_MAP_STALE: the newer map. */
  readonly map?: PartitionMap;
}

/** What a shard holds of one partition, for operators, tests and verification. */
export interface PartitionReport {
  readonly partition: number;
  readonly sequence: number;
  readonly rows: number;
  readonly ready: boolean;
  readonly applied: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** SHA-256 over rows, optimizer state, sequence and producers; equal on every owner at equal sequence. Hex. */
  readonly stateHash: string;
}

/** Writes the 16 header bytes at `offset` of `view`. */
export function writeFrameHeader(view: DataView, offset: number, header: FrameHeader): void {
  view.setUint32(offset, header.bytes, true);
  view.setUint32(offset + 4, mark | (protocolVersion << 8) | (header.kind << 16), true);
  view.setUint32(offset + 8, header.requestId, true);
  view.setUint32(offset + 12, header.epoch, true);
}

/**
 * Reads and checks a header of which 16 bytes are there.
 * @throws MILL_FRAME_INVALID, MILL_FRAME_TOO_LARGE, MILL_PROTOCOL_VERSION
 */
export function readFrameHeader(view: DataView, offset: number): FrameHeader {
  const bytes = view.getUint32(offset, true);
  const word = view.getUint32(offset + 4, true);
  const version = (word >>> 8) & 0xff;
  const kind = (word >>> 16) & 0xff;
  if ((word & 0xff) !== mark || word >>> 24 !== 0)
    throw invalid('a Millrace frame', `0x${word.toString(16)} at byte 4`);
  if (version !== protocolVersion) {
    throw new MillraceError(
      'MILL_PROTOCOL_VERSION',
      `cannot read a frame: wanted protocol ${protocolVersion}, found ${version}`,
    );
  }
  if (bytes > frameBytesMax) {
    throw new MillraceError(
      'MILL_FRAME_TOO_LARGE',
      `cannot read a frame: at most ${frameBytesMax} bytes, found ${bytes}`,
    );
  }
  if (bytes < frameHeaderBytes || bytes % 4 !== 0)
    throw invalid('a length of 16 or more, a multiple of 4', `${bytes}`);
  if (kind < 1 || kind > lastKind) throw invalid(`a kind of 1 to ${lastKind}`, `${kind}`);
  return {
    bytes,
    kind: kind as FrameKind,
    requestId: view.getUint32(offset + 8, true),
    epoch: view.getUint32(offset + 12, true),
  };
}

/** A whole frame around a MessagePack value: hello, welcome, inspect, report, refusal. */
export function packedFrame(
  kind: FrameKind,
  options: { requestId: number; epoch: number },
  value: unknown,
): Uint8Array {
  const body = packed(value);
  const bytes = new Uint8Array((frameHeaderBytes + body.length + 3) & ~3);
  const header = { bytes: bytes.length, kind, requestId: options.requestId, epoch: options.epoch };
  writeFrameHeader(new DataView(bytes.buffer), 0, header);
  bytes.set(body, frameHeaderBytes);
  return bytes;
}

/** The MessagePack value of a whole frame; padding behind it is allowed. Throws MILL_FRAME_INVALID. */
export function packedValueOf(frame: Uint8Array): Readonly<Record<string, unknown>> {
  for (let padding = 0; padding < 4; padding += 1) {
    const body = frame.subarray(frameHeaderBytes, frame.length - padding);
    if (padding > 0 && frame[frame.length - padding] !== 0) break;
    try {
      const value = unpacked(body);
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Up to three zeros of padding may follow the value; the next round tries with one byte less.
    }
  }
  throw invalid('MessagePack in the body', `${frame.length - frameHeaderBytes} other bytes`);
}

/** The error that a refusal stands for: MILL_INTERNAL for a code that this version does not know, no map for a malformed one. */
export function errorFromRefusal(value: Readonly<Record<string, unknown>>): MillraceError {
  const { code, message } = value;
  const map = mapOfRefusal(value.map);
  return new MillraceError(
    typeof code === 'string' && Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'MILL_INTERNAL',
    typeof message === 'string' ? message : 'refused without a message',
    map ? { details: { map } } : {},
  );
}

function mapOfRefusal(value: unknown): PartitionMap | undefined {
  try {
    return partitionMapFrom(value);
  } catch {
    // Without a map, or with one that cannot be used, the caller waits for the next map that the cluster view brings.
    return undefined;
  }
}

/** Bytes of a pull frame for `count` keys. */
export function pullFrameBytes(count: number): number {
  return frameHeaderBytes + 8 + 8 * count;
}

/** Bytes of a rows frame. */
export function rowsFrameBytes(options: { count: number; dim: number; partitions: number }): number {
  return frameHeaderBytes + 16 + 16 * options.partitions + 4 * options.count * options.dim;
}

/** Where the parts of a rows frame begin, in bytes. */
export const rowsFrameLayout = { countAt: frameHeaderBytes, rowsAt: frameHeaderBytes + 16 } as const;

/** Writes one (partition, applied sequence) entry of 16 bytes at `offset`. */
export function writeApplied(view: DataView, offset: number, partition: number, sequence: number): void {
  view.setUint32(offset, partition, true);
  view.setUint32(offset + 4, 0, true);
  view.setUint32(offset + 8, lowWordOf(sequence), true);
  view.setUint32(offset + 12, highWordOf(sequence), true);
}

function invalid(wanted: string, found: string): MillraceError {
  return new MillraceError('MILL_FRAME_INVALID', `cannot read a frame: wanted ${wanted}, found ${found}`);
}
