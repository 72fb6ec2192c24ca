import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { learnedHash } from '@millrace/learner';
import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { fileIdentity } from '../../src/training/file-identity.ts';
import { runTrain } from '../../src/training/run-train.ts';
import type { PassFigures, TrainParameters, TrainRecord } from '../../src/training/train-record.ts';
import { learnerFrom, openTrained, saveTrained } from '../../src/training/trained-files.ts';
import { ads, deep, freshLearner, type Labels, temporaryFolder, writeLog } from './made-up-log.ts';

const usual: TrainParameters = { passes: 8, holdout: 0.25, patience: 2, batch: 1, seed: 4, engine: 'plain' };

/** Trains a made-up log and keeps the best state in a folder. */
async function trained(file: ModelFile, labels: Labels, changes: Partial<TrainParameters> = {}, count = 400) {
  const folder = await temporaryFolder();
  const out = join(folder, 'out');
  const log = await writeLog(folder, labels, count);
  const learner = await freshLearner(file);
  const saves: number[] = [];
  const told: PassFigures[] = [];
  const progress: number[] = [];
  const { record } = await runTrain({
    learner,
    log,
    parameters: { ...usual, ...changes },
    onProgress: (done, total) => progress.push(done / total),
    onPass: (figures) => told.push(figures),
    save: async (best: TrainRecord) => {
      saves.push(best.bestPass);
      await saveTrained(out, { file, record: best, states: learner.states, dense: learner.net.dense });
    },
  });
  return { folder, out, log, learner, record, saves, told, progress };
}

test('run train: labels that depend on nothing are learned by heart, so training stops early', async () => {
  const { record, told } = await trained(ads, 'coin');
  const { passes, bestPass } = record;
  expect(passes).toEqual(told);
  expect(bestPass).toBe(1);
  expect(passes.length).toBe(bestPass + usual.patience);
  // The log itself is known better and better, its held-out end worse and worse.
  for (let i = 1; i < passes.length; i += 1) {
    expect(passes[i].trainLogloss).toBeLessThan(passes[i - 1].trainLogloss as number);
    expect(passes[i].holdoutLogloss).toBeGreaterThan(passes[i - 1].holdoutLogloss as number);
  }
});

test('run train: what can be learned gets better until all passes are done', async () => {
  const slow = { type: 'sgd', learningRate: 0.01 } as const;
  const file: ModelFile = { ...ads, tables: [{ name: 'ids', wide: { optimizer: slow } }] };
  const { record, saves, progress } = await trained(file, 'item', { passes: 4 });
  expect(record.bestPass).toBe(4);
  expect(saves).toEqual([1, 2, 3, 4]);
  expect(record.passes[3].holdoutAuc).toBeGreaterThan(0.7);
  expect(progress.at(-1)).toBe(1);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
});

test('run train: what is kept is the state of the best pass, and not of the last', async () => {
  const { out, learner, record } = await trained(ads, 'coin');
  const kept = await openTrained(out);
  expect(learnedHash(kept.states, kept.dense)).toBe(record.stateHash);
  expect(learnedHash(learner.states, learner.net.dense)).not.toBe(record.stateHash);
  const one = await trained(ads, 'coin', { passes: 1 });
  expect(one.record.stateHash).toBe(record.stateHash);
});

test('run train: the held-out end is never learned', async () => {
  const { log, record } = await trained(ads, 'coin', { passes: 1 });
  expect(record.data).toMatchObject({ trainExamples: 300, holdoutExamples: 100 });
  const all = (await readFile(log.path, 'utf8')).split('\n');
  const folder = await temporaryFolder();
  const head = join(folder, 'head.csv');
  await writeFile(head, all.slice(0, 301).join('\n'));
  const learner = await freshLearner(ads);
  const alone = await runTrain({
    learner,
    log: { ...log, path: head },
    parameters: { ...usual, passes: 1, holdout: 0 },
    onProgress: () => {},
    onPass: () => {},
    save: async () => {},
  });
  expect(alone.record.stateHash).toBe(record.stateHash);
  expect(alone.record.passes[0]).toMatchObject({ holdoutLogloss: null, holdoutAuc: null });
});

test('run train: without a held-out end all passes are made and the last is kept', async () => {
  const { record } = await trained(ads, 'coin', { holdout: 0, passes: 3, patience: 1 });
  expect([record.passes.length, record.bestPass]).toEqual([3, 3]);
});

test('run train: the record says what was learned, of which data, by which code', async () => {
  const { log, out, record } = await trained(ads, 'coin', { passes: 1 });
  expect(record).toMatchObject({ model: 'ads', parameters: { ...usual, passes: 1 }, bestPass: 1 });
  expect(record.data).toMatchObject(await fileIdentity(log.path));
  expect(record.code.version).toMatch(/^\d+\.\d+\.\d+/);
  expect((await openTrained(out)).record).toEqual(record);
});

test.each([
  { what: 'to learn from', holdout: 0.9, count: 1 },
  { what: 'to hold out', holdout: 0.1, count: 5 },
])('run train: a log with too little $what is refused', async ({ holdout, count }) => {
  await expect(trained(ads, 'coin', { holdout }, count)).rejects.toMatchObject({
    code: 'MILL_FILE_INVALID',
    message: expect.stringContaining(`hold ${holdout} of them out, found ${count}`),
  });
});

test.each([ads, deep])(
  'trained files: save, open, and the next steps are the same bit for bit ($net)',
  async (file) => {
    const { folder, out, learner } = await trained(file, 'item', { passes: 1, holdout: 0 });
    const again = await learnerFrom(await openTrained(out), { engine: 'plain', batchExamples: 1 });
    expect(again.net.dense.weights).toEqual(learner.net.dense.weights);
    const more = await writeLog(folder, 'coin', 50, 'more.csv');
    const hashes = [];
    for (const each of [learner, again]) {
      const parameters = { ...usual, passes: 1, holdout: 0 };
      const nothing = { onProgress: () => {}, onPass: () => {}, save: async () => {} };
      const { record } = await runTrain({ learner: each, log: more, parameters, ...nothing });
      hashes.push(record.stateHash);
    }
    again.dispose();
    expect(hashes[0]).toBe(hashes[1]);
  },
);

test('trained files: training again into a folder leaves nothing of what was there', async () => {
  const { out, learner, record } = await trained(ads, 'coin', { passes: 1 });
  const other = await freshLearner({ ...deep, name: 'other' });
  const state = { file: other.net.file, states: other.states, dense: other.net.dense };
  await saveTrained(out, {
    ...state,
    record: { ...record, stateHash: learnedHash(state.states, state.dense) },
  });
  expect((await openTrained(out)).file.name).toBe('other');
  expect(await readdir(join(out, 'weights'))).toEqual(['other']);
  expect(learner.net.file.name).toBe('ads');
});

test('trained files: what is missing, damaged or not of one piece is refused by name', async () => {
  const { out, record } = await trained(ads, 'coin', { passes: 1 });
  const refused = (says: string) =>
    expect(openTrained(out)).rejects.toMatchObject({
      code: 'MILL_FILE_INVALID',
      message: expect.stringContaining(says),
    });
  await writeFile(join(out, 'train.json'), JSON.stringify({ ...record, stateHash: 'f'.repeat(64) }));
  await refused('wanted the weights that train.json tells of');
  await writeFile(join(out, 'train.json'), '{');
  await refused('train.json');
  await writeFile(join(out, 'train.json'), JSON.stringify(record));
  const [fingerprint] = await readdir(join(out, 'weights', 'ads'));
  const place = join(out, 'weights', 'ads', fingerprint, '1');
  const [name] = await readdir(place);
  const bytes = await readFile(join(place, name));
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(join(place, name), bytes);
  await refused('a whole snapshot of partition 1');
  await rm(join(out, 'weights', 'ads', fingerprint, '0'), { recursive: true });
  await refused('a whole snapshot of partition 0');
});

test('trained files: a folder that is not there is refused', async () => {
  const folder = await temporaryFolder();
  await expect(openTrained(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'MILL_FILE_INVALID' });
});
