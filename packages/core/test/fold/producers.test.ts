import { expect, test } from 'vitest';
import { placeInChain } from '../../src/fold/producers.ts';

test.each([
  { found: 'the first block of a producer', last: undefined, sequence: 1, previous: 0, place: 'next' },
  {
    found: 'a first block that is not its producer’s first',
    last: undefined,
    sequence: 9,
    previous: 0,
    place: 'next',
  },
  { found: 'a first block with a predecessor', last: undefined, sequence: 9, previous: 4, place: 'gap' },
  { found: 'the next block', last: 5, sequence: 7, previous: 5, place: 'next' },
  { found: 'the same block again', last: 7, sequence: 7, previous: 5, place: 'duplicate' },
  { found: 'an older block', last: 7, sequence: 5, previous: 3, place: 'duplicate' },
  { found: 'a block after a missing one', last: 5, sequence: 9, previous: 7, place: 'gap' },
  // A block that was given up: its producer went on from before it.
  {
    found: 'a block whose predecessor is older than the last',
    last: 5,
    sequence: 7,
    previous: 3,
    place: 'next',
  },
])('producers: $found is $place', ({ last, sequence, previous, place }) => {
  const producers = new Map([['other', 100]]);
  if (last !== undefined) producers.set('updater', last);
  expect(placeInChain(producers, { producer: 'updater', sequence, previous })).toBe(place);
  expect(producers.get('updater')).toBe(last);
});
