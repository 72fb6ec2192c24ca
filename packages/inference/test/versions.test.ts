/** Versions behind the scoring core: what requests reach, and what becomes of it when catalogs change. */
import { initialDense } from '@millrace/model';
import {
  bytesOf,
  type Impression,
  isMillraceError,
  type ModelFile,
  type VersionAddress,
  versionBlobName,
} from '@millrace/protocol';
import { openVersionRegistry } from '@millrace/registry';
import { expect, test } from 'vitest';
import { appendDense, layered, openStage, type Stage, sigmoid, turn } from './small-serving.ts';

/** logit of x at dense weights (w1, b1, w2, b2), all rows being 0. */
const scoreOf = ([w1, b1, w2, b2]: Iterable<number>, x: number) =>
  Math.fround(sigmoid(Math.fround((x * w1 + b1) * w2 + b2)));

const open = () => openStage([layered]);
const ask = ({ core }: Stage, address: VersionAddress = {}, x = 2) =>
  core.score({ model: 'deep', ...address, items: [{ x }] });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (isMillraceError(error) ? error.code : String(error)),
  );

/** Takes version after version, each with dense weights of its own; resolves to these. */
async function takeSome(stage: Stage, count: number): Promise<Float32Array[]> {
  const weights: Float32Array[] = [];
  for (let n = 1; n <= count; n += 1) {
    await appendDense(stage.bus, n, [0.1, 0.2, -0.1, 0.5 * n]);
    await ask(stage, { version: 'live' });
    await stage.core.versions.take('deep', { note: `take ${n}` });
    weights.push(await (await openVersionRegistry(stage.bus, stage.clock)).loadWeights('deep', n));
  }
  return weights;
}

test('versions: without any, requests go to the live line and answers say nothing of versions', async () => {
  const stage = await open();
  const answer = await ask(stage);
  expect(['modelVersion' in answer, 'label' in answer]).toEqual([false, false]);
  expect(stage.core.models()[0]).not.toHaveProperty('versions');
  expect(await ask(stage, { label: 'live' })).toMatchObject({ label: 'live', scores: answer.scores });
});

test('versions: each answers by its own weights while the live line goes on', async () => {
  const stage = await open();
  const weights = await takeSome(stage, 3);
  await stage.core.versions.setPolicy('deep', { type: 'all' });
  await appendDense(stage.bus, 4, [0, 0, 0, 9]);
  for (let n = 1; n <= 3; n += 1) {
    const { scores, modelVersion, version } = await ask(stage, { version: n });
    expect([modelVersion, version]).toEqual([n, n]);
    expect(scores[0]).toBeCloseTo(scoreOf(weights[n - 1], 2), 6);
  }
  const live = await ask(stage);
  expect([live.version, live.modelVersion]).toEqual([4, undefined]);
  expect(live.scores[0]).toBeLessThan((await ask(stage, { version: 3 })).scores[0]);
});

test('versions: rows are live under every version', async () => {
  const file: ModelFile = { ...layered };
  const stage = await openStage([file]);
  await takeSome(stage, 1);
  const ofAd = async () =>
    (await stage.core.score({ model: 'deep', version: 1, items: [{ ad: 'x', x: 1 }] })).scores[0];
  const before = await ofAd();
  stage.rows.weights.set('x', 3);
  expect(await ofAd()).toBeGreaterThan(before);
});

test('versions: requests without an address follow label stable once it is set', async () => {
  const stage = await open();
  await takeSome(stage, 2);
  await stage.core.versions.setLabel('deep', 'stable', { version: 1 });
  expect(await ask(stage)).toMatchObject({ modelVersion: 1, label: 'stable' });
  await stage.core.versions.setLabel('deep', 'stable', { version: 2, reason: 'better' });
  expect(await ask(stage)).toMatchObject({ modelVersion: 2, label: 'stable' });
  const { moves } = await stage.core.versions.rollBackLabel('deep', 'stable', 'worse after all');
  expect(moves.at(-1)).toMatchObject({ from: 2, to: 1, reason: 'worse after all' });
  expect(await ask(stage)).toMatchObject({ modelVersion: 1 });
  await stage.core.versions.unsetLabel('deep', 'stable');
  expect(await ask(stage)).not.toHaveProperty('modelVersion');
});

test('versions: impressions say which version scored', async () => {
  const stage = await open();
  await takeSome(stage, 1);
  await stage.core.versions.setLabel('deep', 'stable', { version: 1 });
  await stage.core.score({ model: 'deep', requestId: 'numbered', items: [{ x: 1 }] });
  await stage.core.rank({ model: 'deep', requestId: 'ranked', items: [{ x: 1 }, { x: 2 }] });
  await stage.core.score({ model: 'deep', requestId: 'live', version: 'live', items: [{ x: 1 }] });
  await turn();
  const logged = ((await stage.events('deep')) as Impression[]).slice(-3);
  expect(logged.map(({ requestId, modelVersion }) => [requestId, modelVersion])).toEqual([
    ['numbered', 1],
    ['ranked', 1],
    ['live', undefined],
  ]);
});

test('versions: what is not there is refused by naming what is', async () => {
  const stage = await open();
  await takeSome(stage, 2);
  await stage.core.versions.setLabel('deep', 'canary', { version: 2 });
  await expect(ask(stage, { version: 7 })).rejects.toThrow(
    'model "deep" has no version 7; there are versions live, 1, 2 and labels canary',
  );
  await expect(ask(stage, { label: 'stable' })).rejects.toThrow('has no label "stable"');
  // Policy latest 1: version 1 is there and not loaded.
  await expect(ask(stage, { version: 1 })).rejects.toThrow('version 1 of "deep" is not loaded');
  expect(await codeOf(ask(stage, { version: 1 }))).toBe('MILL_VERSION_UNKNOWN');
  expect(await codeOf(ask(stage, { version: 1, label: 'canary' }))).toBe('MILL_BAD_REQUEST');
});

test('versions: loading and unloading by hand', async () => {
  const stage = await open();
  await takeSome(stage, 2);
  const { versions } = stage.core;
  await versions.load('deep', 1);
  expect(await ask(stage, { version: 1 })).toMatchObject({ modelVersion: 1 });
  await versions.unload('deep', 1);
  expect(await codeOf(ask(stage, { version: 1 }))).toBe('MILL_VERSION_UNKNOWN');
  await versions.setLabel('deep', 'stable', { version: 1 });
  expect(await codeOf(versions.unload('deep', 1))).toBe('MILL_VERSION_IN_USE');
  expect(await codeOf(versions.remove('deep', 1))).toBe('MILL_VERSION_IN_USE');
  expect(versions.list('deep').versions.map(({ version, state, note }) => [version, state, note])).toEqual([
    [1, 'READY', 'take 1'],
    [2, 'READY', 'take 2'],
  ]);
});

test('versions: one whose weights are damaged is never served, and the label stays where it was', async () => {
  const stage = await open();
  await takeSome(stage, 2);
  const { versions } = stage.core;
  await versions.setLabel('deep', 'stable', { version: 2 });
  await (await stage.bus.blobs('versions')).put(versionBlobName('deep', 1), [
    bytesOf(Float32Array.of(1, 2, 3, 4)),
  ]);
  await versions.setLabel('deep', 'stable', { version: 1 });
  expect(await ask(stage)).toMatchObject({ modelVersion: 2, label: 'stable' });
  expect(versions.list('deep').versions[0]).toMatchObject({
    state: 'FAILED',
    reason: expect.stringContaining('SHA-256'),
  });
  expect(await codeOf(ask(stage, { version: 1 }))).toBe('MILL_NOT_READY');
  expect(await codeOf(versions.load('deep', 1))).toBe('MILL_NOT_READY');
  await versions.rollBackLabel('deep', 'stable');
  expect(await ask(stage)).toMatchObject({ modelVersion: 2 });
});

test('versions: a version with another net reads the same rows', async () => {
  const stage = await open();
  const { net } = layered as ModelFile & { readonly net: object };
  const file = {
    ...layered,
    net: { ...net, layers: [{ units: 2, activation: 'relu' }] },
  } as unknown as ModelFile;
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const { weights } = initialDense(file);
  weights.fill(0).set([0.75], weights.length - 1);
  await registry.addVersion({ model: 'deep', kind: 'derived', parent: null, file, weights, code: 'test' });
  await expect.poll(() => stage.core.models()[0].versions?.[0].state).toBe('READY');
  stage.rows.weights.set('x', 2);
  const { scores } = await stage.core.score({ model: 'deep', version: 1, items: [{ ad: 'x', x: 5 }] });
  expect(scores[0]).toBeCloseTo(sigmoid(2.75), 6);
});

test('versions: while labels move under load, every answer is that of exactly the version it names', async () => {
  const stage = await open();
  const weights = await takeSome(stage, 3);
  await stage.core.versions.setPolicy('deep', { type: 'all' });
  await stage.core.versions.setLabel('deep', 'stable', { version: 1 });
  const answers: Promise<{ scores: readonly number[]; modelVersion?: number }>[] = [];
  for (let round = 0; round < 30; round += 1) {
    for (let n = 0; n < 4; n += 1) answers.push(ask(stage, {}, n));
    const moved = stage.core.versions.setLabel('deep', 'stable', { version: 1 + (round % 3) });
    for (let n = 0; n < 4; n += 1) answers.push(ask(stage, {}, n));
    await moved;
  }
  const seen = new Set<number>();
  for (const [i, { scores, modelVersion = 0 }] of (await Promise.all(answers)).entries()) {
    expect(scores[0]).toBeCloseTo(scoreOf(weights[modelVersion - 1], i % 4), 6);
    seen.add(modelVersion);
  }
  expect([...seen].sort()).toEqual([1, 2, 3]);
});

test('versions: a request under way ends on the version that is being unloaded', async () => {
  const stage = await open();
  await takeSome(stage, 2);
  await stage.core.versions.load('deep', 1);
  let go = () => {};
  stage.rows.gate = new Promise((resolve) => {
    go = resolve;
  });
  const slow = ask(stage, { version: 1 });
  await turn();
  const unloading = stage.core.versions.unload('deep', 1);
  await expect.poll(() => stage.core.versions.list('deep').versions[0].state).toBe('UNLOADED');
  expect(await codeOf(ask(stage, { version: 1 }))).toBe('MILL_VERSION_UNKNOWN');
  go();
  expect(await slow).toMatchObject({ modelVersion: 1 });
  await unloading;
});
