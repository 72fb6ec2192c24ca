import {
  createArmWindow,
  type ExperimentRegistry,
  type JudgedExample,
  openExperiments,
  openSums,
  reportOn,
  watchExperiments,
} from '@millrace/experiments';
import {
  type ArmCounts,
  armsSubject,
  encodeArmNotice,
  latencyCellCount,
  latencyCellOf,
  modelNameFrom,
} from '@millrace/protocol';
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

/** So many requests, all as slow. */
function latencies(count: number, ms: number): number[] {
  const cells = [...noCounts.latencies];
  cells[latencyCellOf(ms)] = count;
  return cells;
}

/** What a guard of each kind sees: notices and examples of the two sides, the second one worse. */
const faults: readonly {
  readonly guard: string;
  readonly reason: RegExp;
  readonly score?: number;
  readonly counts?: Partial<ArmCounts>;
}[] = [
  { guard: 'nan', reason: /1 of its requests .* no numbers/, counts: { notFinite: 1 } },
  { guard: 'errors', reason: /10 % of its requests failed .* 0 % of the control's/, counts: { errors: 60 } },
  { guard: 'logloss', reason: /its logloss in the last minute was/, score: 0.9 },
  { guard: 'calibration', reason: /it predicted 450 clicks .* where 100 came/, score: 0.9 },
  {
    guard: 'p99',
    reason: /99 % of its requests took up to .* ms/,
    counts: { latencies: latencies(600, 200) },
  },
];
const allOff = { nan: null, errors: null, logloss: null, calibration: null, p99: null };
const boundOf = { nan: 0, errors: 0.02, logloss: 0.1, calibration: 0.5, p99: 1 };
const fine = { ...noCounts, requests: 600, latencies: latencies(600, 2) };

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
  const report = () => {
    const catalog = view.catalogOf(model);
    return reportOn(catalog, catalog.experiments[0], openSums([]), new Map());
  };
  const tell = async (...arms: readonly ArmCounts[]) => {
    bus.notify(armsSubject(modelNameFrom(model)), encodeArmNotice({ node: 'n', model, arms }));
    await turn();
  };
  const shares = () => view.catalogOf(model).experiments[0].changes.at(-1);
  const look = async () => {
    clock.advanceTo(clock.now() + 1_000);
    for (let i = 0; i < 10; i += 1) await turn();
  };
  return { bus, clock, guards, metrics, registry, report, shares, look, tell };
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

test.each(faults)('arm guards: $guard alone takes an arm out, and status says why', async (fault) => {
  const { guard, reason, score = 0.2, counts } = fault;
  const guardsOf = { ...allOff, [guard]: boundOf[guard as keyof typeof boundOf] };
  const { guards, look, report, tell } = await openGuards({ ...spec, guards: guardsOf });
  const window = guards.watch(model);
  const show = (arm: string, at: number) => {
    for (const one of examples(500, at, { arm, units: [1] })) window.noteExample(one);
  };
  show('button/a', 0.2);
  show('button/b', 0.2);
  await tell({ ...fine, arm: 'button/a' }, { ...fine, arm: 'button/b' });
  await look();
  expect(report().arms[1]).toMatchObject({ share: 0.5, takenOut: null });

  window.forget('button/b');
  for (const one of examples(500, score, { arm: 'button/b', units: [1], place: [501, 501, 0] }))
    window.noteExample(one);
  await tell({ ...fine, arm: 'button/b', ...counts });
  await look();
  const { arms, verdict, changes } = report();
  expect(arms[1]).toMatchObject({ share: 0, takenOut: expect.stringMatching(reason) });
  expect(arms[0]).toMatchObject({ share: 0.5, takenOut: null });
  expect(verdict).toMatch(/^b was taken out by a guard: /);
  expect(changes.at(-1)).toMatchObject({ by: 'guard', reason: expect.stringMatching(reason) });
});

test('arm guards: an arm that gets units again is judged anew, also by what is joined later', async () => {
  const { clock, guards, look, registry, report, tell } = await openGuards();
  const window = guards.watch(model);
  const show = (score: number, sequence: number) => {
    for (const one of examples(500, score, { arm: 'button/b', units: [1], place: [sequence, sequence, 0] }))
      window.noteExample(one);
  };
  for (const one of examples(500, 0.2, { arm: 'button/a', units: [1] })) window.noteExample(one);
  show(0.999, 600);
  await tell({ ...fine, arm: 'button/b', notFinite: 3 });
  await look();
  expect(report().arms[1]).toMatchObject({ share: 0, takenOut: expect.any(String) });
  // Nodes that have not heard of it yet still tell of it.
  await tell({ ...fine, arm: 'button/b', notFinite: 2 });
  show(0.999, 700);
  await look();
  await registry.setShares(model, 'button', { b: 0.5 }, 'mended');
  await look();
  // Shown before it came back, joined after.
  for (const one of examples(500, 0.999, { arm: 'button/b', units: [1], place: [900, 650, 0] }))
    window.noteExample(one);
  await look();
  expect(report().arms[1]).toMatchObject({ share: 0.5, takenOut: null });
  show(0.999, 1_000);
  await look();
  expect(report().arms[1]).toMatchObject({ share: 0 });
  expect(clock.now()).toBeLessThan(60_000);
});

test('arm guards: what the catalog has not told yet is counted and told once', async () => {
  const { guards, look, metrics, registry, tell } = await openGuards(spec, async (...out) => {
    await registry.takeOut(...out);
    return null;
  });
  guards.watch(model);
  await tell({ ...fine, arm: 'button/b', notFinite: 1 });
  await look();
  await tell({ ...fine, arm: 'button/b', notFinite: 1 });
  await look();
  expect(await metrics.text()).not.toMatch(/mill_experiment_arms_taken_out_total\{/);
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

test.each(faults)('label guards: $guard alone moves a label back, and the move says why', async (fault) => {
  const { reason, score = 0.2, counts, guard } = fault;
  const clock = createManualClock(50_000);
  const window = createArmWindow();
  const versions = stubVersions();
  const reasons: string[] = [];
  const guards = createLabelGuards({
    clock,
    logger: quietLogger,
    versions,
    windowOf: () => window,
    registry: {
      async setLabel(_model, _label, version, { reason: why = '' } = {}) {
        reasons.push(`${version}: ${why}`);
        return versions.catalog;
      },
    },
  });
  const tell = (arm: string, part: Partial<ArmCounts> = {}) =>
    window.noteScoring({ node: 'n', model, arms: [{ ...fine, arm, ...part }] });
  for (const one of examples(500, 0.2, { modelVersion: 1 })) window.noteExample(one);
  tell('@1');
  versions.catalog = {
    ...emptyCatalog(model),
    versions: [1, 2],
    labels: { stable: { version: 2, previous: 1 } },
    moves: [{ label: 'stable', from: 1, to: 2, timeMs: 50_000, reason: '' }],
  };
  versions.tell();
  for (const one of examples(500, score, { modelVersion: 2 })) window.noteExample(one);
  tell('@2', counts);
  await guards.lookAt(model);
  // All bounds hold at once here: what is badly calibrated has a worse logloss, which is looked at first.
  const seen = guard === 'calibration' ? /its logloss/ : reason;
  expect(reasons).toEqual([expect.stringMatching(/^1: guard: version 2 was moved back: /)]);
  expect(reasons[0]).toMatch(seen);
  expect(window.figuresOf('@2')).toBeNull();
  guards.close();
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
