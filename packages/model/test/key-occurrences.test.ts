import { expect, test } from 'vitest';
import { createKeyOccurrences } from '../src/key-occurrences.ts';
import { encode } from './encoded.ts';
import { smallModel } from './small-model.ts';

const fields = [
  { name: 'ad', type: 'sparse', scope: 'item', table: 'wide' },
  { name: 'seen', type: 'sequence', scope: 'item', table: 'wide', sharesKeysOf: 'ad' },
] as const;

test('key occurrences: examples in which a key stands, once each (by hand)', () => {
  const { batch } = encode(smallModel({ fields }), [
    { items: [{ ad: 'x', seen: 'x|y|y' }, { ad: 'y' }, { ad: 'x' }, { seen: 'z' }] },
  ]);
  const counts = createKeyOccurrences().count(batch.tables[0]);
  // x, y, z in order of first occurrence.
  expect(Array.from(counts.subarray(0, batch.tables[0].unique))).toEqual([2, 2, 1]);
});

test('key occurrences: memory is used again, and grown', () => {
  const counter = createKeyOccurrences();
  const of = (count: number) => {
    const items = Array.from({ length: count }, (_, i) => ({ ad: `a${i % 150}` }));
    const { batch } = encode(smallModel({ fields }), [{ items }]);
    return Array.from(counter.count(batch.tables[0]).subarray(0, batch.tables[0].unique));
  };
  expect(of(3)).toEqual([1, 1, 1]);
  expect(of(300)).toEqual(Array.from({ length: 150 }, () => 2));
  expect(of(2)).toEqual([1, 1]);
});
