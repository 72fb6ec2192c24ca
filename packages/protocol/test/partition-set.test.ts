import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partitionSetFrom, partitionSetSize, partitionSetText } from '../src/partition-set.ts';

test('partition set: bytes by hand: least significant bit first', () => {
  // 0, 3 and 9: 0b00001001 and 0b00000010.
  const text = partitionSetText(10, (partition) => [0, 3, 9].includes(partition));
  expect([text, partitionSetSize(text)]).toEqual([Buffer.from([9, 2]).toString('base64'), 3]);
});

test('partition set: what was put in is in it, and nothing else (property)', () => {
  const anyMembers = fc.uniqueArray(fc.integer({ min: 0, max: 4_095 }), { maxLength: 300 });
  fc.assert(
    fc.property(anyMembers, fc.integer({ min: 1, max: 4_096 }), (members, partitions) => {
      const wanted = new Set(members.filter((member) => member < partitions));
      const text = partitionSetText(partitions, (partition) => wanted.has(partition));
      const has = partitionSetFrom(text);
      const found = Array.from({ length: 4_100 }, (_, partition) => partition).filter(has);
      expect(found).toEqual([...wanted].sort((a, b) => a - b));
      expect(partitionSetSize(text)).toBe(wanted.size);
    }),
    { numRuns: 30 },
  );
});

test('partition set: the empty text, and what is no base64, is empty', () => {
  for (const text of ['', '!!!']) {
    expect([partitionSetFrom(text)(0), partitionSetSize(text)]).toEqual([false, 0]);
  }
});
