import { thompsonProbabilities } from '@millrace/core';
import type { ExplorationSpec, Impression, ModelFile, RankRequest } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { drawFor } from '../src/ranking.ts';
import { linear, openStage, turn } from './small-serving.ts';

const items = [{ ad: 'x' }, { ad: 'y' }, { ad: 'z' }, { ad: 'w' }];

function floats(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

test('rank: greedy: best first, with certainty', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('y', 2).set('z', 1).set('w', -1);
  const answer = await core.rank({ requestId: 'r', items, exploration: { type: 'greedy' } });
  expect(answer).toMatchObject({
    requestId: 'r',
    model: 'ads',
    policy: 'greedy',
    degraded: false,
    version: 0,
  });
  expect(answer.ranking.map(({ index }) => index)).toEqual([1, 2, 0, 3]);
  expect(answer.ranking.map(({ propensity }) => propensity)).toEqual([1, 1, 1, 1]);
  expect(answer.ranking[0].score).toBe((await core.score({ items, log: false })).scores[1]);
});

test('rank: by default epsilon-greedy with epsilon 0.05', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('y', 2).set('z', 1);
  let best = 0;
  for (let i = 0; i < 400; i += 1) {
    const { ranking, policy } = await core.rank({ requestId: `r-${i}`, items, count: 1 });
    expect(policy).toBe('epsilon-greedy');
    const wanted = ranking[0].index === 1 ? 0.05 / 4 + 0.95 : 0.05 / 4;
    expect(ranking[0].propensity).toBe(Math.fround(wanted));
    if (ranking[0].index === 1) best += 1;
  }
  // 0.9625 of 400 are 385; four standard errors are 15.
  expect(Math.abs(best - 385)).toBeLessThan(16);
});

test('rank: the impression has what was shown, in that order, with scores, propensities and places', async () => {
  const { core, rows, events } = await openStage();
  rows.weights.set('y', 2).set('z', 1);
  const exploration: ExplorationSpec = { type: 'softmax', temperature: 1 };
  const request: RankRequest = { requestId: 'r', user: { who: 'eve' }, items, exploration, count: 2 };
  const { ranking } = await core.rank(request);
  await turn();
  const [logged] = (await events()) as Impression[];
  expect(logged).toMatchObject({ requestId: 'r', user: { who: 'eve' }, context: {}, policy: 'softmax' });
  expect(logged.items).toEqual(ranking.map(({ index }) => items[index]));
  expect(logged.places).toEqual(ranking.map(({ index }) => index));
  expect(floats(logged.scores)).toEqual(ranking.map(({ score }) => Math.fround(score)));
  expect(floats(logged.propensities as Uint8Array)).toEqual(ranking.map(({ propensity }) => propensity));
  // y is the best: logit 2 of (0, 2, 1, 0).
  expect(logged.greedy?.place).toBe(1);
  expect(logged.greedy?.score).toBe(Math.fround((await core.score({ items, log: false })).scores[1]));
  expect(logged.reads).toBeInstanceOf(Uint8Array);
});

test('rank: the same request draws the same order again', async () => {
  const { core } = await openStage();
  const request: RankRequest = {
    requestId: 'again',
    items,
    exploration: { type: 'softmax', temperature: 2 },
  };
  expect((await core.rank(request)).ranking).toEqual((await core.rank(request)).ranking);
});

test('rank: a caller who has gone has seen nothing, so nothing is logged', async () => {
  const { core, events, rows } = await openStage();
  const caller = { gone: false };
  const ranked = core.rank({ items }, caller);
  rows.gate = turn().then(() => {
    caller.gone = true;
  });
  await ranked;
  await turn();
  expect(await events()).toEqual([]);
});

test('rank: parameters that do not fit are named', async () => {
  const { core } = await openStage([linear, sure]);
  const many = Array.from({ length: 1_000 }, () => ({}));
  const cases: readonly (readonly [RankRequest, string])[] = [
    [{ model: 'ads', items, count: 5 }, 'count: wanted at most the 4 items, found 5'],
    [
      { model: 'ads', items, exploration: { type: 'softmax', epsilon: 0.1 } as ExplorationSpec },
      'exploration.epsilon: wanted only type, temperature with softmax',
    ],
    [
      { model: 'ads', items, exploration: { type: 'thompson' } },
      'no table of "ads" with a precision: give the tables of wide weights "precision": { "prior": 1 }',
    ],
    [
      { model: 'sure', items: many, count: 11, exploration: { type: 'thompson' } },
      'count: wanted at most 10 places of 1000 items for thompson',
    ],
  ];
  for (const [request, message] of cases) {
    await expect(core.rank(request)).rejects.toMatchObject({
      code: 'MILL_BAD_REQUEST',
      message: expect.stringContaining(message),
    });
  }
});

const sure: ModelFile = {
  ...linear,
  name: 'sure',
  tables: [{ ...linear.tables[0], precision: { prior: 4 } }],
};

test('rank: thompson: draws with the variances of the pulled rows', async () => {
  const { core, rows } = await openStage([sure]);
  rows.weights.set('y', 0.5);
  // Nothing was learned of any item: each logit has the variance 1/prior of its one key.
  const expected = new Float64Array(4);
  const variances = new Float64Array(4).fill(0.25);
  thompsonProbabilities(Float64Array.from([0, 0.5, 0, 0]), variances, { count: 4, scale: 1 }, expected);
  const seen = new Set<number>();
  for (let i = 0; i < 60; i += 1) {
    const { ranking, policy } = await core.rank({
      requestId: `t-${i}`,
      items,
      count: 1,
      exploration: { type: 'thompson' },
    });
    expect(policy).toBe('thompson');
    expect(ranking[0].propensity).toBeCloseTo(expected[ranking[0].index], 6);
    seen.add(ranking[0].index);
  }
  expect(seen.size).toBe(4);
});

test('rank: thompson: an unsure item comes first more often than its logit says', () => {
  const plan = { exploration: { type: 'thompson', scale: 1 }, places: 1 } as const;
  const scored = { logits: Float32Array.from([0, -1]), variances: Float32Array.from([0, 4]) };
  const drawn = drawFor(plan, scored, linear, 'r');
  // Φ(1/2) = 0.6915 for the sure one.
  const ofFirst = drawn.indices[0] === 0 ? drawn.propensities[0] : 1 - drawn.propensities[0];
  expect(ofFirst).toBeCloseTo(0.6915, 4);
  expect(() => drawFor(plan, { ...scored, variances: null }, linear, 'r')).toThrow('precision');
});
