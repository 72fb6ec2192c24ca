/** Logs of gradient blocks for tests of the folds. */
import {
  type DenseBlock,
  encodeDenseBlock,
  encodeGradientBlock,
  type GradientBlock,
  type GradientSection,
} from '@millrace/protocol';
import fc from 'fast-check';
import { createPartitionState, type PartitionState } from '../../src/fold/partition-fold.ts';
import { tableLayouts } from '../../src/table-layout.ts';
import { everyTableFile } from '../model-files.ts';

export interface LogMessage {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** A key and its gradients. */
export type RowStep = readonly [low: number, high: number, ...gradients: number[]];

/** users: dim 4; bias: dim 1; items: dim 2. */
export const layouts = tableLayouts(everyTableFile);

export function emptyState(): PartitionState {
  return createPartitionState({ model: 'ads', fingerprint: 77, partition: 3, layouts });
}

export function sectionOf(table: number, rows: readonly RowStep[]): GradientSection {
  const { dim } = layouts[table];
  return {
    table,
    dim,
    count: rows.length,
    keys: Uint32Array.from(rows.flatMap((row) => row.slice(0, 2))),
    gradients: Float32Array.from(rows.flatMap(([, , ...gradients]) => gradients)),
    curvature: null,
    occurrences: null,
  };
}

/** Block 1 of producer "u" for the state above, unless told otherwise. */
export function payloadOf(parts: Partial<GradientBlock> = {}): Uint8Array {
  return encodeGradientBlock({
    producer: 'u',
    sequence: 1,
    previous: 0,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
    timeMs: 1_700_000_000_000,
    sections: [sectionOf(1, [[5, 6, 0.5]])],
    ...parts,
  });
}

export function densePayloadOf(parts: Partial<DenseBlock> = {}): Uint8Array {
  return encodeDenseBlock({
    producer: 'u',
    sequence: 1,
    previous: 0,
    model: 'ads',
    fingerprint: 77,
    timeMs: 1_700_000_000_000,
    gradients: Float32Array.of(0.5, -1, 0.25),
    ...parts,
  });
}

/** One byte of a payload changed. */
export function damaged(payload: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(payload);
  copy[at % copy.length] ^= 0x10;
  return copy;
}

interface BlockPlan {
  /** Which producer, and how far its sequence goes on: batches that do not touch the partition leave gaps. */
  readonly producer: number;
  readonly stride: number;
  readonly sections: readonly GradientSection[];
}

const anyGradient = fc.float({ min: -2, max: 2, noNaN: true });

const anySection: fc.Arbitrary<GradientSection> = fc
  .integer({ min: 0, max: layouts.length - 1 })
  .chain((table) => {
    const { dim } = layouts[table];
    const anyRow = fc
      .tuple(
        fc.nat(12),
        fc.constantFrom(0, 1, 0xffff_ffff),
        fc.array(anyGradient, { minLength: dim, maxLength: dim }),
      )
      .map(([low, high, gradients]): RowStep => [low, high, ...gradients]);
    // The producer has summed the gradients of each key, so keys of a section differ.
    return fc
      .uniqueArray(anyRow, { maxLength: 6, selector: ([low, high]) => `${low},${high}` })
      .map((rows) => sectionOf(table, rows));
  });

const anyPlan: fc.Arbitrary<BlockPlan> = fc.record({
  producer: fc.nat(2),
  stride: fc.integer({ min: 1, max: 3 }),
  sections: fc.array(anySection, { maxLength: 3 }),
});

/** The chains of several producers in one log, at the sequences 10, 20, 30, …: room for what a test puts between. */
export const anyLog: fc.Arbitrary<LogMessage[]> = fc
  .array(anyPlan, { minLength: 1, maxLength: 16 })
  .map((plans) => {
    const last = [0, 0, 0];
    return plans.map(({ producer, stride, sections }, i) => {
      const previous = last[producer];
      last[producer] = previous + stride;
      const mark = { producer: `u${producer}`, sequence: previous + stride, previous };
      return { sequence: 10 * (i + 1), payload: payloadOf({ ...mark, sections }) };
    });
  });

/** What the transport, producers and strangers may put behind a message. */
export type Disturbance =
  | { readonly kind: 'delivered again'; readonly after: number; readonly which: number }
  | { readonly kind: 'published again'; readonly after: number; readonly which: number }
  | { readonly kind: 'damaged'; readonly after: number; readonly which: number };

export const anyDisturbances: fc.Arbitrary<Disturbance[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('delivered again', 'published again', 'damaged'),
    after: fc.nat(100),
    which: fc.nat(200),
  }),
  { maxLength: 9 },
);

/** `log` with disturbances behind its messages, all but the last one, so that both logs end at the same sequence. */
export function disturbed(log: readonly LogMessage[], disturbances: readonly Disturbance[]): LogMessage[] {
  return log.flatMap((message, i) => {
    let { sequence } = message;
    const behind = disturbances.filter(({ after }) => i < log.length - 1 && after % (log.length - 1) === i);
    const additions = behind.map(({ kind, which }) => {
      const earlier = log[which % (i + 1)];
      if (kind === 'delivered again') return earlier;
      sequence += 1;
      const payload = kind === 'damaged' ? damaged(earlier.payload, which) : earlier.payload;
      return { sequence, payload };
    });
    return [message, ...additions];
  });
}
