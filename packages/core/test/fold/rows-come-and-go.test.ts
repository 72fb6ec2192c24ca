import {
  type AdmissionSpec,
  type ExpirySpec,
  encodeGradientBlock,
  encodePutBlock,
  type ModelFile,
} from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyGradients, createPartitionState, type PartitionState } from '../../src/fold/partition-fold.ts';
import { partitionHash } from '../../src/fold/partition-hash.ts';
import { pullRows } from '../../src/pull-kernel.ts';
import { findRow } from '../../src/row-table.ts';
import { tableLayouts } from '../../src/table-layout.ts';
import { withTables } from '../model-files.ts';
import { createPlainTable, keyHigh, learningRate, type Sight } from './plain-lives.ts';

interface Policies {
  readonly admission?: AdmissionSpec;
  readonly expiry?: ExpirySpec;
}

const minute = 60_000;
const start = 1_700_000_000_000;

function fileOf(policies: Policies): ModelFile {
  const optimizer = { type: 'sgd', learningRate } as const;
  return withTables([{ name: 'items', wide: { optimizer }, ...policies }]);
}

function stateOf(policies: Policies): PartitionState {
  const layouts = tableLayouts(fileOf(policies));
  return createPartitionState({ model: 'ads', fingerprint: 77, partition: 3, layouts });
}

function block(sequence: number, sights: readonly Sight[], eventTimeMs: number | null): Uint8Array {
  const section = {
    table: 0,
    dim: 1,
    count: sights.length,
    keys: Uint32Array.from(sights.flatMap(({ key }) => [key, keyHigh(key)])),
    gradients: Float32Array.from(sights.map(({ gradient }) => gradient)),
    curvature: null,
    occurrences: Uint32Array.from(sights.map(({ occurrences }) => occurrences)),
  };
  const mark = {
    producer: 'u',
    sequence,
    previous: sequence - 1,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
  };
  return encodeGradientBlock({ ...mark, timeMs: 0, sections: [section], eventTimeMs });
}

function putBlock(sequence: number, key: number, weight: number): Uint8Array {
  const arrays = {
    keys: Uint32Array.of(key, keyHigh(key)),
    weights: Float32Array.of(weight),
    state: new Float32Array(),
  };
  const mark = {
    producer: 'u',
    sequence,
    previous: sequence - 1,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
  };
  return encodePutBlock({
    ...mark,
    timeMs: 0,
    sections: [{ table: 0, dim: 1, stateFloats: 0, count: 1, ...arrays }],
  });
}

function apply(state: PartitionState, payload: Uint8Array): void {
  const outcome = applyGradients(state, { sequence: state.sequence + 1, payload }, 'report');
  expect(outcome.kind).toBe('applied');
}

/** Weights by key. */
function rowsOf({ tables: [table] }: PartitionState): Map<number, number> {
  return new Map(Array.from({ length: table.count }, (_, row) => [table.keys[2 * row], table.weights[row]]));
}

test('rows that come: the gradient of a key that has no row yet is dropped and counted, and reads as before', () => {
  const state = stateOf({ admission: { type: 'count', count: 3 } });
  const sight = { key: 5, gradient: 1, occurrences: 1 };
  apply(state, block(1, [sight], null));
  apply(state, block(2, [sight, { key: 6, gradient: 1, occurrences: 3 }], null));
  expect([[...rowsOf(state)], state.counts.notAdmitted, state.counts.applied]).toEqual([[[6, -0.5]], 2, 2]);
  apply(state, block(3, [sight], null));
  expect([...rowsOf(state)]).toEqual([
    [6, -0.5],
    [5, -0.5],
  ]);
});

test('rows that come: a broken gradient is no occurrence', () => {
  const state = stateOf({ admission: { type: 'count', count: 2 } });
  apply(state, block(1, [{ key: 5, gradient: Number.NaN, occurrences: 1 }], null));
  apply(state, block(2, [{ key: 5, gradient: 1, occurrences: 1 }], null));
  expect([rowsOf(state).size, state.counts.brokenRows, state.counts.notAdmitted]).toEqual([0, 1, 1]);
});

test('rows that go: a row goes once nothing was learned for so long, and is read as first values then', () => {
  const state = stateOf({ expiry: { type: 'age', afterMs: minute } });
  apply(state, block(1, [{ key: 5, gradient: 1, occurrences: 1 }], start));
  apply(state, block(2, [{ key: 6, gradient: 1, occurrences: 1 }], start + 40_000));
  expect(rowsOf(state).size).toBe(2);
  apply(state, block(3, [], start + minute + 1_000));
  expect([[...rowsOf(state).keys()], state.counts.expired]).toEqual([[6], 1]);
  const out = new Float32Array(2).fill(9);
  const [table] = state.tables;
  pullRows([table], Uint32Array.of(5, keyHigh(5), 6, keyHigh(6)), 2, out, 0, new Uint16Array(1));
  expect([findRow(table, 5, keyHigh(5)), [...out]]).toEqual([-1, [0, -0.5]]);
});

test('rows that go: time that goes back does not count, and blocks without time take nothing', () => {
  const state = stateOf({ expiry: { type: 'age', afterMs: minute } });
  const sight = { key: 5, gradient: 1, occurrences: 1 };
  apply(state, block(1, [sight], null));
  apply(state, block(2, [], null));
  expect([rowsOf(state).size, state.eventTimeMs]).toEqual([1, 0]);
  // The first time that is known starts the clock of a row from before; it does not end it.
  apply(state, block(3, [], start));
  apply(state, block(4, [], start - 100 * minute));
  expect([rowsOf(state).size, state.eventTimeMs]).toEqual([1, start]);
  apply(state, block(5, [], start + 2 * minute));
  expect(rowsOf(state).size).toBe(0);
});

test('rows that go: the sweep looks at a bounded number of rows a block, and comes to all of them', () => {
  const state = stateOf({ expiry: { type: 'age', afterMs: minute } });
  const sights = Array.from({ length: 5_000 }, (_, key) => ({ key, gradient: 1, occurrences: 1 }));
  apply(state, block(1, sights, start));
  let most = 0;
  let blocks = 0;
  while (state.tables[0].count > 0 && blocks < 1_000) {
    const before = state.tables[0].count;
    blocks += 1;
    apply(state, block(1 + blocks, [], start + 2 * minute));
    most = Math.max(most, before - state.tables[0].count);
  }
  // 64 of 5,000 on average, by hashes that spread.
  expect(most).toBeLessThan(120);
  expect([state.tables[0].count, state.counts.expired]).toEqual([0, 5_000]);
});

test('rows that are put: as they are given, fresh or with their state, whatever admission asks', () => {
  const optimizer = { type: 'adagrad', learningRate: 0.5, initialAccumulator: 0.25 } as const;
  const layouts = tableLayouts(
    withTables([{ name: 'items', embedding: { dim: 2, optimizer }, admission: { type: 'count', count: 9 } }]),
  );
  const state = createPartitionState({ model: 'ads', fingerprint: 77, partition: 3, layouts });
  const mark = { producer: 'import', model: 'ads', fingerprint: 77, partition: 3, timeMs: 0 };
  const keys = Uint32Array.of(1, 0, 2, 0);
  const given = Float32Array.of(1, 2, 3, 4);
  const withState = { table: 0, dim: 2, stateFloats: 2, count: 2, keys, weights: given };
  const put = (sequence: number, section: object) =>
    applyGradients(
      state,
      {
        sequence,
        payload: encodePutBlock({
          ...mark,
          sequence,
          previous: sequence - 1,
          sections: [section as never],
        }),
      },
      'report',
    );
  expect(put(1, { ...withState, state: Float32Array.of(5, 6, 7, Number.NaN) }).kind).toBe('applied');
  const [table] = state.tables;
  expect([table.count, state.counts.brokenRows]).toEqual([1, 1]);
  expect([...table.weights.subarray(0, 2), ...table.state.subarray(0, 2)]).toEqual([1, 2, 5, 6]);
  expect(put(2, { ...withState, stateFloats: 0, state: new Float32Array() }).kind).toBe('applied');
  expect([...table.weights.subarray(0, 4), ...table.state.subarray(0, 4)]).toEqual([
    1, 2, 3, 4, 0.25, 0.25, 0.25, 0.25,
  ]);
  // Again, out of order, and of another form.
  const other = put(9, { ...withState, stateFloats: 0, state: new Float32Array() });
  expect(other.kind).toBe('gap');
  const payload = encodePutBlock({ ...mark, sequence: 2, previous: 1, sections: [] });
  expect(applyGradients(state, { sequence: 3, payload }, 'report').kind).toBe('duplicate');
  const unfit = put(4, { ...withState, stateFloats: 1, state: new Float32Array(2) });
  expect(unfit.kind === 'rejected' && unfit.error.code).toBe('MILL_BLOCK_FOREIGN');
  expect(put(5, { ...withState, table: 1, stateFloats: 0, state: new Float32Array() }).kind).toBe('rejected');
});

const anySight = fc.record({
  key: fc.nat(40),
  gradient: fc.float({ min: -2, max: 2, noNaN: true }),
  occurrences: fc.integer({ min: 1, max: 3 }),
});
const anyBlock = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('gradients' as const),
      sights: fc.uniqueArray(anySight, { maxLength: 6, selector: ({ key }) => key }),
      /** How far event time goes on, in seconds; null: the block does not tell. */
      afterS: fc.option(fc.nat(40), { freq: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.nat(40) }) },
);
const anyBlocks = fc.array(anyBlock, { maxLength: 60 });

const anyPolicies: fc.Arbitrary<Policies> = fc
  .tuple(
    fc.constantFrom<AdmissionSpec | null>(null, { type: 'count', count: 3 }, { type: 'count', count: 2 }),
    fc.constantFrom<ExpirySpec | null>(
      null,
      { type: 'age', afterMs: minute },
      { type: 'score', halfLifeMs: 30_000, scoreMin: 0.6 },
    ),
  )
  .map(([admission, expiry]) => ({ ...(admission && { admission }), ...(expiry && { expiry }) }));

test('rows that come and go: any log gives the rows of the plain twin, and of another owner (property)', () => {
  fc.assert(
    fc.property(anyPolicies, anyBlocks, (policies, blocks) => {
      const [state, other] = [stateOf(policies), stateOf(policies)];
      const plain = createPlainTable(policies.admission, policies.expiry);
      let nowMs = start;
      blocks.forEach((each, i) => {
        if (each.kind === 'put') {
          const payload = putBlock(i + 1, each.key, 7);
          for (const owner of [state, other]) apply(owner, payload);
          plain.put(each.key, 7);
        } else {
          nowMs += 1_000 * (each.afterS ?? 0);
          const eventTimeMs = each.afterS === null ? null : nowMs;
          const payload = block(i + 1, each.sights, eventTimeMs);
          for (const owner of [state, other]) apply(owner, payload);
          plain.take(each.sights, eventTimeMs);
        }
        const wanted = [...plain.rows].map(([key, { weight }]) => [key, weight] as const);
        expect(rowsOf(state)).toEqual(new Map(wanted));
      });
      expect(partitionHash(other)).toBe(partitionHash(state));
      expect([state.counts.notAdmitted ?? 0, state.counts.expired ?? 0]).toEqual([
        plain.figures.notAdmitted,
        plain.figures.expired,
      ]);
    }),
    { numRuns: 150 },
  );
});

test('rows that come and go: policies leave the hash of models without them what it was', () => {
  const state = stateOf({});
  apply(state, block(1, [{ key: 5, gradient: 1, occurrences: 1 }], start));
  expect([state.eventTimeMs, Object.keys(state.counts)]).toEqual([
    0,
    ['applied', 'duplicates', 'rejected', 'brokenRows'],
  ]);
  const told = stateOf({});
  apply(told, block(1, [{ key: 5, gradient: 1, occurrences: 1 }], null));
  expect(partitionHash(told)).toBe(partitionHash(state));
});
