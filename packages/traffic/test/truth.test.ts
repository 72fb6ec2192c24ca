import { expect, test } from 'vitest';
import { baseLogitFrom, createTruth } from '../src/truth.ts';
import { type Visit, visitAt } from '../src/visits.ts';
import { categoryNames, type Item, placementNames, segmentNames } from '../src/world.ts';

const truth = createTruth(3);
const visit = visitAt(3, 1_000);
const item = visit.items[0];
const logit = (changedVisit: Partial<Visit> = {}, changedItem: Partial<Item> = {}) =>
  truth.logitOf({ ...visit, ...changedVisit }, { ...item, ...changedItem }, { drifted: false });
/** No taste in the way of the categorical effects. */
const plain = { ...visit.user, taste: [0, 0, 0, 0] };

test('truth: base makes the mean probability the wanted rate', () => {
  const base = baseLogitFrom([-1, 0, 2], 0.2);
  const mean = [-1, 0, 2].reduce((sum, value) => sum + 1 / (1 + Math.exp(-base - value)), 0) / 3;
  expect(mean).toBeCloseTo(0.2, 9);
  // sigmoid(ln 3) = 3/4
  expect(baseLogitFrom([0], 0.75)).toBeCloseTo(Math.log(3), 9);
});

test('truth: category and placement interact, in a way that neither tells alone', () => {
  const at = (category: number, placement: number) => logit({ user: plain, placement }, { category });
  let largest = 0;
  for (let category = 1; category < categoryNames.length; category++) {
    for (let placement = 1; placement < placementNames.length; placement++) {
      const cross = at(category, placement) - at(category, 0) - at(0, placement) + at(0, 0);
      largest = Math.max(largest, Math.abs(cross));
    }
  }
  expect(largest).toBeGreaterThan(0.5);
});

test('truth: segment and category interact', () => {
  const at = (segment: number, category: number) => logit({ user: { ...plain, segment } }, { category });
  const cross = segmentNames.map((_, segment) => at(segment, 1) - at(segment, 0) - at(0, 1) + at(0, 0));
  expect(Math.max(...cross.map(Math.abs))).toBeGreaterThan(0.3);
});

test('truth: taste meets character, more in a feed than in a mail (user × item × context)', () => {
  const liking = { ...visit.user, taste: [1, 1, 1, 1] };
  const liked = { character: [1, 1, 1, 1] };
  const gain = (placement: number) =>
    logit({ user: liking, placement }, liked) - logit({ user: plain, placement }, liked);
  // 0.22 · (4 / √4) times the placement's gain.
  expect(gain(0)).toBeCloseTo(1.4 * 0.44, 9);
  expect(gain(3)).toBeCloseTo(0.4 * 0.44, 9);
});

test('truth: a higher price is clicked less', () => {
  expect(logit({}, { price: 100 })).toBeLessThan(logit({}, { price: 10 }));
});

test('truth: the drift moves half of the categories in their placements, and not the others', () => {
  const moved = categoryNames.map((_, category) => {
    // The item's own quality moves alike for every category, so the differences between placements tell.
    const spread = (drifted: boolean) =>
      [1, 2, 3].map(
        (placement) =>
          truth.logitOf({ ...visit, user: plain, placement }, { ...item, category }, { drifted }) -
          truth.logitOf({ ...visit, user: plain, placement: 0 }, { ...item, category }, { drifted }),
      );
    const before = spread(false);
    return spread(true).some((difference, i) => Math.abs(difference - before[i]) > 1e-9);
  });
  expect(moved).toEqual(categoryNames.map((_, category) => category % 2 === 0));
});
