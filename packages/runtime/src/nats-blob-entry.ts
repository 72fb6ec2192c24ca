/**
 * What a JetStream object store says of a value (NATS ADR-20): JSON under the name's subject. Only what Millrace uses is
 * read; the rest is written for other clients, such as the `nats` tool.
 */
import { jsonBytes, jsonFrom } from '@millrace/protocol';

/** How a value lies in the store. */
export interface StoredChunks {
  readonly chunks: number;
  /** Bytes of all chunks. */
  readonly size: number;
  /** `SHA-256=` and the digest of the bytes in base64url. */
  readonly digest: string;
  /** Sequence of the first chunk, so that nobody has to look for it; 1 where another client wrote the value. */
  readonly first: number;
}

export interface BlobEntry extends StoredChunks {
  readonly name: string;
  /** Last token of the chunks' subject. */
  readonly id: string;
}

export function encodeBlobEntry(
  bucket: string,
  chunkBytes: number,
  { name, id, chunks, size, digest, first }: BlobEntry,
): Uint8Array {
  return jsonBytes({
    name,
    description: '',
    options: { max_chunk_size: chunkBytes },
    metadata: { first: String(first) },
    bucket,
    nuid: id,
    size,
    chunks,
    digest,
    deleted: false,
  });
}

/** Null for what another client marked as deleted, and for what is no entry. */
export function blobEntryFrom(bytes: Uint8Array): BlobEntry | null {
  let value: Record<string, unknown>;
  try {
    value = Object(jsonFrom(bytes)) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { name, nuid: id, chunks, size, digest, deleted, metadata } = value;
  if (deleted === true || typeof name !== 'string' || typeof id !== 'string') return null;
  if (!Number.isSafeInteger(chunks) || !Number.isSafeInteger(size) || typeof digest !== 'string') return null;
  const first = Number((metadata as { first?: string } | undefined)?.first ?? 1);
  return {
    name,
    id,
    chunks: chunks as number,
    size: size as number,
    digest,
    first: Number.isSafeInteger(first) && first > 0 ? first : 1,
  };
}

/** A name as one token of a subject: base64url with its padding. */
export function blobToken(name: string): string {
  return padded(Buffer.from(name).toString('base64url'));
}

export function blobDigest(sha256: Buffer): string {
  return `SHA-256=${padded(sha256.toString('base64url'))}`;
}

function padded(base64: string): string {
  return base64.padEnd(Math.ceil(base64.length / 4) * 4, '=');
}
