/** What a shard tells of rows that blocks changed, and what it keeps for itself. */
import {
  applyGradients,
  createPartitionState,
  fingerprintOf,
  type PartitionState,
  writeInitialRow,
} from '@millrace/core';
import { decodeRowUpdate, type RowUpdate, rowsWantedMs } from '@millrace/protocol';
import { createManualClock, createMemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createRowUpdates } from '../src/row-updates.ts';
import { blockOf, file, keysOn, layouts } from './small-cluster.ts';

const fingerprint = fingerprintOf(file);

function openTelling(tells: (partition: number) => boolean = () => true) {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const told: RowUpdate[] = [];
  bus.onNotice('mill.rows.ads', (payload) => told.push(decodeRowUpdate(payload)));
  const updates = createRowUpdates({ bus, clock, model: file.name, fingerprint, tells });
  const states = [0, 1, 2, 3].map((partition) =>
    createPartitionState({ model: file.name, fingerprint, partition, layouts }),
  );
  let blocks = 0;
  const apply = (state: PartitionState, sequence: number, payload: Uint8Array) => {
    updates.begin(state);
    updates.end(state, applyGradients(state, { sequence, payload }, 'report'));
  };
  return {
    bus,
    clock,
    told,
    states,
    updates,
    want: () => bus.notify('mill.rows-wanted.ads', new Uint8Array(0)),
    flush: () => clock.advanceBy(1),
    apply,
    block(partition: number, keys: readonly number[], sequence: number) {
      blocks += 1;
      // A producer of its own for each block, so that chains need no keeping.
      apply(states[partition], sequence, blockOf({ partition, keys, sequence: 1, producer: `p${blocks}` }));
    },
  };
}

/** A row of "ids" after a step of gradient 1 at rate 0.5. */
function steppedRow(low: number, high: number): number[] {
  const row = new Float32Array(3);
  writeInitialRow(layouts[0], low, high, row, 0);
  return Array.from(row, (w) => Math.fround(w - 0.5));
}

test('row updates: tells the rows that a block changed, as they are, between two sequences', () => {
  const { want, block, flush, told } = openTelling();
  want();
  const keys = keysOn(1, 2);
  block(1, keys, 17);
  expect(told).toEqual([]);
  flush();
  const section = {
    table: 0,
    dim: 3,
    rows: 2,
    forgotten: 0,
    keys: Uint32Array.from(keys),
    weights: Float32Array.from([...steppedRow(keys[0], keys[1]), ...steppedRow(keys[2], keys[3])]),
  };
  const part = { partition: 1, previous: 0, sequence: 17, whole: false, sections: [section] };
  expect(told).toEqual([{ model: 'ads', fingerprint, partitions: [part] }]);
});

test('row updates: blocks that come together are one notice, and chains go on from it', () => {
  const { want, block, flush, told } = openTelling();
  want();
  block(1, keysOn(1, 1), 5);
  block(2, keysOn(2, 1), 6);
  block(1, keysOn(1, 3), 9);
  flush();
  block(1, keysOn(1, 1), 12);
  flush();
  const chains = told.map(({ partitions }) =>
    partitions.map(({ partition, previous, sequence }) => [partition, previous, sequence]),
  );
  expect(chains).toEqual([
    [
      [1, 0, 9],
      [2, 0, 6],
    ],
    [[1, 9, 12]],
  ]);
});

test('row updates: what changed nothing moves the sequence all the same', () => {
  const { want, apply, states, flush, told } = openTelling();
  want();
  apply(states[1], 4, Uint8Array.of(1, 2, 3));
  flush();
  expect(told[0].partitions).toEqual([
    { partition: 1, previous: 0, sequence: 4, whole: false, sections: [] },
  ]);
});

test('row updates: nothing is told that nobody wants, or that another shard tells', () => {
  const { want, block, flush, clock, told } = openTelling((partition) => partition !== 2);
  block(1, keysOn(1, 1), 5);
  flush();
  want();
  block(2, keysOn(2, 1), 6);
  flush();
  clock.advanceBy(rowsWantedMs);
  block(1, keysOn(1, 1), 7);
  flush();
  expect(told).toEqual([]);
});

test('row updates: what was applied unnoted shows as a gap', () => {
  const { want, block, flush, clock, told } = openTelling();
  want();
  block(1, keysOn(1, 1), 5);
  flush();
  clock.advanceBy(rowsWantedMs);
  block(1, keysOn(1, 1), 6);
  want();
  block(1, keysOn(1, 1), 7);
  flush();
  expect(told.map(({ partitions: [{ previous, sequence }] }) => [previous, sequence])).toEqual([
    [0, 5],
    [6, 7],
  ]);
});

test('row updates: a block of many rows is told row by row, one of too many as a whole', () => {
  const { want, block, flush, told } = openTelling();
  want();
  block(0, keysOn(0, 4_096), 5);
  flush();
  block(0, keysOn(0, 4_097), 6);
  flush();
  expect(told[0].partitions[0]).toMatchObject({ whole: false });
  expect(told[0].partitions[0].sections[0]).toMatchObject({ rows: 4_096, forgotten: 0 });
  expect(told[1].partitions[0]).toMatchObject({ previous: 5, sequence: 6, whole: true, sections: [] });
});

test('row updates: a notice is bounded; what does not fit comes in the next one', () => {
  const { want, block, flush, told } = openTelling();
  want();
  for (let partition = 0; partition < 4; partition += 1)
    block(partition, keysOn(partition, 4_096), 5 + partition);
  flush();
  expect(told.map(({ partitions }) => partitions.map(({ partition }) => partition))).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

test('row updates: tells nothing after it was closed', async () => {
  const { want, block, flush, updates, told } = openTelling();
  want();
  block(1, keysOn(1, 1), 5);
  await updates.close();
  flush();
  expect(told).toEqual([]);
});
