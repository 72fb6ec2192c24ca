import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { learnedHash } from '@millrace/learner';
import type { ModelFile } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { scoreAt } from '../../src/history/score-at.ts';
import { exportModel } from '../../src/tables/export-model.ts';
import { openFolderReader } from '../../src/tables/folder-reader.ts';
import { importFolder, importNamedRows } from '../../src/tables/import-model.ts';
import { createFieldKeys, nameKeys } from '../../src/tables/key-names.ts';
import { columnValues, csvNamedRows, npyNamedRows } from '../../src/tables/named-rows.ts';
import { npyHeader } from '../../src/tables/npy.ts';
import { type TableFormat, tableFormats } from '../../src/tables/table-folder.ts';
import { isTrained, openTrainedReader } from '../../src/tables/trained-reader.ts';
import { saveTrained, type Trained } from '../../src/training/trained-files.ts';
import { deep, openPastCluster, type PastCluster } from '../history/past-cluster.ts';

async function folderOf(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-tables-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function learned(visits = 25): Promise<PastCluster> {
  const past = await openPastCluster(deep);
  await past.visit(visits);
  return past;
}

function exported(past: PastCluster, folder: string, format: TableFormat, withState = true) {
  return exportModel({
    source: past.source,
    file: deep,
    at: null,
    folder,
    format,
    table: null,
    withState,
    names: null,
    onProgress() {},
  });
}

/** An empty cluster in this process, and what an import needs of it. */
async function emptyCluster(file: ModelFile) {
  const past = await openPastCluster(file);
  const options = {
    bus: past.bus,
    clock: past.cluster.clock,
    file,
    producer: 'import-1',
    onProgress() {},
  };
  return { past, options };
}

const requests = Array.from({ length: 30 }, (_, i) => ({
  user: { user: `u${i % 20}` },
  items: [
    { item: `i${i}`, tags: [`t${i % 5}`], price: i },
    { item: `i${i + 1}`, price: 2 },
  ],
  log: false,
}));

async function scoresOf(past: PastCluster, model: string): Promise<readonly (readonly number[])[]> {
  const answers = [];
  for (const request of requests) answers.push((await past.cluster.core.score({ model, ...request })).scores);
  return answers;
}

test.each(tableFormats)(
  'export, import: %s: another model of the same form gives the same scores, bit for bit',
  async (format) => {
    const past = await learned();
    const folder = await folderOf();
    const notes = await exported(past, folder, format);
    expect(notes.tables.every(({ rows, stateFloats }) => rows > 10 && stateFloats > 0)).toBe(true);
    expect(notes.sequence).toBe((await past.bus.logState('gradients')).lastSequence);
    const file = { ...deep, name: 'copy' };
    const { past: other, options } = await emptyCluster(file);
    const fresh = await scoresOf(other, 'copy');
    const reader = await openFolderReader(folder);
    const imported = await importFolder(options, reader, deep);
    await other.bus.settle();
    expect(imported.rows).toBe(notes.tables.reduce((sum, { rows }) => sum + rows, 0));
    expect(imported.parameters).toBe(notes.dense.parameters);
    // The new dense weights are swapped in between batches.
    other.cluster.clock.advanceBy(1_000);
    await other.bus.settle();
    const scores = await scoresOf(other, 'copy');
    expect(scores).toEqual(await scoresOf(past, 'deep'));
    expect(scores).not.toEqual(fresh);
    // Optimizer state came along: what is exported again is the same, byte for byte.
    const again = await folderOf();
    await exportModel({
      source: other.source,
      file,
      at: null,
      folder: again,
      format: 'csv',
      table: null,
      withState: true,
      names: null,
      onProgress() {},
    });
    const first = await folderOf();
    await exported(past, first, 'csv');
    for (const name of ['features.csv', 'weights.csv', 'dense.csv']) {
      const [wanted, found] = await Promise.all(
        [first, again].map(async (at) => (await readFile(join(at, name), 'utf8')).split('\n').sort()),
      );
      expect(found).toEqual(wanted);
    }
  },
  60_000,
);

test('export: a moment: what is exported of a sequence scores as the model did then', async () => {
  const past = await learned(10);
  const { lastSequence } = await past.bus.logState('gradients');
  const then = await scoresOf(past, 'deep');
  await past.visit(10);
  expect(await scoresOf(past, 'deep')).not.toEqual(then);
  const folder = await folderOf();
  await exportModel({
    source: past.source,
    file: deep,
    at: { sequence: lastSequence },
    folder,
    format: 'npy',
    table: null,
    withState: false,
    names: null,
    onProgress() {},
  });
  const { past: other, options } = await emptyCluster(deep);
  await importFolder(options, await openFolderReader(folder), deep);
  await other.bus.settle();
  other.cluster.clock.advanceBy(1_000);
  await other.bus.settle();
  expect(await scoresOf(other, 'deep')).toEqual(then);
  // Rows change only by the log, so the past of the importing cluster is there as well.
  const atNothing = await scoreAt({
    source: other.source,
    file: deep,
    request: { ...requests[0], context: {} },
    at: { sequence: 0 },
    version: 0,
    engine: 'plain',
    nowMs: other.cluster.clock.now(),
    onProgress() {},
  });
  expect(atNothing.scores).not.toEqual(then[0]);
}, 30_000);

test('export: CSV names keys by the values of a log; one table alone', async () => {
  const past = await learned();
  const folder = await folderOf();
  const log = join(folder, 'log.csv');
  await writeFile(log, `user,item\n${Array.from({ length: 30 }, (_, i) => `u${i},"i${i}"`).join('\n')}\n`);
  const names = await nameKeys(deep, columnValues([`${log}:user`, `${log}:item`]));
  const notes = await exportModel({
    source: past.source,
    file: deep,
    at: null,
    folder,
    format: 'csv',
    table: 'features',
    withState: false,
    names,
    onProgress() {},
  });
  expect([notes.tables.map(({ name }) => name), notes.dense.parameters]).toEqual([['features'], 0]);
  const lines = (await readFile(join(folder, 'features.csv'), 'utf8')).trim().split('\n');
  expect(lines[0]).toBe('key,value,w0,w1,w2,w3,w4');
  const values = lines.slice(1).map((line) => line.split(',')[1]);
  expect(values).toEqual(expect.arrayContaining(['u1', 'u18', 'i0', 'i29', '']));
  expect(new Set(values.filter((value) => value !== '')).size).toBeGreaterThan(38);
});

test('import: embeddings by a field’s values: a CSV file, or an npy matrix beside a log', async () => {
  const folder = await folderOf();
  const csv = join(folder, 'items.csv');
  const rows = Array.from({ length: 40 }, (_, i) => [i / 8, -i, 0.5, 1 / (i + 1)]);
  await writeFile(csv, `value,a,b,c,d\n${rows.map((row, i) => `i${i},${row.join(',')}`).join('\n')}\n`);
  const npy = join(folder, 'items.npy');
  const floats = Float64Array.from(rows.flat());
  await writeFile(npy, Buffer.concat([npyHeader('<f8', [40, 4]), Buffer.from(floats.buffer)]));
  const scores = [];
  for (const named of [csvNamedRows(csv), await npyNamedRows(npy, columnValues([`${csv}:value`]))]) {
    const { past, options } = await emptyCluster(deep);
    const { rows: count } = await importNamedRows(options, 'item', named);
    await past.bus.settle();
    expect(count).toBe(40);
    const [[low, high]] = createFieldKeys(deep, 'item').keysOf('i7');
    const { cluster } = past;
    const state = cluster.shard.states.find((each) => each && findRowOf(each, low, high));
    expect(state && findRowOf(state, low, high)).toEqual([0, ...rows[7].map(Math.fround)]);
    scores.push(await scoresOf(past, 'deep'));
  }
  expect(scores[1]).toEqual(scores[0]);
});

function findRowOf(
  state: { tables: readonly { keys: Uint32Array; weights: Float32Array; count: number }[] },
  low: number,
  high: number,
) {
  const [{ keys, weights, count }] = state.tables;
  for (let row = 0; row < count; row += 1)
    if (keys[2 * row] === low && keys[2 * row + 1] === high)
      return [...weights.subarray(5 * row, 5 * row + 5)];
  return null;
}

test.each([
  {
    what: 'a field that is not there',
    csv: 'value,a\ni,1\n',
    field: 'brand',
    message: 'has no field "brand"',
  },
  {
    what: 'too few floats',
    csv: 'value,a\ni,1\n',
    field: 'item',
    message: 'have 5 floats (embeddings 4), found 1',
  },
  { what: 'no column of values', csv: 'a,b,c,d\n1,2,3,4\n', field: 'item', message: 'a column "value"' },
  {
    what: 'a float that is none',
    csv: 'value,a,b,c,d\ni,1,2,x,4\n',
    field: 'item',
    message: 'column "c": wanted a finite float',
  },
  {
    what: 'a float beyond float32',
    csv: 'value,a,b,c,d\ni,1,2,3,1e300\n',
    field: 'item',
    message: 'wanted a finite float',
  },
  {
    what: 'an empty value',
    csv: 'value,a,b,c,d\n"",1,2,3,4\n',
    field: 'item',
    message: 'one value of the field',
  },
])('import: refuses $what', async ({ csv, field, message }) => {
  const path = join(await folderOf(), 'rows.csv');
  await writeFile(path, csv);
  const { options } = await emptyCluster(deep);
  await expect(importNamedRows(options, field, csvNamedRows(path))).rejects.toThrow(message);
});

test('import: refuses folders that are not whole, or of another form', async () => {
  const past = await learned(6);
  const [npy, tensors, csv] = [await folderOf(), await folderOf(), await folderOf()];
  await exported(past, npy, 'npy');
  await exported(past, tensors, 'safetensors');
  await exported(past, csv, 'csv');
  const put = async (folder: string, file: ModelFile = deep, from: ModelFile = deep) => {
    const { options } = await emptyCluster(file);
    return importFolder(options, await openFolderReader(folder), from);
  };
  const [features, weights] = deep.tables;
  const optimizer = { type: 'sgd', learningRate: 0.1 } as const;
  await expect(put(npy, { ...deep, seed: 6 })).rejects.toThrow(
    'hashed with seed 6, those of the folder with 5',
  );
  await expect(
    put(npy, { ...deep, tables: [{ ...features, wide: { optimizer } }, weights] }),
  ).rejects.toThrow('5 weights and 4 floats of optimizer state, found 5 and 5');
  await expect(put(npy, { ...deep, net: { wide: true, layers: [{ units: 3 }] } })).rejects.toThrow(
    'cannot import the dense weights',
  );
  await truncate(join(npy, 'weights.keys.npy'), 200);
  await expect(put(npy)).rejects.toThrow('it is cut short');
  await truncate(join(npy, 'features.weights.npy'), 20);
  await expect(put(npy)).rejects.toThrow('wanted a whole header');
  await truncate(join(tensors, 'rows.safetensors'), 4_000);
  await expect(put(tensors)).rejects.toThrow('a file that ends at byte 4000');
  const text = await readFile(join(csv, 'features.csv'), 'utf8');
  await writeFile(join(csv, 'features.csv'), text.split('\n').slice(0, -3).join('\n'));
  await expect(put(csv)).rejects.toThrow('rows of table "features"');
  await rm(join(csv, 'export.json'));
  await expect(put(csv)).rejects.toThrow('export.json');
}, 30_000);

test('import: an import that is done twice gives the same rows', async () => {
  const past = await learned(6);
  const folder = await folderOf();
  await exported(past, folder, 'npy');
  const { past: other, options } = await emptyCluster(deep);
  for (const producer of ['import-1', 'import-2'])
    await importFolder({ ...options, producer }, await openFolderReader(folder), deep);
  await other.bus.settle();
  other.cluster.clock.advanceBy(1_000);
  await other.bus.settle();
  expect(await scoresOf(other, 'deep')).toEqual(await scoresOf(past, 'deep'));
});

test('import: a folder that train wrote: its rows, dense weights and optimizer state', async () => {
  const past = await learned(8);
  const folder = await folderOf();
  const { shard, updater } = past.cluster;
  const states = shard.states.flatMap((state) => (state === null ? [] : [state]));
  const record = { stateHash: learnedHash(states, updater.dense) } as Trained['record'];
  await saveTrained(folder, { file: deep, record, states, dense: updater.dense });
  expect([isTrained(folder), isTrained(join(folder, 'weights'))]).toEqual([true, false]);
  const { reader, file } = await openTrainedReader(folder);
  const { past: other, options } = await emptyCluster({ ...deep, name: 'copy' });
  await importFolder(options, reader, file);
  await other.bus.settle();
  other.cluster.clock.advanceBy(1_000);
  await other.bus.settle();
  expect(await scoresOf(other, 'copy')).toEqual(await scoresOf(past, 'deep'));
});
