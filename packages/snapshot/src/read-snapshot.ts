/**
 * Reads a snapshot from a stream of bytes and checks all of it on the way. One block is held at a time. What the visitor was
 * given counts only once `readSnapshot` has resolved: until the end has been seen, the rest may be missing.
 */
import { messageBytesMax } from '@millrace/protocol';
import { type ContentBlock, checksumOf, decodeBlock } from './snapshot-blocks.ts';
import { decodeHeader, invalid, type SnapshotHeader } from './snapshot-header.ts';

export type BlobChunks = AsyncIterable<Uint8Array>;

export interface SnapshotVisitor {
  /** First and once. May throw MILL_SNAPSHOT_INVALID where the header is not of the snapshot that was wanted. */
  readonly onHeader: (header: SnapshotHeader) => void;
  /** Arrays are valid until it returns. */
  readonly onBlock: (block: ContentBlock) => void;
}

/** An envelope's length stands at byte 8. */
const lengthAt = 8;
const envelopeHeaderBytes = 16;

/**
 * @throws MILL_SNAPSHOT_INVALID when the snapshot is damaged, cut short, or goes on behind its end; and whatever the
 *   chunks and the visitor throw.
 */
export async function readSnapshot(chunks: BlobChunks, visitor: SnapshotVisitor): Promise<void> {
  let header: SnapshotHeader | null = null;
  let forms: (readonly [number, number])[] = [];
  const checksums: number[] = [];
  let ended = false;
  for await (const bytes of blocksOf(chunks)) {
    if (ended) throw invalid('nothing behind the end');
    if (header === null) {
      header = decodeHeader(bytes);
      forms = header.tables.map(({ dim, stateFloats }) => [dim, stateFloats] as const);
      visitor.onHeader(header);
    } else {
      const block = decodeBlock(bytes, { of: checksums[0], place: checksums.length }, forms);
      if (block.kind !== 'end') visitor.onBlock(block);
      else if (!checksums.every((checksum, i) => checksum === block.checksums[i]))
        throw invalid('the blocks that the end seals, found others');
      ended = block.kind === 'end';
    }
    checksums.push(checksumOf(bytes));
  }
  if (!ended) throw invalid('an end, found none: it is cut short');
}

/** The envelopes in a stream, one after the other; each is valid until the next is asked for. */
async function* blocksOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let buffer = new Uint8Array(envelopeHeaderBytes);
  let filled = 0;
  let wanted = envelopeHeaderBytes;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      const take = Math.min(wanted - filled, chunk.length - at);
      buffer.set(chunk.subarray(at, at + take), filled);
      filled += take;
      at += take;
      if (filled < wanted) break;
      if (wanted === envelopeHeaderBytes) {
        wanted = lengthOf(buffer);
        if (wanted > buffer.length) buffer = enlarged(buffer, wanted);
        if (filled < wanted) continue;
      }
      yield buffer.subarray(0, wanted);
      filled = 0;
      wanted = envelopeHeaderBytes;
    }
  }
  if (filled > 0) throw invalid('whole blocks, found a part of one: it is cut short');
}

function lengthOf(buffer: Uint8Array): number {
  const length = new DataView(buffer.buffer).getUint32(lengthAt, true);
  if (length < envelopeHeaderBytes || length > messageBytesMax)
    throw invalid(`blocks of at most ${messageBytesMax} bytes, found ${length}`);
  return length;
}

function enlarged(buffer: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(bytes, 2 * buffer.length));
  larger.set(buffer.subarray(0, envelopeHeaderBytes));
  return larger;
}
