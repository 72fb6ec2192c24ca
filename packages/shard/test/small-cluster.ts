/** One small model, its gradient blocks and its pull frames, for the tests of the shard. */
import { fingerprintOf, partitionOf, tableLayouts } from '@millrace/core';
import {
  encodeGradientBlock,
  type Frame,
  frameHeaderBytes,
  frameKinds,
  type GradientBlock,
  type ModelFile,
  pullFrameBytes,
  readFrameHeader,
  rowsFrameLayout,
  sequenceFrom,
  writeFrameHeader,
} from '@millrace/protocol';
import { createLogger } from '@millrace/runtime';

/** Four partitions; rows of "ids" are one wide weight (0 at first) and two uniform floats, stepped by SGD at rate 0.5. */
export const file: ModelFile = {
  name: 'ads',
  label: 'clicked',
  partitions: 4,
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'sgd', learningRate: 0.5 } },
      embedding: {
        dim: 2,
        optimizer: { type: 'sgd', learningRate: 0.5 },
        initializer: { type: 'uniform', scale: 1 },
      },
    },
    { name: 'wide', wide: { optimizer: { type: 'adagrad', learningRate: 0.1, initialAccumulator: 1 } } },
  ],
  fields: [{ name: 'ad', type: 'sparse', table: 'ids' }],
  net: 'fm',
  loss: 'logloss',
  seed: 11,
};

export const layouts = tableLayouts(file);
export const [idsTable, wideTable] = layouts.map(({ tableId }) => tableId);
export const dim = 3;

export const quietLogger = createLogger({ service: 'test', level: 'silent' });

/** Words of the first `count` keys (1, n), (2, n), … that fall on a partition of four. */
export function keysOn(partition: number, count: number, high = 7): number[] {
  const words: number[] = [];
  for (let low = 1; words.length < 2 * count; low += 1) {
    if (partitionOf(low, high, 4) === partition) words.push(low, high);
  }
  return words;
}

/** A block of gradients for table "ids"; a gradient is the same for all three floats of a key. */
export function blockOf(options: {
  readonly partition: number;
  readonly sequence: number;
  readonly previous?: number;
  readonly producer?: string;
  readonly keys: readonly number[];
  readonly gradient?: number;
  readonly model?: string;
}): Uint8Array {
  const { partition, sequence, previous = sequence - 1, producer = 'p', keys, gradient = 1 } = options;
  const count = keys.length / 2;
  const block: GradientBlock = {
    producer,
    sequence,
    previous,
    model: options.model ?? file.name,
    fingerprint: fingerprintOf(file),
    partition,
    timeMs: 0,
    sections: [
      {
        table: 0,
        dim,
        count,
        keys: Uint32Array.from(keys),
        gradients: new Float32Array(dim * count).fill(gradient),
        curvature: null,
      },
    ],
  };
  return encodeGradientBlock(block);
}

/** Bytes of a pull frame for key words. */
export function pullFrame(options: {
  readonly table: number;
  readonly keys: readonly number[];
  readonly requestId?: number;
  readonly epoch?: number;
}): Uint8Array {
  const { table, keys, requestId = 1, epoch = 0 } = options;
  const bytes = new Uint8Array(pullFrameBytes(keys.length / 2));
  const header = { bytes: bytes.length, kind: frameKinds.pull, requestId, epoch };
  writeFrameHeader(new DataView(bytes.buffer), 0, header);
  new Uint32Array(bytes.buffer, frameHeaderBytes).set([table, keys.length / 2, ...keys]);
  return bytes;
}

export function frameFrom(bytes: Uint8Array): Frame {
  // Copied, so that it is aligned wherever it came from.
  const copy = new Uint8Array(bytes);
  return { header: readFrameHeader(new DataView(copy.buffer), 0), bytes: copy };
}

export interface Rows {
  readonly rows: readonly (readonly number[])[];
  /** Applied sequence by partition, in the order of the frame. */
  readonly applied: readonly (readonly [number, number])[];
}

/** What a rows frame says, read by the layout comment of the protocol. */
export function rowsFrom({ header, bytes }: Frame): Rows {
  if (header.kind !== frameKinds.rows) throw new Error(`a frame of kind ${header.kind} has no rows`);
  const [count, width, partitions] = new Uint32Array(
    bytes.buffer,
    bytes.byteOffset + rowsFrameLayout.countAt,
    3,
  );
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset + rowsFrameLayout.rowsAt, count * width);
  const words = new Uint32Array(
    bytes.buffer,
    bytes.byteOffset + rowsFrameLayout.rowsAt + 4 * count * width,
    4 * partitions,
  );
  return {
    rows: Array.from({ length: count }, (_, i) => Array.from(floats.subarray(i * width, (i + 1) * width))),
    applied: Array.from({ length: partitions }, (_, i) => [
      words[4 * i],
      sequenceFrom(words[4 * i + 2], words[4 * i + 3]),
    ]),
  };
}
