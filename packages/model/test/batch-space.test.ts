import { expect, test } from 'vitest';
import {
  atLeast,
  createBatchSpace,
  gatherSpace,
  resetSpace,
  scoreSpace,
  tablesToPull,
} from '../src/batch-space.ts';
import type { LoadedWeights, NetInput, Program, RowsInput } from '../src/engine.ts';
import { createFeatureEncoder } from '../src/feature-encoder.ts';
import { planOf } from './encoded.ts';
import { embeddingTable, smallModel } from './small-model.ts';

const noScales = new Float64Array(0);
const plan = planOf(
  smallModel({
    fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'ids' }],
    tables: [embeddingTable('ids', 2)],
    net: 'fm',
    bias: true,
  }),
);

test('batch space: one batch from items to the inputs of the net', () => {
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  encoder.beginRequest({}, {});
  ['a', 'b', 'a'].forEach((ad, i) => {
    encoder.addItem(space.batch, { ad }, i);
  });
  const [pull] = tablesToPull(space);
  // Keys a, bias, b; rows of 1 + 2 floats.
  expect([pull.layout.name, pull.count, pull.out === space.rows[0]]).toEqual(['ids', 3, true]);
  expect(pull.out.length).toBeGreaterThanOrEqual(9);
  pull.out.set([1, 10, 20, 0.5, 7, 7, 2, 30, 40]);
  const input = gatherSpace(space, noScales);
  expect(input.rows).toBe(3);
  expect(Array.from(input.wide.subarray(0, 3))).toEqual([1.5, 2.5, 1.5]);
  expect(Array.from(input.embeddings.subarray(0, 6))).toEqual([10, 20, 30, 40, 10, 20]);
  expect(space.logits.length).toBeGreaterThanOrEqual(3);
});

test('batch space: memory is kept for a smaller batch, and nothing of the larger one is left in it', () => {
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  encoder.beginRequest({}, {});
  for (let i = 0; i < 200; i += 1) encoder.addItem(space.batch, { ad: i }, i);
  tablesToPull(space)[0].out.fill(5);
  const { wide, embeddings } = gatherSpace(space, noScales);
  resetSpace(space);
  encoder.addItem(space.batch, {}, 0);
  const [pull] = tablesToPull(space);
  expect(pull.count).toBe(1);
  pull.out.set([0.25, 6, 6]);
  const input = gatherSpace(space, noScales);
  expect([input.wide === wide, input.embeddings === embeddings]).toEqual([true, true]);
  expect([input.rows, input.wide[0], input.embeddings[0], input.embeddings[1]]).toEqual([1, 0.25, 0, 0]);
});

/** Scores are wide sums; in the other thread one more. */
function program(beside: boolean | null): Program & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    load: () => loaded,
    forward(_, { rows, wide }: NetInput, logits) {
      calls.push('here');
      logits.set(wide.subarray(0, rows));
      return undefined;
    },
    forwardBeside(_, { batch }: RowsInput, logits) {
      calls.push('beside');
      logits.fill(7, 0, batch.rows);
      return beside === null ? null : Promise.resolve(beside);
    },
    gradients: () => undefined,
    dispose() {},
  };
}
const loaded: LoadedWeights = { dispose() {} };

test('batch space: scores are those of the other thread where it makes them, else made here; variances are either way', async () => {
  const sure = { ...embeddingTable('ids', 2), precision: { prior: 2 } };
  const surePlan = planOf(
    smallModel({
      fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'ids' }],
      tables: [sure],
      net: 'fm',
    }),
  );
  for (const [made, wanted] of [
    [true, { calls: ['beside'], logits: [7, 7] }],
    [false, { calls: ['beside', 'here'], logits: [1, 2] }],
    [null, { calls: ['beside', 'here'], logits: [1, 2] }],
  ] as const) {
    const space = createBatchSpace(surePlan);
    const encoder = createFeatureEncoder(surePlan);
    encoder.beginRequest({}, {});
    encoder.addItem(space.batch, { ad: 'a' }, 0);
    encoder.addItem(space.batch, { ad: 'b' }, 1);
    const [pull] = tablesToPull(space);
    const { dim, precision } = pull.layout;
    const at = precision?.at ?? -1;
    pull.out[0] = 1;
    pull.out[dim] = 2;
    pull.out[at] = 2;
    pull.out[dim + at] = 6;
    const of = program(made);
    expect(await scoreSpace(of, loaded, noScales, space)).toBe(made === true);
    expect({ calls: of.calls, logits: [...space.logits.subarray(0, 2)] }).toEqual(wanted);
    expect([...space.variances.subarray(0, 2)]).toEqual([1 / 4, 1 / 8]);
  }
});

test('batch space: what another thread may gather lies in memory that is shared, however large it has grown', () => {
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  for (let r = 0; r < 300; r += 1) {
    encoder.beginRequest({}, {});
    encoder.addItem(space.batch, { ad: r }, 0);
    encoder.addItem(space.batch, { ad: -r }, 1);
  }
  tablesToPull(space);
  const { starts, tables } = space.batch;
  const arrays = tables.flatMap(({ keyOf, exampleOf, slotOf, xOf, sharedOf }) => [
    keyOf,
    exampleOf,
    slotOf,
    xOf,
    sharedOf,
  ]);
  for (const { buffer } of [starts, ...arrays, ...space.rows])
    expect(buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(tables[0].occurrences).toBe(900);
});

test('batch space: atLeast: the same array while it is large enough, else the next power of two, 64 or more', () => {
  const array = new Float32Array(65);
  expect(atLeast(array, 65)).toBe(array);
  expect(atLeast(array, 66).length).toBe(128);
  expect(atLeast(new Float32Array(0), 1).length).toBe(64);
});
