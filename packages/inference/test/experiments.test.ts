/** Experiments behind the scoring core: who is scored by what, what is logged of it, and what happens when it cannot be. */

import { initialDense } from '@millrace/model';
import {
  type ArmNotice,
  armsSubject,
  decodeArmNotice,
  type Impression,
  modelNameFrom,
  type Outcome,
} from '@millrace/protocol';
import { openVersionRegistry } from '@millrace/registry';
import { expect, test } from 'vitest';
import { appendDense, layered, linear, openStage, type Stage, turn } from './small-serving.ts';

const other = { ...layered, name: 'other' };
const spec = (name: string, arms: readonly object[], more: object = {}) => ({
  name,
  key: 'user.id',
  arms,
  ...more,
});
const ask = ({ core }: Stage, id: string, more: object = {}) =>
  core.score({ model: 'deep', user: { id }, items: [{ x: 2 }], ...more });

async function impressions(stage: Stage, model = 'deep'): Promise<readonly Impression[]> {
  for (let i = 0; i < 20; i += 1) await turn();
  return (await stage.events(model)).filter((event) => event.type === 'impression') as Impression[];
}

/** Version 1 of `deep`: output bias 3. */
async function withVersion(): Promise<Stage> {
  const stage = await openStage([layered, other]);
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const made = { model: 'deep', kind: 'imported', parent: null, code: 'test' } as const;
  await registry.addVersion({ ...made, weights: Float32Array.of(0, 0, 0, 3) });
  return stage;
}

/** A user of each arm. */
async function usersOf(stage: Stage, arms: readonly string[]): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (let i = 0; found.size < arms.length; i += 1) {
    const { arm = '' } = await ask(stage, `u${i}`, { log: false });
    if (arms.includes(arm) && !found.has(arm)) found.set(arm, `u${i}`);
  }
  return arms.map((arm) => found.get(arm) as string);
}

test('experiments: requests are scored by their arm, which is answered and logged; an address goes before it', async () => {
  const stage = await withVersion();
  const arms = [
    { name: 'a', share: 0.5 },
    { name: 'b', share: 0.5, target: { type: 'version', version: 1 } },
  ];
  expect(await stage.core.experiments.start('deep', spec('try', arms))).toMatchObject({
    arms: [{ share: 0.5 }, {}],
  });
  const [a, b] = await usersOf(stage, ['try/a', 'try/b']);
  const [byA, byB] = [await ask(stage, a), await ask(stage, b)];
  expect([byA.modelVersion, byB.modelVersion, byB.arm]).toEqual([undefined, 1, 'try/b']);
  expect(byB.scores[0]).toBeCloseTo(1 / (1 + Math.exp(-3)), 6);
  expect(await ask(stage, b, { version: 'live' })).not.toHaveProperty('arm');
  const logged = await impressions(stage);
  expect(logged.map(({ arm, units }) => [arm, units?.length])).toEqual([
    ['try/a', 1],
    ['try/b', 1],
    [undefined, undefined],
  ]);
  await stage.core.experiments.stop('deep', 'try', 'b');
  expect(await ask(stage, a)).toMatchObject({ modelVersion: 1 });
  expect((await stage.core.experiments.list('deep'))[0]).toMatchObject({ kept: 'b', endedMs: 10_000 });
});

test('experiments: an arm of its own model is logged there, and outcomes reach it by either name', async () => {
  const stage = await openStage([layered, other]);
  const target = { type: 'model', model: 'other' };
  await stage.core.experiments.start('deep', spec('apart', [{ name: 'own', share: 1, target }]));
  const answer = await ask(stage, 'u1', { requestId: 'r1' });
  expect(answer).toMatchObject({ model: 'other', arm: 'deep:apart/own' });
  expect(await impressions(stage)).toEqual([]);
  expect(await impressions(stage, 'other')).toMatchObject([{ requestId: 'r1', arm: 'deep:apart/own' }]);
  await stage.core.acceptOutcomes([{ model: 'deep', requestId: 'r1' }]);
  for (const model of ['deep', 'other']) {
    const outcomes = (await stage.events(model)).filter((event) => event.type === 'outcome') as Outcome[];
    expect(outcomes).toMatchObject([{ requestId: 'r1', spread: true }]);
  }
});

test('experiments: a shadow is logged with what was answered, and is not what was answered', async () => {
  const stage = await withVersion();
  const shadow = { name: 'dark', share: 1, shadow: true, target: { type: 'version', version: 1 } };
  await stage.core.experiments.start('deep', spec('beside', [shadow], { key: 'requestId' }));
  const answer = await ask(stage, 'u1');
  expect([answer.modelVersion, answer.arm]).toEqual([undefined, undefined]);
  const [{ scores, shadow: made }] = await impressions(stage);
  const read = (bytes: Uint8Array | undefined) => new Float32Array(Uint8Array.from(bytes ?? []).buffer)[0];
  expect(made).toMatchObject({ arm: 'beside/dark', version: 0 });
  expect(read(made?.scores)).toBeCloseTo(1 / (1 + Math.exp(-3)), 6);
  expect(read(scores)).toBe(Math.fround(answer.scores[0]));
});

test('experiments: of an order the log says what scores alone would have shown first, and what a shadow would have', async () => {
  const stage = await openStage([layered, other]);
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const made = { model: 'deep', kind: 'imported', parent: null, code: 'test' } as const;
  // Logits are −x by version 1, x by version 2.
  await registry.addVersion({ ...made, weights: Float32Array.of(1, 0, -1, 0) });
  await registry.addVersion({ ...made, weights: Float32Array.of(1, 0, 1, 0) });
  const low = { name: 'low', share: 1, target: { type: 'version', version: 1 } };
  const dark = { name: 'dark', share: 1, shadow: true, target: { type: 'version', version: 2 } };
  await stage.core.experiments.start('deep', spec('one', [low]));
  await stage.core.experiments.start('deep', spec('two', [dark], { layer: 'other' }));
  const items = [{ x: 1 }, { x: 0 }, { x: 3 }];
  const { arm } = await stage.core.rank({ model: 'deep', user: { id: 'u1' }, items, count: 2 });
  expect(arm).toBe('one/low');
  const [logged] = await impressions(stage);
  const scoreOf = (x: number) => Math.fround(1 / (1 + Math.exp(x)));
  expect(logged.greedy?.place).toBe(1);
  expect(logged.greedy?.score).toBeCloseTo(scoreOf(0), 6);
  expect(logged.shadow?.greedy?.place).toBe(2);
  // By what was answered, not by the shadow.
  expect(logged.shadow?.greedy?.score).toBeCloseTo(scoreOf(3), 6);
});

test('experiments: shadows of a busy node are left out and counted, and every request is answered', async () => {
  const stage = await withVersion();
  const shadow = { name: 'dark', share: 1, shadow: true, target: { type: 'version', version: 1 } };
  await stage.core.experiments.start('deep', spec('beside', [shadow], { key: 'requestId' }));
  const told: ArmNotice[] = [];
  stage.bus.onNotice(
    armsSubject(modelNameFrom('deep')),
    (payload) => void told.push(decodeArmNotice(payload)),
  );
  const answers = await Promise.all(Array.from({ length: 90 }, (_, i) => ask(stage, `u${i}`)));
  expect(answers).toHaveLength(90);
  const logged = await impressions(stage);
  expect(logged).toHaveLength(90);
  stage.clock.advanceTo(20_000);
  await turn();
  const dropped = told.flatMap(({ arms }) => arms).reduce((sum, arm) => sum + arm.dropped, 0);
  expect(dropped).toBeGreaterThan(0);
  expect(logged.filter((one) => one.shadow === undefined)).toHaveLength(dropped);
});

test('experiments: an arm that makes no numbers costs no answer: the model’s own way answers, and it is told at once', async () => {
  const stage = await openStage([layered], { engine: 'cpu' });
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const made = { model: 'deep', kind: 'imported', parent: null, code: 'test' } as const;
  // Infinity · 0 of any x that is not 0.
  await registry.addVersion({ ...made, weights: Float32Array.of(3e38, 0, 0, 0) });
  const arms = [
    { name: 'a', share: 0 },
    { name: 'bad', share: 1, target: { type: 'version', version: 1 } },
  ];
  await stage.core.experiments.start('deep', spec('try', arms));
  const told: ArmNotice[] = [];
  stage.bus.onNotice(
    armsSubject(modelNameFrom('deep')),
    (payload) => void told.push(decodeArmNotice(payload)),
  );
  const answer = await ask(stage, 'u1');
  expect(answer).toMatchObject({ scores: [expect.any(Number)] });
  expect([Number.isFinite(answer.scores[0]), answer.arm, answer.modelVersion]).toEqual([
    true,
    undefined,
    undefined,
  ]);
  await turn();
  expect(told.flatMap(({ arms: counts }) => counts)).toMatchObject([
    { arm: 'try/bad', notFinite: 1 },
    { arm: '@1', notFinite: 1 },
  ]);
  expect(stage.core.notFinite).toBe(1);
  expect((await impressions(stage))[0].arm).toBeUndefined();
});

/** A step of rate 1 after which w1 is about 3e38, which is finite, and w2 is 0: x = 2 makes Infinity · 0 of it, x = 0 does not. */
const [, , w2] = initialDense(layered).weights;
const poison = [-3e38, 0, w2, 0];

test('experiments: weights of the live line that make no numbers are taken back, until newer ones come', async () => {
  const stage = await openStage([layered], { engine: 'cpu' });
  const before = await ask(stage, 'u1');
  await appendDense(stage.bus, 1, poison);
  await turn();
  // Of one batch.
  for (const answer of await Promise.all([ask(stage, 'u1'), ask(stage, 'u2')]))
    expect(answer).toMatchObject({ version: 0, scores: before.scores });
  expect(await ask(stage, 'u1')).toMatchObject({ version: 0, scores: before.scores });
  expect(stage.core.notFinite).toBe(2);
  await appendDense(stage.bus, 2, [3e38, 0, 0, -1]);
  await turn();
  const after = await ask(stage, 'u1');
  expect([after.version, Number.isFinite(after.scores[0])]).toEqual([2, true]);
});

test('experiments: features of which no weights make numbers are refused alone, and take no weights back', async () => {
  const stage = await openStage([layered], { engine: 'cpu' });
  const withX = (x: number) => ask(stage, 'u1', { items: [{ x }] });
  await appendDense(stage.bus, 1, poison);
  await turn();
  expect(await withX(0)).toMatchObject({ version: 1 });
  await appendDense(stage.bus, 2, [0, 0, 0, -1]);
  await turn();
  const [bad, good] = await Promise.allSettled([withX(2), withX(0)]);
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'MILL_SCORES_NOT_FINITE' } });
  expect(good).toMatchObject({ status: 'fulfilled', value: { version: 2 } });
});

test('experiments: features of which no way makes numbers are held against no arm', async () => {
  const stage = await openStage([layered], { engine: 'cpu' });
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const made = { model: 'deep', kind: 'imported', parent: null, code: 'test' } as const;
  await registry.addVersion({ ...made, weights: Float32Array.of(3e38, 0, 0, 0) });
  // Neither the newest live weights nor those before make numbers of x = 2.
  for (const [sequence, step] of [poison, [0, 0, 0, -1]].entries()) {
    await appendDense(stage.bus, sequence + 1, step);
    await turn();
    await ask(stage, 'u1', { items: [{ x: 0 }] });
  }
  const arms = [
    { name: 'a', share: 0 },
    { name: 'bad', share: 1, target: { type: 'version', version: 1 } },
  ];
  await stage.core.experiments.start('deep', spec('try', arms));
  const told: ArmNotice[] = [];
  stage.bus.onNotice(
    armsSubject(modelNameFrom('deep')),
    (payload) => void told.push(decodeArmNotice(payload)),
  );
  const before = stage.core.notFinite;
  await expect(ask(stage, 'u1', { items: [{ x: 2 }] })).rejects.toMatchObject({
    code: 'MILL_SCORES_NOT_FINITE',
  });
  await turn();
  expect(told.flatMap(({ arms: counts }) => counts).filter((arm) => arm.notFinite > 0)).toEqual([]);
  expect(stage.core.notFinite).toBe(before + 1);
});

test('experiments: what an arm scores with is not taken from under it, and is there again when it gets units again', async () => {
  const stage = await withVersion();
  const { versions, experiments } = stage.core;
  const readyNow = () =>
    versions.list('deep').versions.flatMap(({ version, state }) => (state === 'READY' ? [version] : []));
  await versions.setLabel('deep', 'canary', { version: 1 });
  const arms = [
    { name: 'a', share: 0.25 },
    { name: 'b', share: 0.5, target: { type: 'version', version: 1 } },
    { name: 'c', share: 0.25, target: { type: 'label', label: 'canary' } },
  ];
  await experiments.start('deep', spec('try', arms));
  const inUse = (what: RegExp) =>
    expect.objectContaining({ code: 'MILL_VERSION_IN_USE', message: expect.stringMatching(what) });
  await expect(versions.unsetLabel('deep', 'canary')).rejects.toEqual(
    inUse(/cannot unset label "canary" of "deep": arm "c" of experiment "try" scores with it/),
  );
  await experiments.setShares('deep', 'try', { c: 0 });
  await versions.unsetLabel('deep', 'canary');

  await expect(versions.unload('deep', 1)).rejects.toEqual(inUse(/version 1 .* arm "b" of experiment "try"/));
  await expect(versions.unloadUnlabelled('deep')).rejects.toEqual(inUse(/arms of experiments use it/));
  // Newer versions and other policies leave it where it is.
  const registry = await openVersionRegistry(stage.bus, stage.clock);
  const made = { model: 'deep', kind: 'imported', parent: null, code: 'test' } as const;
  await registry.addVersion({ ...made, weights: Float32Array.of(0, 0, 0, 1) });
  await expect.poll(readyNow).toEqual([1, 2]);
  await versions.setPolicy('deep', { type: 'latest', count: 0 });
  expect(readyNow()).toEqual([1]);
  await versions.loadByPolicy('deep');
  expect(readyNow()).toEqual([1]);

  await experiments.setShares('deep', 'try', { b: 0 });
  await versions.unload('deep', 1);
  expect(readyNow()).toEqual([]);
  await experiments.setShares('deep', 'try', { b: 0.5 });
  expect(readyNow()).toEqual([1]);
  await experiments.stop('deep', 'try', 'b');
  await expect(versions.unload('deep', 1)).rejects.toEqual(
    inUse(/experiment "try", which keeps "b" in charge/),
  );
  await experiments.stop('deep', 'try', null);
  await versions.unload('deep', 1);
});

test('experiments: what cannot be started is refused before anything runs', async () => {
  const stage = await openStage([layered, linear]);
  const { experiments } = stage.core;
  const arm = (target: object) => spec('try', [{ name: 'a', share: 1, target }]);
  const code = (work: Promise<unknown>) => expect(work).rejects;
  await code(experiments.start('deep', arm({ type: 'version', version: 9 }))).toMatchObject({
    code: 'MILL_VERSION_UNKNOWN',
  });
  await code(experiments.start('deep', arm({ type: 'label', label: 'no' }))).toMatchObject({
    code: 'MILL_VERSION_UNKNOWN',
  });
  await code(experiments.start('deep', arm({ type: 'model', model: 'no' }))).toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
  });
  await code(experiments.start('no', arm({ type: 'live' }))).toMatchObject({ code: 'MILL_MODEL_UNKNOWN' });
  await code(experiments.report('deep', 'no')).toMatchObject({ code: 'MILL_EXPERIMENT_UNKNOWN' });
  expect(await experiments.list('deep')).toEqual([]);
});
