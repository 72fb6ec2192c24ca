import { gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { trimBehind } from '@millrace/snapshot';
import { expect, test } from 'vitest';
import { verifyModel } from '../../src/history/verify-model.ts';
import { deep, linear, openPastCluster, type PastCluster } from './past-cluster.ts';

const verify = ({ source, inspector }: PastCluster, partition: number | null = null, file = deep) =>
  verifyModel({ source, inspector, file, partition, onProgress() {} });

async function trimAll(past: PastCluster): Promise<void> {
  for (const [partition, state] of past.cluster.shard.states.entries()) {
    const subject = gradientsSubject(modelNameFrom(deep.name), partition);
    await trimBehind(past.bus, { log: 'gradients', subject }, (state?.sequence ?? 0) + 1, 1);
  }
}

test('verify: owners that hold what the log gives are equal, with a whole log, snapshots, and a trimmed log', async () => {
  const past = await openPastCluster(deep);
  await past.visit(10);
  const equal = {
    partitions: 8,
    compared: 16,
    owners: ['shard-0', 'shard-1'],
    differences: [],
    notes: [],
  };
  expect(await verify(past)).toMatchObject(equal);
  await past.snapshot();
  await past.visit(10);
  expect(await verify(past)).toMatchObject(equal);
  await past.snapshot();
  await trimAll(past);
  await past.visit(5);
  const verdict = await verify(past);
  expect(verdict).toMatchObject(equal);
  const { states } = past.cluster.shard;
  expect(verdict.rows).toBe(
    states.reduce((sum, state) => sum + state!.tables[0].count + state!.tables[1].count, 0),
  );
  expect(verdict.sequence).toBe(Math.max(...states.map((state) => state!.sequence)));
  expect(verdict.dense).toEqual({ sequence: past.cluster.updater.dense.sequence, compared: 'snapshots' });
});

test('verify: one changed bit of one row of one owner is told by its place', async () => {
  const past = await openPastCluster(deep);
  await past.visit(10);
  const state = past.cluster.shard.states[3]!;
  state.tables[0].weights[1] += 2 ** -20;
  const { differences, compared } = await verify(past);
  expect(compared).toBe(16);
  expect(differences).toEqual(
    ['shard-0', 'shard-1'].map((shard) => ({
      model: 'deep',
      partition: 3,
      shard,
      sequence: state.sequence,
      code: 'MILL_STATE_DIVERGED',
      message: expect.stringContaining(`${shard} holds`),
    })),
  );
  expect((await verify(past, 2)).differences).toEqual([]);
  expect(await verify(past, 3)).toMatchObject({ partitions: 1, differences });
  await expect(verify(past, 8)).rejects.toMatchObject({ code: 'MILL_BAD_REQUEST' });
});

test('verify: an owner that lags is compared at its own sequence', async () => {
  const past = await openPastCluster(deep);
  await past.visit(10);
  const frozen = new Map(
    await Promise.all(
      Array.from({ length: 8 }, async (_, partition) => {
        const [{ report }] = await past.inspector.inspect(deep.name, partition);
        return [partition, report] as const;
      }),
    ),
  );
  await past.visit(10);
  const inspector = {
    inspect: async (model: string, partition: number) => {
      const [now] = await past.inspector.inspect(model, partition);
      return [now, { shard: 'slow', report: frozen.get(partition)!, reason: '' }];
    },
    close() {},
  };
  const verdict = await verify({ ...past, inspector });
  expect(verdict).toMatchObject({ compared: 16, owners: ['shard-0', 'slow'], differences: [] });
  const lying = {
    inspect: async (model: string, partition: number) => {
      const [now] = await past.inspector.inspect(model, partition);
      // The state of now under the sequence of then.
      const report = { ...now.report!, sequence: frozen.get(partition)!.sequence };
      return [now, { shard: 'liar', report, reason: '' }];
    },
    close() {},
  };
  const { differences } = await verify({ ...past, inspector: lying });
  expect(new Set(differences.map(({ shard }) => shard))).toEqual(new Set(['liar']));
  expect(differences.length).toBeGreaterThan(4);
});

test('verify: an owner that is catching up or silent is told beside; a partition without any is a difference', async () => {
  const catching = await openPastCluster(deep, 'plain', (reports, shard) =>
    shard === 'shard-1' ? reports.map((report) => ({ ...report, ready: false })) : reports,
  );
  await catching.visit(3);
  expect(await verify(catching)).toMatchObject({
    compared: 8,
    differences: [],
    notes: ['shard-1: it is catching up'],
  });
  const empty = await openPastCluster(linear, 'plain', (reports) =>
    reports.filter(({ partition }) => partition !== 5),
  );
  const { differences } = await verify(empty, null, linear);
  expect(differences).toMatchObject([{ partition: 5, shard: null, code: 'MILL_SHARD_UNAVAILABLE' }]);
});

test('verify: a snapshot that is whole and wrong is told', async () => {
  const past = await openPastCluster(deep);
  await past.visit(5);
  await past.snapshot();
  await past.visit(5);
  // The state of another moment under the name of this one.
  const state = past.cluster.shard.states[1]!;
  const weight = state.tables[0].weights[0];
  state.tables[0].weights[0] = weight + 1;
  await past.snapshot();
  state.tables[0].weights[0] = weight;
  const { differences } = await verify(past);
  expect(differences).toEqual([
    {
      model: 'deep',
      partition: 1,
      shard: null,
      sequence: state.sequence,
      code: 'MILL_STATE_DIVERGED',
      message: expect.stringContaining('from the newest snapshot'),
    },
  ]);
});

test('verify: a log that is trimmed beyond what snapshots give is told, and no state made up', async () => {
  const past = await openPastCluster(deep);
  await past.visit(10);
  const subject = gradientsSubject(modelNameFrom(deep.name), 6);
  const { sequence } = past.cluster.shard.states[6]!;
  await trimBehind(past.bus, { log: 'gradients', subject }, sequence, 1);
  const { differences } = await verify(past);
  expect(differences).toMatchObject([{ partition: 6, shard: null, code: 'MILL_HISTORY_GONE' }]);
});
