import { expect, test } from 'vitest';
import { createSwapJudge, likeVersions } from '../../src/swap/judge-answers.ts';
import { requestsOf, weightsOf } from '../../src/swap/swap-model.ts';

const references = [[[0.25, 0.5]], [[0.125, 0.75]]];

test('bench: swap: an answer is one version’s when every score has its bits', () => {
  const judge = createSwapJudge(references);
  judge.judge(0, 0, { scores: [0.25, 0.5] });
  judge.judge(0, 1, { scores: [0.125, 0.75] });
  expect([judge.judged, judge.mixed, [...judge.seen]]).toEqual([2, 0, [0, 1]]);
});

test.each([
  ['scores of two versions', 0, [0.25, 0.75]],
  ['another version than it says', 1, [0.25, 0.5]],
  ['a bit more', 0, [0.25 + 2 ** -40, 0.5]],
  ['a score less', 0, [0.25]],
  ['a version that there is not', 2, [0.25, 0.5]],
  ['no version', undefined, [0.25, 0.5]],
] as const)('bench: swap: %s is seen', (_what, version, scores) => {
  const judge = createSwapJudge(references);
  judge.judge(0, version, { scores });
  expect(judge.mixed).toBe(1);
});

test('bench: swap: versions that score an item alike are found', () => {
  expect(likeVersions(references)).toBe(0);
  expect(likeVersions([...references, [[0.3, 0.5]]])).toBe(1);
});

test('bench: swap: weights and requests are the same in every run, and differ from each other', () => {
  expect(weightsOf(1)).toEqual(weightsOf(1));
  expect(weightsOf(1)).not.toEqual(weightsOf(2));
  const [a, b] = requestsOf(2, 3);
  expect(a.items).not.toEqual(b.items);
});
