import {
  createArmWindow,
  type ExperimentRegistry,
  type JudgedExample,
  openExperiments,
  watchExperiments,
} from '@millrace/experiments';
import { armsSubject, encodeArmNotice, latencyCellCount, modelNameFrom } from '@millrace/protocol';
import { emptyCatalog, type VersionsView } from '@millrace/registry';
import { createManualClock, createMemoryBus, createMetrics } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createArmGuards } from '../../src/experiments/arm-guards.ts';
import { createLabelGuards } from '../../src/experiments/label-guards.ts';
import { file, quietLogger } from '../small-model.ts';

const model = file.name;
const turn = () => new Promise((resolve) => setImmediate(resolve));
const spec = {
  name: 'button',
  model,
  key: 'user.user',
  arms: [
    { name: 'a', share: 0.5 },
    { name: 'b', share: 0.5, target: { type: 'version', version: 2 } },
  ],
};

/** `count` items, every fifth clicked, all scored alike. */
function examples(count: number, score: number, part: Partial<JudgedExample>): JudgedExample[] {
  return Array.from({ length: count }, (_, i) => ({
    place: [i + 1, i + 1, 0],
    offset: 0,
    isFirst: true,
    makesPositive: i % 5 === 0,
    score,
    origin: { sequence: i + 1, watermarkMs: 0 },
    ...part,
  }));
}

/** A view of one catalog that a test changes. */
function stubVersions(): VersionsView & { catalog: ReturnType<typeof emptyCatalog>; tell(): void } {
  const listeners = new Set<(of: string) => void>();
  const stub = {
    catalog: emptyCatalog(model),
    catalogOf: () => stub.catalog,
    recordOf: () => null,
    onChange(listener: (of: string) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell: () => {
      for (const listener of listeners) listener(model);
    },
    async close() {},
  };
  return stub;
}

const noCounts = {
  requests: 0,
  errors: 0,
  notFinite: 0,
  dropped: 0,
  latencies: new Array<number>(latencyCellCount).fill(0),
};

async function openGuards(experiment: object = spec, takeOut?: ExperimentRegistry['takeOut']) {
  const bus = createMemoryBus();
  const clock = createManualClock(1_000);
  const view = await watchExperiments(bus);
  const registry = await openExperiments(bus, clock);
  const metrics = createMetrics({ service: 'updater' });
  const labels = { setLabel: async () => emptyCatalog(model) };
  const guards = createArmGuards({
    bus,
    clock,
    logger: quietLogger,
    metrics,
    view,
    registry: takeOut === undefined ? registry : { ...registry, takeOut },
    versions: stubVersions(),
    labels,
  });
  onTestFinished(async () => {
    await guards.close();
    await view.close();
  });
  await registry.start(experiment);
  const shares = () => view.catalogOf(model).experiments[0].changes.at(-1);
  const look = async () => {
    clock.advanceTo(clock.now() + 1_000);
    for (let i = 0; i < 10; i += 1) await turn();
  };
  return { bus, clock, guards, metrics, shares, look };
}

test('arm guards: an arm whose logloss is worse loses its units within a look, and is told of', async () => {
  const { guards, metrics, shares, look } = await openGuards();
  const window = guards.watch(model);
  for (const one of examples(500, 0.2, { arm: 'button/a', units: [1] })) window.noteExample(one);
  for (const one of examples(500, 0.2, { arm: 'button/b', units: [1] })) window.noteExample(one);
  await look();
  expect(shares()).toMatchObject({ by: 'operator' });
  for (const one of examples(500, 0.999, { arm: 'button/b', units: [1] })) window.noteExample(one);
  await look();
  expect(shares()).toMatchObject({ by: 'guard', shares: { a: 0.5, b: 0 }, reason: /logloss/ });
  expect(await metrics.text()).toMatch(/mill_experiment_arms_taken_out_total\{.*arm="b".*\} 1/);
  await look();
  expect(await metrics.text()).toMatch(/mill_experiment_arms_taken_out_total\{.*arm="b".*\} 1/);
});

test('arm guards: one request without numbers is enough, whoever tells of it', async () => {
  const { bus, guards, shares, look } = await openGuards();
  guards.watch(model);
  const notice = { node: 'n', model, arms: [{ ...noCounts, arm: 'button/b', notFinite: 1 }] };
  bus.notify(armsSubject(modelNameFrom(model)), Uint8Array.of(1, 2, 3));
  bus.notify(armsSubject(modelNameFrom(model)), encodeArmNotice(notice));
  await turn();
  await look();
  expect(shares()).toMatchObject({ by: 'guard', shares: { a: 0.5, b: 0 }, reason: /no numbers/ });
});

test('arm guards: a lone canary is held against the live line', async () => {
  const canary = { ...spec, arms: [spec.arms[1]] };
  const { guards, shares, look } = await openGuards(canary);
  const window = guards.watch(model);
  for (const one of examples(500, 0.2, {})) window.noteExample(one);
  await look();
  for (const one of examples(500, 0.999, { arm: 'button/b', units: [1], modelVersion: 2 }))
    window.noteExample(one);
  await look();
  expect(shares()).toMatchObject({ by: 'guard', shares: { b: 0 }, reason: /logloss/ });
});

test('arm guards: a shadow is held against what was answered beside it', async () => {
  const dark = { ...spec, arms: [{ ...spec.arms[1], shadow: true }] };
  const { guards, shares, look } = await openGuards(dark);
  const window = guards.watch(model);
  const shadow = (score: number) => ({ shadow: { arm: 'button/b', unit: 1, score } });
  for (const one of examples(500, 0.2, shadow(0.21))) window.noteExample(one);
  await look();
  expect(shares()).toMatchObject({ by: 'operator' });
  for (const one of examples(500, 0.2, shadow(0.99))) window.noteExample(one);
  await look();
  expect(shares()).toMatchObject({ by: 'guard', shares: { b: 0 } });
});

test('arm guards: while a store is out of reach one look waits for it', async () => {
  let calls = 0;
  let fail = (_error: Error) => {};
  const gone = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const { bus, guards, look } = await openGuards(spec, () => {
    calls += 1;
    return gone;
  });
  guards.watch(model);
  const notice = { node: 'n', model, arms: [{ ...noCounts, arm: 'button/b', notFinite: 1 }] };
  bus.notify(armsSubject(modelNameFrom(model)), encodeArmNotice(notice));
  for (let i = 0; i < 5; i += 1) await look();
  fail(new Error('out of reach'));
  await turn();
  expect(calls).toBe(1);
  await look();
  expect(calls).toBe(2);
});

test('label guards: a label goes back to the version before when the new one does worse, once', async () => {
  const clock = createManualClock(50_000);
  const window = createArmWindow();
  const versions = stubVersions();
  const moved: unknown[][] = [];
  const guards = createLabelGuards({
    clock,
    logger: quietLogger,
    versions,
    windowOf: () => window,
    registry: {
      async setLabel(...move) {
        moved.push(move);
        return versions.catalog;
      },
    },
  });
  for (const one of examples(500, 0.2, { modelVersion: 1 })) window.noteExample(one);
  versions.catalog = {
    ...emptyCatalog(model),
    versions: [1, 2],
    labels: { stable: { version: 2, previous: 1 } },
    moves: [{ label: 'stable', from: 1, to: 2, timeMs: 50_000, reason: '' }],
  };
  versions.tell();
  // What version 1 did is remembered as it was when the label left it.
  for (let slot = 0; slot < 13; slot += 1) window.advance();
  for (const one of examples(500, 0.2, { modelVersion: 2 })) window.noteExample(one);
  await guards.lookAt(model);
  expect(moved).toEqual([]);
  for (const one of examples(500, 0.999, { modelVersion: 2 })) window.noteExample(one);
  await guards.lookAt(model);
  await guards.lookAt(model);
  expect(moved).toEqual([
    [
      model,
      'stable',
      1,
      { from: 2, reason: expect.stringMatching(/^guard: version 2 was moved back: its logloss/) },
    ],
  ]);
  guards.close();
});

test('label guards: a move that failed is tried again, and one that a guard made is not turned round', async () => {
  const clock = createManualClock(50_000);
  const window = createArmWindow();
  const versions = stubVersions();
  const moved: number[] = [];
  let isAway = true;
  const guards = createLabelGuards({
    clock,
    logger: quietLogger,
    versions,
    windowOf: () => window,
    registry: {
      async setLabel(_model, label, to, { reason = '' } = {}) {
        if (isAway) throw new Error('out of reach');
        moved.push(to);
        const { labels, moves } = versions.catalog;
        const { version: from } = labels[label];
        versions.catalog = {
          ...versions.catalog,
          labels: { stable: { version: to, previous: from } },
          moves: [...moves, { label, from, to, timeMs: 51_000, reason }],
        };
        return versions.catalog;
      },
    },
  });
  versions.catalog = {
    ...emptyCatalog(model),
    versions: [1, 2],
    labels: { stable: { version: 2, previous: 1 } },
    moves: [{ label: 'stable', from: 1, to: 2, timeMs: 50_000, reason: '' }],
  };
  const noNumbers = (arm: string) =>
    window.noteScoring({ node: 'n', model, arms: [{ ...noCounts, arm, notFinite: 1 }] });
  noNumbers('@2');
  await expect(guards.lookAt(model)).rejects.toThrow('out of reach');
  isAway = false;
  await guards.lookAt(model);
  expect(moved).toEqual([1]);
  // The one before does no better: people have to look, and not two versions to change places for good.
  noNumbers('@1');
  versions.tell();
  await guards.lookAt(model);
  expect(moved).toEqual([1]);
  guards.close();
});
