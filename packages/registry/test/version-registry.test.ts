import { initialDense } from '@millrace/model';
import {
  bytesOf,
  isMillraceError,
  jsonBytes,
  type ModelFile,
  versionBlobName,
  versionsMax,
} from '@millrace/protocol';
import { createManualClock, createMemoryBus, type MemoryBus } from '@millrace/runtime';
import { expect, test, vi } from 'vitest';
import { type LiveLine, openVersionRegistry, type VersionRegistry, watchVersions } from '../src/index.ts';

const file: ModelFile = {
  name: 'deep',
  label: 'clicked',
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'sgd', learningRate: 0.1 } },
      embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 0.1 } },
    },
  ],
  fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'ids' }],
  net: {
    wide: true,
    layers: [{ units: 3, activation: 'relu' }],
    optimizer: { type: 'sgd', learningRate: 1 },
  },
  loss: 'logloss',
  seed: 1,
} as ModelFile;

const code = 'test';

interface Stage {
  readonly bus: MemoryBus;
  readonly registry: VersionRegistry;
  readonly line: LiveLine;
}

async function stage(): Promise<Stage> {
  const bus = createMemoryBus();
  await (await bus.kv('models')).put(file.name, jsonBytes(file));
  const registry = await openVersionRegistry(bus, createManualClock(5_000));
  const line: LiveLine = {
    file,
    weights: initialDense(file).weights,
    sequences: { dense: 7, gradients: [1, 2], events: 9 },
    data: { firstEventMs: 1, lastEventMs: 2, examples: 3 },
    metrics: null,
  };
  return { bus, registry, line };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (isMillraceError(error) ? error.code : String(error)),
  );

test('version registry: what is taken comes back whole, with where it was taken', async () => {
  const { registry, line } = await stage();
  const taken = await registry.takeVersion(line, { code, note: 'first', labels: ['stable'] });
  expect(taken).toMatchObject({
    model: 'deep',
    version: 1,
    parent: null,
    kind: 'taken',
    sequences: line.sequences,
    data: line.data,
    createdMs: 5_000,
    note: 'first',
    labels: ['stable'],
    wanted: true,
  });
  expect(await registry.loadWeights('deep', 1)).toEqual(line.weights);
  expect(await registry.versions('deep')).toEqual([taken]);
});

test('version registry: weights that change while they are taken are taken as they were', async () => {
  const { registry, line } = await stage();
  const before = line.weights.slice();
  const taking = registry.takeVersion(line, { code });
  line.weights.fill(0);
  await taking;
  expect(await registry.loadWeights('deep', 1)).toEqual(before);
});

test('version registry: takers at the same time have numbers of their own', async () => {
  const { registry, line } = await stage();
  const taken = await Promise.all(Array.from({ length: 8 }, () => registry.takeVersion(line, { code })));
  expect(taken.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect((await registry.catalogOf('deep')).versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('version registry: a derived version may have another net, and has its parent’s sequences', async () => {
  const { registry, line } = await stage();
  await registry.takeVersion(line, { code });
  const smaller = { ...file, net: { ...(file.net as object), layers: [{ units: 1, activation: 'relu' }] } };
  const weights = initialDense(smaller as ModelFile).weights;
  const derived = await registry.addVersion({
    model: 'deep',
    kind: 'derived',
    parent: 1,
    file: smaller,
    weights,
    code,
  });
  expect(derived).toMatchObject({
    version: 2,
    parent: 1,
    kind: 'derived',
    sequences: line.sequences,
    data: line.data,
  });
  expect(derived.weights.floats).toBeLessThan(line.weights.length);
  expect(await registry.loadWeights('deep', 2)).toEqual(weights);
});

test('version registry: refuses what could not be served', async () => {
  const { registry, line } = await stage();
  const { weights } = line;
  const add = (change: object) =>
    codeOf(
      registry.addVersion({
        model: 'deep',
        kind: 'imported',
        parent: null,
        weights,
        code,
        ...change,
      } as never),
    );
  expect(await add({ model: 'none' })).toBe('MILL_MODEL_UNKNOWN');
  expect(await add({ parent: 4 })).toBe('MILL_VERSION_UNKNOWN');
  expect(await add({ weights: weights.subarray(1) })).toBe('MILL_VERSION_INVALID');
  expect(await add({ weights: weights.map(() => Number.NaN) })).toBe('MILL_VERSION_INVALID');
  expect(await add({ file: { ...file, seed: 2 } })).toBe('MILL_VERSION_INVALID');
  expect(await add({ file: { ...file, loss: 'none' } })).toBe('MILL_MODEL_INVALID');
  expect(await add({ note: 'n'.repeat(501) })).toBe('MILL_VERSION_INVALID');
  expect((await registry.catalogOf('deep')).versions).toEqual([]);
});

test('version registry: weights that are not those of the record are found out', async () => {
  const { bus, registry, line } = await stage();
  await registry.takeVersion(line, { code });
  const blobs = await bus.blobs('versions');
  const bytes = bytesOf(line.weights).slice();
  const name = versionBlobName('deep', 1);
  for (let at = 0; at < bytes.length; at += 5) {
    const damaged = bytes.slice();
    damaged[at] ^= 1;
    await blobs.put(name, [damaged]);
    expect(await codeOf(registry.loadWeights('deep', 1))).toBe('MILL_VERSION_DAMAGED');
  }
  for (const other of [bytes.slice(4), Buffer.concat([bytes, bytes])]) {
    await blobs.put(name, [other]);
    expect(await codeOf(registry.loadWeights('deep', 1))).toBe('MILL_VERSION_DAMAGED');
  }
  await blobs.delete(name);
  expect(await codeOf(registry.loadWeights('deep', 1))).toBe('MILL_VERSION_DAMAGED');
});

test('version registry: removed only once it is neither labelled nor loaded, and then it is gone', async () => {
  const { bus, registry, line } = await stage();
  await registry.takeVersion(line, { code, labels: ['stable'] });
  await registry.takeVersion(line, { code });
  expect(await codeOf(registry.remove('deep', 1))).toBe('MILL_VERSION_IN_USE');
  await registry.unsetLabel('deep', 'stable');
  expect(await codeOf(registry.remove('deep', 2))).toBe('MILL_VERSION_IN_USE');
  await registry.remove('deep', 1);
  expect(await codeOf(registry.remove('deep', 1))).toBe('MILL_VERSION_UNKNOWN');
  expect(await codeOf(registry.loadWeights('deep', 1))).toBe('MILL_VERSION_UNKNOWN');
  expect(await (await bus.blobs('versions')).list('deep/')).toEqual([
    { name: 'deep/2', bytes: 4 * line.weights.length },
  ]);
  // Numbers are never used again.
  await registry.unload('deep', 2);
  await registry.remove('deep', 2);
  expect((await registry.takeVersion(line, { code })).version).toBe(3);
});

test('version registry: no more versions than the limit', async () => {
  const { registry, line } = await stage();
  for (let n = 0; n < versionsMax; n += 1) await registry.takeVersion(line, { code });
  expect(await codeOf(registry.takeVersion(line, { code }))).toBe('MILL_VERSION_INVALID');
});

test('version registry: a version whose labels are refused takes no number and leaves no weights', async () => {
  const { bus, registry, line } = await stage();
  const taken = registry.takeVersion(line, { code, labels: ['stable', '9'] });
  expect(await codeOf(taken)).toBe('MILL_VERSION_INVALID');
  expect((await registry.catalogOf('deep')).newest).toBe(0);
  expect(await (await bus.blobs('versions')).get(versionBlobName('deep', 1))).toBeNull();
});

test('version registry: versions that are made at once do not go over the limit together', async () => {
  const { registry, line } = await stage();
  for (let n = 1; n < versionsMax; n += 1) await registry.takeVersion(line, { code });
  const made = await Promise.all([1, 2].map(() => codeOf(registry.takeVersion(line, { code }))));
  expect(made.sort()).toEqual(['MILL_VERSION_INVALID', 'no error']);
  expect((await registry.catalogOf('deep')).versions).toHaveLength(versionsMax);
});

test('version registry: whoever watches sees a record before the catalog names it', async () => {
  const { bus, registry, line } = await stage();
  const view = await watchVersions(bus);
  const seen: boolean[] = [];
  view.onChange((model) => {
    const { versions } = view.catalogOf(model);
    seen.push(versions.every((version) => view.recordOf(model, version) !== null));
  });
  await registry.takeVersion(line, { code, labels: ['stable'] });
  await registry.setPolicy('deep', { type: 'all' });
  await expect.poll(() => view.catalogOf('deep').policy.type).toBe('all');
  expect(seen.length).toBeGreaterThan(2);
  expect(seen).not.toContain(false);
  await view.close();
});

test('version registry: two that change a catalog in turn lose nothing, and judge by what is there now', async () => {
  const { bus, registry: mine, line } = await stage();
  const theirs = await openVersionRegistry(bus, createManualClock(5_000));
  await mine.takeVersion(line, { code });
  await mine.setLabel('deep', 'stable', 1);
  await theirs.takeVersion(line, { code });
  await theirs.setLabel('deep', 'canary', 2);
  // As mine left it there is no version 2.
  const { labels, changes } = await mine.setLabel('deep', 'stable', 2);
  expect(labels).toMatchObject({ stable: { version: 2, previous: 1 }, canary: { version: 2 } });
  // As theirs left it `stable` is at 1, and nothing would have to be done.
  expect((await theirs.setLabel('deep', 'stable', 1)).changes).toBe(changes + 1);
  expect(await mine.catalogOf('deep')).toEqual(await theirs.catalogOf('deep'));
});

test('version registry: who alone changes a catalog does not ask for it each time', async () => {
  const { bus, registry, line } = await stage();
  await registry.takeVersion(line, { code });
  await registry.takeVersion(line, { code });
  const get = vi.spyOn(await bus.kv('versions'), 'get');
  await registry.setLabel('deep', 'stable', 1);
  await registry.setLabel('deep', 'stable', 2);
  expect(get).not.toHaveBeenCalled();
  // What changes nothing is told of what is there.
  await registry.setLabel('deep', 'stable', 2);
  expect(get).toHaveBeenCalledOnce();
});
