/** Answers one request frame from what a shard holds. No I/O: bytes in, bytes out. */
import { pullRows } from '@millrace/core';
import {
  type Frame,
  frameBytesMax,
  frameHeaderBytes,
  frameKinds,
  isMillraceError,
  MillraceError,
  type PartitionMap,
  packedFrame,
  packedValueOf,
  partitionsMax,
  pullFrameBytes,
  pullKeysMax,
  type Refusal,
  rowsFrameBytes,
  rowsFrameLayout,
  wordsAt,
  writeApplied,
  writeFrameHeader,
} from '@millrace/protocol';
import { type ModelShard, reportPartitions } from './model-shard.ts';

/** What the handler reads. Tables are found by id, so that a lookup costs one map access a frame. */
export interface Holdings {
  readonly models: ReadonlyMap<string, ModelShard>;
  readonly tables: ReadonlyMap<number, { readonly shard: ModelShard; readonly table: number }>;
  mapOf(model: string): PartitionMap | null;
}

/** Gives memory for an answer of at most `bytes`; its start is 8-byte aligned. */
export type TakeBuffer = (bytes: number) => Uint8Array;

const touched = new Uint16Array(partitionsMax);

/** Answer to a pull or inspect frame: whole frame bytes, in memory from `take`. Never throws for bad requests: a refusal is an answer. */
export function answerFrame(holdings: Holdings, frame: Frame, take: TakeBuffer): Uint8Array {
  try {
    switch (frame.header.kind) {
      case frameKinds.pull:
        return answerPull(holdings, frame, take);
      case frameKinds.inspect:
        return answerInspect(holdings, frame);
      default:
        throw new MillraceError(
          'MILL_FRAME_INVALID',
          `cannot answer a frame of kind ${frame.header.kind}: wanted pull or inspect`,
        );
    }
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return refusalFrame(frame.header.requestId, error);
  }
}

/** A refusal as a frame. */
export function refusalFrame(requestId: number, error: MillraceError): Uint8Array {
  const map = error.details?.map as PartitionMap | undefined;
  const refusal: Refusal = { code: error.code, message: error.message, ...(map ? { map } : {}) };
  return packedFrame(frameKinds.refusal, { requestId, epoch: map?.epoch ?? 0 }, refusal);
}

function answerPull(holdings: Holdings, frame: Frame, take: TakeBuffer): Uint8Array {
  const { bytes, header } = frame;
  if (bytes.length < pullFrameBytes(0))
    throw new MillraceError('MILL_FRAME_INVALID', `cannot read a pull: ${bytes.length} bytes are too few`);
  const [tableId, count] = wordsAt(bytes, frameHeaderBytes, 2);
  if (count > pullKeysMax || bytes.length !== pullFrameBytes(count)) {
    throw new MillraceError(
      'MILL_FRAME_INVALID',
      `cannot read a pull: wanted at most ${pullKeysMax} keys and 8 bytes each, found ${count} in ${bytes.length} bytes`,
    );
  }
  const held = holdings.tables.get(tableId);
  if (!held)
    throw new MillraceError(
      'MILL_TABLE_UNKNOWN',
      `cannot pull: this shard has no table of id ${tableId} yet`,
    );
  const { shard, table } = held;
  const { dim } = shard.layouts[table];
  const largest = rowsFrameBytes({ count, dim, partitions: Math.min(count, shard.partitions) });
  if (largest > frameBytesMax) {
    throw new MillraceError(
      'MILL_FRAME_TOO_LARGE',
      `cannot pull ${count} rows of ${dim} floats: the answer may have ${frameBytesMax} bytes, not ${largest}`,
    );
  }
  const answer = take(largest);
  const rows = new Float32Array(answer.buffer, answer.byteOffset + rowsFrameLayout.rowsAt, count * dim);
  const keys = wordsAt(bytes, pullFrameBytes(0), 2 * count);
  const met = pullRows(shard.readable[table], keys, count, rows, 0, touched);
  if (met < 0) throw absent(holdings, shard, -1 - met);
  const appliedAt = rowsFrameLayout.rowsAt + 4 * count * dim;
  const length = appliedAt + 16 * met;
  const view = new DataView(answer.buffer, answer.byteOffset, length);
  const epoch = holdings.mapOf(shard.file.name)?.epoch ?? 0;
  writeFrameHeader(view, 0, { bytes: length, kind: frameKinds.rows, requestId: header.requestId, epoch });
  view.setUint32(rowsFrameLayout.countAt, count, true);
  view.setUint32(rowsFrameLayout.countAt + 4, dim, true);
  view.setUint32(rowsFrameLayout.countAt + 8, met, true);
  view.setUint32(rowsFrameLayout.countAt + 12, 0, true);
  for (let i = 0; i < met; i += 1) {
    writeApplied(view, appliedAt + 16 * i, touched[i], shard.states[touched[i]]?.sequence ?? 0);
  }
  return answer.subarray(0, length);
}

/** Held but behind: try another owner. Not held: here is the map. */
function absent(holdings: Holdings, shard: ModelShard, partition: number): MillraceError {
  const model = shard.file.name;
  if (shard.held[partition]) {
    return new MillraceError(
      'MILL_NOT_READY',
      `cannot pull ${model}/${partition}: this shard is still catching up with its log`,
    );
  }
  const map = holdings.mapOf(model);
  const message = `cannot pull ${model}/${partition}: it is not on this shard at epoch ${map?.epoch ?? 0}`;
  return new MillraceError('MILL_MAP_STALE', message, map ? { details: { map } } : {});
}

function answerInspect(holdings: Holdings, frame: Frame): Uint8Array {
  const { model, partition } = packedValueOf(frame.bytes);
  const shard = typeof model === 'string' ? holdings.models.get(model) : undefined;
  if (!shard) throw new MillraceError('MILL_MODEL_UNKNOWN', `cannot inspect: this shard has no such model`);
  const options = { requestId: frame.header.requestId, epoch: holdings.mapOf(shard.file.name)?.epoch ?? 0 };
  return packedFrame(frameKinds.report, options, {
    partitions: reportPartitions(shard, typeof partition === 'number' ? partition : null),
  });
}
