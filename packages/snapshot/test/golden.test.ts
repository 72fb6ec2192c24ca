/** Snapshots laid out by hand from the comments above the codecs. They are never edited: a change of the form adds new ones. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createPartitionState,
  type DenseState,
  findRow,
  type PartitionState,
  type TableLayout,
} from '@millrace/core';
import { expect, test } from 'vitest';
import { captureDense, capturePartition } from '../src/capture.ts';
import { restoreDenseInto, restoreInto } from '../src/restore.ts';
import { chunked, denseState, layouts } from './small-state.ts';

function golden(name: string): Uint8Array {
  const text = readFileSync(join(import.meta.dirname, 'golden', `${name}.hex`), 'utf8');
  return new Uint8Array(Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex'));
}

function hexOf(blocks: Iterable<Uint8Array>): string {
  return Buffer.concat([...blocks]).toString('hex');
}

const fingerprint = 0xdeadbeef;
const sequence = 2 ** 32 + 5;

function emptyState(): PartitionState {
  const table = (name: string, dim: number, stateFloats: number): TableLayout => ({
    ...layouts[0],
    name,
    dim,
    stateFloats,
  });
  return createPartitionState({
    model: 'ads',
    fingerprint,
    partition: 3,
    layouts: [table('users', 2, 1), table('bias', 1, 0)],
  });
}

function emptyDense(): DenseState {
  return {
    ...denseState(),
    fingerprint,
    weights: new Float32Array(2),
    optimizerState: new Float32Array(3),
  };
}

async function restored(): Promise<PartitionState> {
  const state = emptyState();
  await restoreInto(state, { sequence, base: null }, chunked(golden('full'), 50), () => undefined);
  return state;
}

test('golden: a full snapshot is read', async () => {
  const state = await restored();
  const [users, bias] = state.tables;
  expect([state.sequence, [...state.producers], state.counts]).toEqual([
    sequence,
    [
      ['u', 9],
      ['v', 70_000],
    ],
    { applied: 300, duplicates: 2, rejected: 1, brokenRows: 0 },
  ]);
  expect([users.count, findRow(users, 5, 6), findRow(users, 0xffff_ffff, 1)]).toEqual([2, 0, 1]);
  expect([...users.weights.slice(0, 4), ...users.state.slice(0, 2)]).toEqual([0.5, -0.25, 1.5, 0, 2, 3]);
  expect([bias.count, findRow(bias, 7, 0), bias.weights[0]]).toEqual([1, 0, -1]);
});

test('golden: a delta is read onto it', async () => {
  const state = await restored();
  const name = { sequence: sequence + 2, base: sequence };
  await restoreInto(state, name, chunked(golden('delta'), 50), () => undefined);
  const [users, bias] = state.tables;
  expect([state.sequence, state.producers.get('u'), state.counts.applied]).toEqual([sequence + 2, 10, 301]);
  expect([...users.weights.slice(0, 4), ...users.state.slice(0, 2)]).toEqual([0.75, 0, 1.5, 0, 4, 3]);
  expect([bias.count, bias.weights[findRow(bias, 8, 0)]]).toEqual([2, 1]);
});

test('golden: the same states are written as the same bytes', async () => {
  const state = await restored();
  expect(hexOf(capturePartition(state, null))).toBe(hexOf([golden('full')]));
  // Restored rows are unmarked; mark what the delta holds.
  await restoreInto(
    state,
    { sequence: sequence + 2, base: sequence },
    chunked(golden('delta'), 50),
    () => undefined,
  );
  state.tables[0].changed[0] = 0b01;
  state.tables[1].changed[0] = 0b10;
  expect(hexOf(capturePartition(state, sequence))).toBe(hexOf([golden('delta')]));
});

test('golden: a snapshot of dense weights is read, and written as the same bytes', async () => {
  const state = emptyDense();
  await restoreDenseInto(state, { sequence: 12, base: null }, chunked(golden('dense'), 50));
  expect([...state.weights, ...state.optimizerState]).toEqual([0.5, -2, 1, 2, 0.125]);
  expect([state.sequence, [...state.producers], state.counts.applied]).toEqual([12, [['u', 9]], 9]);
  expect(hexOf(captureDense(state))).toBe(hexOf([golden('dense')]));
});
