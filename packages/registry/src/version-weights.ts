/** Dense weights of versions in the object store, sealed by the SHA-256 that their record has. */
import { createHash } from 'node:crypto';
import {
  bytesOf,
  denseParametersMax,
  fieldsMax,
  isMillraceError,
  MillraceError,
  type VersionRecord,
  versionBlobName,
} from '@millrace/protocol';
import type { BlobStore } from '@millrace/runtime';

export function sealOf(weights: Float32Array): VersionRecord['weights'] {
  return { floats: weights.length, sha256: sha256Of(bytesOf(weights)) };
}

/** @throws MILL_STORE_UNAVAILABLE */
export function putWeights(
  blobs: BlobStore,
  model: string,
  version: number,
  weights: Float32Array,
): Promise<void> {
  return blobs.put(versionBlobName(model, version), [bytesOf(weights)]);
}

/**
 * float32[record.weights.floats], the caller's to keep.
 * @throws MILL_VERSION_DAMAGED when they are not there or not those of the record, MILL_STORE_UNAVAILABLE.
 */
export async function getWeights(
  blobs: BlobStore,
  { model, version, weights: { floats, sha256 } }: VersionRecord,
): Promise<Float32Array> {
  if (floats > floatsMax) throw damaged(model, version, `at most ${floatsMax} floats`, String(floats));
  const weights = new Float32Array(floats);
  const bytes = bytesOf(weights);
  const chunks = await blobs.get(versionBlobName(model, version));
  if (chunks === null) throw damaged(model, version, `${bytes.length} bytes`, 'none');
  // Chunk by chunk: whoever is served meanwhile waits for one and not for all.
  const hash = createHash('sha256');
  let at = 0;
  try {
    for await (const chunk of chunks) {
      if (at + chunk.length > bytes.length) throw damaged(model, version, `${bytes.length} bytes`, 'more');
      bytes.set(chunk, at);
      hash.update(chunk);
      at += chunk.length;
    }
  } catch (error) {
    if (isMillraceError(error)) throw error;
    throw new MillraceError('MILL_STORE_UNAVAILABLE', `cannot read version ${version} of "${model}"`, {
      cause: error,
    });
  }
  if (at < bytes.length) throw damaged(model, version, `${bytes.length} bytes`, String(at));
  const found = hash.digest('hex');
  if (found !== sha256) throw damaged(model, version, `SHA-256 ${sha256}`, found);
  return weights;
}

/** The largest net, and three moments of each field. */
const floatsMax = denseParametersMax + 3 * fieldsMax;

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function damaged(model: string, version: number, wanted: string, found: string): MillraceError {
  return new MillraceError(
    'MILL_VERSION_DAMAGED',
    `weights of version ${version} of "${model}": wanted ${wanted}, found ${found}`,
  );
}
