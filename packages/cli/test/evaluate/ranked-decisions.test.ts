import type { ExplorationSpec } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { eachRankedDecision } from '../../src/evaluate/ranked-decisions.ts';
import { linear, openPastCluster } from '../history/past-cluster.ts';

const exploration: ExplorationSpec = { type: 'softmax', temperature: 3 };

test('decisions: a row a place of each closed rank, with its propensity and what came of it', async () => {
  const past = await openPastCluster(linear);
  const { core, clock, updater } = past.cluster;
  const file = past.source.view.models.get(linear.name) ?? linear;
  const items = ['a', 'b', 'c'].map((item) => ({ item }));
  const base = { model: linear.name, user: { user: 'u1' }, items, exploration };
  const first = await core.rank({ ...base, requestId: 'r1' });
  // The second place is clicked, the first passed over; an impression without propensities; one that is sent twice.
  await core.acceptOutcomes([{ model: linear.name, requestId: 'r1', index: first.ranking[1].index }]);
  await core.score({ model: linear.name, requestId: 's1', items });
  // From here on in an arm, which says how it explores.
  await core.experiments.start(linear.name, {
    name: 'order',
    key: 'user.user',
    arms: [{ name: 'soft', share: 1, exploration }],
  });
  const { exploration: _asked, ...unsaid } = base;
  const second = await core.rank({ ...unsaid, requestId: 'r2', count: 1 });
  await core.rank({ ...unsaid, requestId: 'r2', count: 1 });
  await updater.flush();
  clock.advanceBy(6_000);
  await core.rank({ ...base, requestId: 'r3' });
  await updater.flush();

  const rows: Readonly<Record<string, unknown>>[] = [];
  const read = (
    change: { readonly sinceMs?: number; readonly places?: number; readonly arm?: string } = {},
  ) => {
    rows.length = 0;
    return eachRankedDecision({
      bus: past.bus,
      file,
      sinceMs: 0,
      places: 2,
      onRow: (row) => rows.push(row),
      onProgress() {},
      ...change,
    });
  };
  expect(await read()).toEqual({ rows: 3, ranked: 2, open: 1, unranked: 1 });
  const [one, two] = first.ranking;
  expect(rows).toMatchObject([
    {
      requestId: 'r1',
      position: 1,
      user: 'u1',
      item: items[one.index].item,
      click: 0,
      propensity: one.propensity,
    },
    {
      requestId: 'r1',
      position: 2,
      user: 'u1',
      item: items[two.index].item,
      click: 1,
      propensity: two.propensity,
    },
    { requestId: 'r2', position: 1, click: 0, propensity: second.ranking[0].propensity, policy: 'softmax' },
  ]);
  expect(await read({ places: 1 })).toMatchObject({ rows: 2 });
  expect(await read({ arm: 'order/soft' })).toEqual({ rows: 1, ranked: 1, open: 1, unranked: 0 });
  expect(rows.map(({ requestId }) => requestId)).toEqual(['r2']);
  expect(await read({ arm: 'order/other' })).toEqual({ rows: 0, ranked: 0, open: 0, unranked: 0 });
  expect(await read({ sinceMs: clock.now() })).toEqual({ rows: 0, ranked: 0, open: 1, unranked: 0 });
});
