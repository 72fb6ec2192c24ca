/** Snapshots of partitions whose rows come and go: whatever was forgotten or counted must come back, or the log goes another way. */
import {
  applyGradients,
  changesOf,
  clearChanged,
  createPartitionState,
  type PartitionState,
  partitionHash,
  tableLayouts,
} from '@millrace/core';
import { type AdmissionSpec, type ExpirySpec, encodeGradientBlock, type ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capturePartition } from '../src/capture.ts';
import { restoreInto } from '../src/restore.ts';
import { decodeHeader } from '../src/snapshot-header.ts';
import { chunked, file } from './small-state.ts';

const admissions: readonly AdmissionSpec[] = [
  { type: 'count', count: 3 },
  { type: 'count', count: 2, counter: 'sketch', cells: 64 },
  { type: 'probability', probability: 0.3 },
];
const expiries: readonly ExpirySpec[] = [
  { type: 'age', afterMs: 60_000 },
  { type: 'score', halfLifeMs: 30_000, scoreMin: 0.6 },
];
const start = 1_700_000_000_000;

/** Three tables, each with a policy of both kinds or of one. */
function emptyWith(policies: readonly { admission?: AdmissionSpec; expiry?: ExpirySpec }[]): PartitionState {
  const tables = policies.map((policy, i) => ({ ...file.tables[i], ...policy }));
  const layouts = tableLayouts({ ...file, tables } as ModelFile);
  return createPartitionState({ model: 'ads', fingerprint: 77, partition: 3, layouts });
}

interface Step {
  readonly keys: readonly number[];
  readonly occurrences: number;
  readonly afterS: number;
  readonly snapshot: 'none' | 'full' | 'delta';
}

function payloadOf(state: PartitionState, { keys, occurrences }: Step, eventTimeMs: number): Uint8Array {
  const sequence = state.sequence + 1;
  const mark = {
    producer: 'u',
    sequence,
    previous: sequence - 1,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
  };
  const sections = state.tables.map(({ layout: { dim } }, table) => ({
    table,
    dim,
    count: keys.length,
    keys: Uint32Array.from(keys.flatMap((key) => [key, Math.imul(key, 0x9e3779b1) >>> 0])),
    gradients: new Float32Array(dim * keys.length).map((_, i) => ((i * 7 + sequence) % 11) / 8 - 0.5),
    curvature: null,
    occurrences: new Uint32Array(keys.length).fill(occurrences),
  }));
  return encodeGradientBlock({ ...mark, timeMs: 0, sections, eventTimeMs });
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  keys: fc.uniqueArray(fc.nat(60), { maxLength: 8 }),
  occurrences: fc.integer({ min: 1, max: 2 }),
  afterS: fc.nat(50),
  snapshot: fc.constantFrom('none', 'none', 'full', 'delta'),
});
const anyPolicies = fc.array(
  fc
    .tuple(fc.constantFrom(null, ...admissions), fc.constantFrom(null, ...expiries))
    .map(([admission, expiry]) => ({ ...(admission && { admission }), ...(expiry && { expiry }) })),
  { minLength: 3, maxLength: 3 },
);

function put(state: PartitionState, base: number | null, bytes: Uint8Array, sequence: number): Promise<void> {
  return restoreInto(state, { sequence, base }, chunked(bytes, 4_096), () => undefined);
}

test('rows that go: the log folded at once is a chain of snapshots at any points and the log after them (property)', async () => {
  let gone = 0;
  await fc.assert(
    fc.asyncProperty(anyPolicies, fc.array(anyStep, { maxLength: 40 }), async (policies, steps) => {
      const state = emptyWith(policies);
      let restored: PartitionState | null = null;
      let base: number | null = null;
      let eventTimeMs = start;
      for (const step of steps) {
        eventTimeMs += 1_000 * step.afterS;
        const message = { sequence: state.sequence + 1, payload: payloadOf(state, step, eventTimeMs) };
        expect(applyGradients(state, message, 'report').kind).toBe('applied');
        if (restored !== null) {
          // The copy goes on with the same log from where its snapshot left it.
          applyGradients(restored, message, 'report');
          expect(partitionHash(restored)).toBe(partitionHash(state));
          expect(restored.counts).toEqual(state.counts);
        }
        if (step.snapshot === 'none') continue;
        const isDelta: boolean = step.snapshot === 'delta' && base !== null && restored !== null;
        if (isDelta) gone += state.tables.reduce((sum, table) => sum + Math.max(0, table.goneCount), 0);
        const bytes = Buffer.concat([...capturePartition(state, isDelta ? base : null)]);
        const before: Uint8Array[] = isDelta ? chain : [];
        chain = [...before, bytes];
        for (const table of state.tables) clearChanged(table);
        restored = emptyWith(policies);
        for (const part of chain) {
          const header = decodeHeader(
            part.subarray(0, new DataView(part.buffer, part.byteOffset).getUint32(8, true)),
          );
          await put(restored, header.base, part, header.sequence);
        }
        base = state.sequence;
        expect(partitionHash(restored)).toBe(partitionHash(state));
        expect(restored.tables.map(changesOf)).toEqual([0, 0, 0]);
      }
    }),
    { numRuns: 60 },
  );
  // Deltas named keys, or the property was of nothing.
  expect(gone).toBeGreaterThan(50);
});
let chain: Uint8Array[] = [];

test('rows that go: a snapshot asks for readers that know; one without policies does not', () => {
  const requiresOf = (policies: Parameters<typeof emptyWith>[0]) => {
    const [header] = [...capturePartition(emptyWith(policies), null)];
    return decodeHeader(header).requires;
  };
  expect(requiresOf([{}, {}, {}])).toEqual([]);
  expect(requiresOf([{ admission: admissions[0] }, {}, {}])).toEqual(['admission']);
  expect(requiresOf([{}, { expiry: expiries[0] }, { admission: admissions[1] }])).toEqual([
    'admission',
    'expiry',
  ]);
});

test('rows that go: every byte of a delta that names keys is looked at', async () => {
  const policies = [{ admission: admissions[0], expiry: expiries[0] }, { expiry: expiries[1] }, {}];
  const state = emptyWith(policies);
  const step = { occurrences: 3, afterS: 0, snapshot: 'none' } as const;
  const apply = (keys: readonly number[], eventTimeMs: number) => {
    const message = {
      sequence: state.sequence + 1,
      payload: payloadOf(state, { ...step, keys }, eventTimeMs),
    };
    applyGradients(state, message, 'report');
  };
  apply([1, 2, 3], start);
  const full = Buffer.concat([...capturePartition(state, null)]);
  for (const table of state.tables) clearChanged(table);
  apply([4], start + 300_000);
  expect(state.tables.map(({ goneCount }) => goneCount)).toEqual([3, 3, 0]);
  const delta = Buffer.concat([...capturePartition(state, 1)]);
  const hash = partitionHash(state);
  const restored = emptyWith(policies);
  await put(restored, null, full, 1);
  await put(restored, 1, delta, 2);
  expect(partitionHash(restored)).toBe(hash);
  for (let at = 0; at < delta.length; at += 1) {
    const damaged = Buffer.from(delta);
    damaged[at] ^= 1 << (at % 8);
    const other = emptyWith(policies);
    await put(other, null, full, 1);
    await expect(put(other, 1, damaged, 2)).rejects.toThrow('cannot read');
  }
});
