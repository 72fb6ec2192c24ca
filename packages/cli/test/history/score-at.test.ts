import type { EngineName } from '@millrace/model';
import type { ScoreRequest } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { type ScoreAtOptions, scoreAt } from '../../src/history/score-at.ts';
import { deep, openPastCluster, type PastCluster } from './past-cluster.ts';

const probe: ScoreRequest = {
  model: deep.name,
  user: { user: 'u3' },
  items: [
    { item: 'i1', tags: ['t1'], price: 3 },
    { item: 'i2', price: 7 },
    { item: 'new', tags: [] },
  ],
  log: false,
};

const ask = (
  { source, cluster }: PastCluster,
  change: Partial<ScoreAtOptions> & Pick<ScoreAtOptions, 'at'>,
) =>
  scoreAt({
    source,
    file: deep,
    request: { user: probe.user ?? {}, context: {}, items: probe.items },
    version: null,
    engine: 'plain',
    nowMs: cluster.clock.now(),
    onProgress() {},
    ...change,
  });

test.each<EngineName>(['plain', 'wasm'])(
  'score at: engine %s: a sequence or a time gives the scores of that moment, to the bit',
  async (engine) => {
    const past = await openPastCluster(deep, engine);
    const moments: { sequence: number; timeMs: number; scores: readonly number[]; version: number }[] = [];
    for (let i = 0; i < 6; i += 1) {
      await past.visit(8);
      if (i === 2) await past.snapshot();
      const { scores, version } = await past.cluster.core.score(probe);
      const { lastSequence } = await past.bus.logState('gradients');
      moments.push({ sequence: lastSequence, timeMs: past.cluster.clock.now(), scores, version });
    }
    for (const { sequence, timeMs, scores, version } of moments) {
      const bySequence = await ask(past, { at: { sequence }, engine });
      expect(bySequence).toMatchObject({ scores, version, engine });
      expect(bySequence.sequence).toBeLessThanOrEqual(sequence);
      expect(await ask(past, { at: { timeMs }, engine })).toMatchObject({ scores, version, timeMs });
    }
    expect(new Set(moments.map(({ scores }) => scores[0])).size).toBe(6);
  },
  30_000,
);

test('score at: before anything was learned: first values; with a dense version of one’s choice: other scores', async () => {
  const past = await openPastCluster(deep);
  const { scores: fresh } = await past.cluster.core.score(probe);
  await past.visit(10);
  const { scores, version } = await past.cluster.core.score(probe);
  expect(await ask(past, { at: { sequence: 0 } })).toMatchObject({
    scores: fresh,
    version: 0,
    sequence: 0,
    timeMs: null,
  });
  const { lastSequence } = await past.bus.logState('gradients');
  const then = await ask(past, { at: { sequence: lastSequence }, version: 0 });
  expect(then.version).toBe(0);
  expect(then.scores).not.toEqual(scores);
  expect(await ask(past, { at: { sequence: lastSequence }, version })).toMatchObject({ scores, version });
});

test('score at: a moment that is still to come is refused', async () => {
  const past = await openPastCluster(deep);
  await past.visit(1);
  const { lastSequence } = await past.bus.logState('gradients');
  const refused = { code: 'MILL_BAD_REQUEST' };
  await expect(ask(past, { at: { sequence: lastSequence + 1 } })).rejects.toMatchObject(refused);
  await expect(ask(past, { at: { timeMs: past.cluster.clock.now() + 1 } })).rejects.toMatchObject(refused);
});
