import {
  applyGradients,
  changedCount,
  clearChanged,
  createPartitionState,
  findOrAddRow,
  findRow,
  type PartitionState,
  partitionHash,
} from '@millrace/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { captureDense, capturePartition } from '../src/capture.ts';
import { restoreDenseInto, restoreInto } from '../src/restore.ts';
import {
  apply,
  applyDenseBlocks,
  chunked,
  denseState,
  emptyState,
  identity,
  layouts,
  payloadOf,
} from './small-state.ts';

function captured(state: PartitionState, base: number | null): Uint8Array {
  return Buffer.concat([...capturePartition(state, base)]);
}

function put(
  state: PartitionState,
  name: { sequence: number; base: number | null },
  bytes: Uint8Array,
  chunkBytes = 64,
): Promise<void> {
  return restoreInto(state, name, chunked(bytes, chunkBytes), () => undefined);
}

const anyKeys = fc.uniqueArray(fc.nat(40), { maxLength: 6 });
const anyStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('block' as const), keys: anyKeys }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('repeat', 'damaged', 'full', 'delta'),
      keys: fc.constant([]),
    }),
  },
);

test('restore: a chain gives the state at each of its ends, and the same log goes on from the last (property)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { maxLength: 30 }),
      fc.array(anyKeys, { maxLength: 5 }),
      fc.integer({ min: 1, max: 300 }),
      async (steps, rest, chunkBytes) => {
        const state = emptyState();
        let chain: { sequence: number; base: number | null; bytes: Uint8Array; hash: string }[] = [];
        let payload = payloadOf(1, [1]);
        for (const { kind, keys } of [...steps, { kind: 'block', keys: [1] }, { kind: 'delta', keys: [] }]) {
          const sequence = state.sequence + 1;
          if (kind === 'full' || kind === 'delta') {
            const base = kind === 'full' ? null : (chain.at(-1)?.sequence ?? null);
            if (base === state.sequence) continue;
            if (base === null) chain = [];
            const bytes = captured(state, base);
            chain.push({ sequence: state.sequence, base, bytes, hash: partitionHash(state) });
            for (const table of state.tables) clearChanged(table);
          } else {
            if (kind === 'block') payload = payloadOf(sequence, keys);
            const message = { sequence, payload: kind === 'damaged' ? payload.subarray(1) : payload };
            applyGradients(state, message, 'accept');
          }
        }
        const restored = emptyState();
        for (const { bytes, hash, ...name } of chain) {
          await put(restored, name, bytes, chunkBytes);
          expect(partitionHash(restored)).toBe(hash);
          expect(restored.tables.map(changedCount)).toEqual([0, 0, 0]);
        }
        expect(restored.counts).toEqual(state.counts);
        apply(restored, rest);
        apply(state, rest);
        expect(partitionHash(restored)).toBe(partitionHash(state));
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test('restore: a log folded with restarts from snapshots anywhere gives the state of the log folded once (property)', async () => {
  const anyBlock = fc.record({ keys: anyKeys, restart: fc.constantFrom('no', 'no', 'no', 'full', 'delta') });
  await fc.assert(
    fc.asyncProperty(fc.array(anyBlock, { minLength: 1, maxLength: 20 }), async (blocks) => {
      const once = emptyState();
      let state = emptyState();
      let base: { sequence: number; bytes: Uint8Array } | null = null;
      for (const { keys, restart } of blocks) {
        apply(once, [keys]);
        apply(state, [keys]);
        if (restart === 'no') continue;
        const { sequence } = state;
        const next = emptyState();
        if (restart === 'delta' && base !== null) {
          const bytes = captured(state, base.sequence);
          await put(next, { sequence: base.sequence, base: null }, base.bytes);
          await put(next, { sequence, base: base.sequence }, bytes);
          // Its marks are clear, but the next delta is to stand on the full one again.
          for (const [i, table] of next.tables.entries()) table.changed.set(state.tables[i].changed);
        } else {
          const bytes = captured(state, null);
          await put(next, { sequence, base: null }, bytes);
          base = { sequence, bytes };
        }
        state = next;
      }
      expect(partitionHash(state)).toBe(partitionHash(once));
      expect(state.counts).toEqual(once.counts);
    }),
    { numRuns: 60 },
  );
}, 60_000);

test('restore: a delta holds the rows that changed, and only these', async () => {
  const state = emptyState();
  apply(state, [[1, 2, 3, 4, 5, 6, 7, 8]]);
  const full = captured(state, null);
  for (const table of state.tables) clearChanged(table);
  apply(state, [[3, 20]]);
  const rows: number[] = [];
  const base = emptyState();
  await restoreInto(base, { sequence: 1, base: null }, chunked(full, 500), (count) => rows.push(count));
  expect(rows).toEqual([8, 8, 8]);
  rows.length = 0;
  const delta = captured(state, 1);
  await restoreInto(base, { sequence: 2, base: 1 }, chunked(delta, 500), (count) => rows.push(count));
  expect(rows).toEqual([2, 2, 2]);
  expect(partitionHash(base)).toBe(partitionHash(state));
});

test('restore: a delta without changed rows moves the sequence and what has been counted', async () => {
  const state = emptyState();
  apply(state, [[1]]);
  const full = captured(state, null);
  for (const table of state.tables) clearChanged(table);
  applyGradients(state, { sequence: 9, payload: payloadOf(1, [1]) }, 'accept');
  const delta = captured(state, 1);
  const restored = emptyState();
  await put(restored, { sequence: 1, base: null }, full);
  await put(restored, { sequence: 9, base: 1 }, delta);
  expect([restored.sequence, restored.counts.duplicates]).toEqual([9, 1]);
  expect(partitionHash(restored)).toBe(partitionHash(state));
});

test('restore: an empty state, and one of many blocks a table', async () => {
  const empty = emptyState();
  await put(empty, { sequence: 0, base: null }, captured(emptyState(), null));
  expect(partitionHash(empty)).toBe(partitionHash(emptyState()));

  const many = emptyState();
  many.sequence = 3;
  for (let key = 0; key < 60_000; key += 1) findOrAddRow(many.tables[1], key, key % 3);
  const blocks = [...capturePartition(many, null)];
  // A body of 256 KiB holds 21,845 rows of 12 bytes.
  expect(blocks.map((block) => block.length > 200_000)).toEqual([false, true, true, false, false]);
  const restored = emptyState();
  await put(restored, { sequence: 3, base: null }, Buffer.concat(blocks), 100_000);
  expect(partitionHash(restored)).toBe(partitionHash(many));
  expect(restored.tables[1].slots.length).toBe(many.tables[1].slots.length);

  // The same as a delta: every third row.
  for (const table of many.tables) clearChanged(table);
  for (let row = 0; row < 60_000; row += 2) {
    many.tables[1].weights[row] += 1;
    many.tables[1].changed[row >>> 5] |= 1 << (row & 31);
  }
  many.sequence = 5;
  const deltas = [...capturePartition(many, 3)];
  expect(deltas.map((block) => block.length > 80_000)).toEqual([false, true, true, false]);
  await put(restored, { sequence: 5, base: 3 }, Buffer.concat(deltas), 100_000);
  expect(partitionHash(restored)).toBe(partitionHash(many));
});

test('restore: holds a block at a time: rows are in before the chunks behind them are asked for', async () => {
  const many = emptyState();
  many.sequence = 3;
  for (let key = 0; key < 200_000; key += 1) findOrAddRow(many.tables[1], key, 0);
  const bytes = captured(many, null);
  let asked = 0;
  async function* counted() {
    for await (const chunk of chunked(bytes, 10_000)) {
      asked += chunk.length;
      yield chunk;
    }
  }
  let rows = 0;
  let ahead = 0;
  await restoreInto(emptyState(), { sequence: 3, base: null }, counted(), (count) => {
    rows += count;
    ahead = Math.max(ahead, asked - rows * 12);
  });
  expect(rows).toBe(200_000);
  // The header, what frames the blocks, and a chunk.
  expect(ahead).toBeLessThan(12_000);
});

test('restore: a captured block is the caller’s to keep: later steps do not change it', async () => {
  const state = emptyState();
  apply(state, [[1, 2, 3]]);
  const blocks = [...capturePartition(state, null)];
  const hash = partitionHash(state);
  apply(state, [[1, 2, 3, 4], [5]]);
  const restored = emptyState();
  await put(restored, { sequence: 1, base: null }, Buffer.concat(blocks));
  expect(partitionHash(restored)).toBe(hash);
});

test('restore: reads while a snapshot is taken see the rows', () => {
  const state = emptyState();
  apply(state, [[1, 2]]);
  for (const _ of capturePartition(state, null)) expect(findRow(state.tables[0], 2, 6)).toBe(1);
});

test.each([
  { what: 'another model', into: { ...identity, model: 'feed' } },
  { what: 'another model file', into: { ...identity, fingerprint: 78 } },
  { what: 'another partition', into: { ...identity, partition: 4 } },
  { what: 'fewer tables', into: { ...identity, layouts: layouts.slice(0, 2) } },
  { what: 'tables in another order', into: { ...identity, layouts: layouts.toReversed() } },
  {
    what: 'rows of another form',
    into: { ...identity, layouts: layouts.with(1, { ...layouts[1], dim: 2 }) },
  },
])('restore: a snapshot is not put into a state of $what', async ({ into }) => {
  const state = emptyState();
  apply(state, [[1]]);
  const bytes = captured(state, null);
  await expect(put(createPartitionState(into), { sequence: 1, base: null }, bytes)).rejects.toMatchObject({
    code: 'MILL_SNAPSHOT_INVALID',
  });
});

test('restore: a snapshot under another name than its own is refused', async () => {
  const state = emptyState();
  apply(state, [[1]]);
  const full = captured(state, null);
  for (const table of state.tables) clearChanged(table);
  apply(state, [[1]]);
  const delta = captured(state, 1);
  for (const [name, bytes] of [
    [{ sequence: 2, base: null }, full],
    [{ sequence: 1, base: null }, delta],
    [{ sequence: 3, base: 1 }, delta],
    [{ sequence: 2, base: null }, delta],
  ] as const)
    await expect(put(emptyState(), name, bytes)).rejects.toMatchObject({ code: 'MILL_SNAPSHOT_INVALID' });
});

test('restore: a delta goes onto its base alone', async () => {
  const state = emptyState();
  apply(state, [[1], [2]]);
  for (const table of state.tables) clearChanged(table);
  apply(state, [[3]]);
  const delta = captured(state, 2);
  for (const blocks of [[], [[1]], [[1], [2], [3]]]) {
    const other = emptyState();
    apply(other, blocks);
    await expect(put(other, { sequence: 3, base: 2 }, delta)).rejects.toThrow(/a base at/);
  }
});

test('restore: dense: the state goes on as the one that was captured; of another size it is refused', async () => {
  const state = denseState(300_000);
  applyDenseBlocks(state, 2);
  const blocks = [...captureDense(state)];
  const bytes = Buffer.concat(blocks);
  expect(blocks.length).toBeGreaterThan(10);
  const restored = denseState(300_000);
  await restoreDenseInto(restored, { sequence: 2, base: null }, chunked(bytes, 100_000));
  expect(Buffer.compare(Buffer.from(restored.weights.buffer), Buffer.from(state.weights.buffer))).toBe(0);
  applyDenseBlocks(state, 1);
  applyDenseBlocks(restored, 1);
  expect(Buffer.compare(Buffer.from(restored.weights.buffer), Buffer.from(state.weights.buffer))).toBe(0);
  const smaller = denseState(299_999);
  await expect(
    restoreDenseInto(smaller, { sequence: 2, base: null }, chunked(bytes, 100_000)),
  ).rejects.toMatchObject({ code: 'MILL_SNAPSHOT_INVALID' });
});

test('restore: a partition’s snapshot is none of dense weights, and the other way round', async () => {
  const state = emptyState();
  apply(state, [[1]]);
  const ofDense = Buffer.concat([...captureDense(denseState())]);
  const invalid = { code: 'MILL_SNAPSHOT_INVALID' };
  const partition = chunked(captured(state, null), 99);
  await expect(restoreDenseInto(denseState(), { sequence: 1, base: null }, partition)).rejects.toMatchObject(
    invalid,
  );
  await expect(put(emptyState(), { sequence: 0, base: null }, ofDense)).rejects.toMatchObject(invalid);
});
