import { expect, test } from 'vitest';
import { movedShare } from '../../src/reshard/moved-share.ts';

const before = {
  model: 'm',
  epoch: 1,
  shards: ['a', 'b'],
  owners: [
    [0, 1],
    [1, 0],
    [0, 1],
  ],
};

test('bench: reshard: owners are told by name, so another order of shards moves nothing', () => {
  const after = {
    model: 'm',
    epoch: 2,
    shards: ['b', 'a'],
    owners: [
      [0, 1],
      [1, 0],
      [1, 0],
    ],
  };
  expect(movedShare(before, after)).toBe(0);
});

test('bench: reshard: the share is of all owners after the move', () => {
  const after = {
    model: 'm',
    epoch: 2,
    shards: ['a', 'b', 'c'],
    owners: [
      [0, 2],
      [2, 1],
      [0, 1],
    ],
  };
  expect(movedShare(before, after)).toBeCloseTo(2 / 6);
});
