import { tableLayouts } from '@millrace/core';
import { MillraceError, type ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { pullTables } from '../src/pull-tables.ts';
import {
  addReadMark,
  createReadMarks,
  type PullOutcome,
  type PullRequest,
  type ReadMarks,
  type RowSource,
} from '../src/row-source.ts';

const optimizer = { type: 'sgd', learningRate: 1 } as const;
const file = {
  name: 'ads',
  seed: 1,
  tables: ['x', 'y', 'z'].map((name) => ({ name, wide: { optimizer } })),
} as unknown as ModelFile;
const tables = tableLayouts(file).map((layout) => ({
  layout,
  keys: new Uint32Array(2),
  count: 1,
  out: new Float32Array(1),
}));

/** A source whose answers the test gives by table name. */
function scripted() {
  const asked = new Map<string, PullRequest>();
  const settle = new Map<string, { resolve(outcome: PullOutcome): void; reject(error: Error): void }>();
  const source: RowSource = {
    pull(request) {
      const { name } = request.layout;
      asked.set(name, request);
      return new Promise((resolve, reject) => settle.set(name, { resolve, reject }));
    },
  };
  return { asked, settle, source };
}

/** (table, partition, sequence) of each mark. */
function listed({ tables, partitions, sequences, count }: ReadMarks) {
  return Array.from({ length: count }, (_, i) => [tables[i], partitions[i], sequences[i]]);
}

const options = () => ({ model: 'ads', marks: createReadMarks(), onAbsent: 'default' as const });

test('pull tables: asks for all tables at once, and gathers which of them was read where', async () => {
  const { asked, settle, source } = scripted();
  const { marks, ...rest } = options();
  const pulling = pullTables(source, tables, { ...rest, marks });
  expect([...asked.keys()]).toEqual(['x', 'y', 'z']);
  const { marks: _, ...question } = asked.get('y')!;
  expect(question).toEqual({ ...tables[1], model: 'ads', onAbsent: 'default' });
  expect(asked.get('y')?.out).toBe(tables[1].out);
  addReadMark(asked.get('z')!.marks, 3, 30);
  addReadMark(asked.get('x')!.marks, 5, 50);
  addReadMark(asked.get('z')!.marks, 4, 40);
  for (const { resolve } of settle.values()) resolve({ degraded: false });
  expect(await pulling).toEqual({ degraded: false });
  expect(listed(marks)).toEqual([
    [0, 5, 50],
    [2, 3, 30],
    [2, 4, 40],
  ]);
});

test('pull tables: marks of the batch before are not told again', async () => {
  const { asked, settle, source } = scripted();
  const { marks, ...rest } = options();
  for (const sequence of [7, 8]) {
    marks.count = 0;
    const pulling = pullTables(source, tables.slice(0, 1), { ...rest, marks });
    addReadMark(asked.get('x')!.marks, 0, sequence);
    settle.get('x')!.resolve({ degraded: false });
    await pulling;
    expect(listed(marks)).toEqual([[0, 0, sequence]]);
  }
});

test('pull tables: degraded when one of them is', async () => {
  const { settle, source } = scripted();
  const pulling = pullTables(source, tables, options());
  settle.get('x')!.resolve({ degraded: false });
  settle.get('y')!.resolve({ degraded: true });
  settle.get('z')!.resolve({ degraded: false });
  expect(await pulling).toEqual({ degraded: true });
});

test('pull tables: one that fails is told only when the others are done, since they still write rows', async () => {
  const { settle, source } = scripted();
  let told = false;
  const pulling = pullTables(source, tables, options()).finally(() => {
    told = true;
  });
  pulling.catch(() => {});
  settle.get('y')!.reject(new MillraceError('MILL_DIM_MISMATCH', 'rows must have 1 float'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(false);
  settle.get('x')!.resolve({ degraded: false });
  settle.get('z')!.reject(new MillraceError('MILL_NOT_READY', 'no map yet'));
  await expect(pulling).rejects.toMatchObject({ code: 'MILL_DIM_MISMATCH' });
});

test('pull tables: no tables, nothing to do', async () => {
  expect(await pullTables(scripted().source, [], options())).toEqual({ degraded: false });
});
