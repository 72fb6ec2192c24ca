import { expect, test } from 'vitest';
import { addReadMark, createReadMarks } from '../src/row-source.ts';

test('read marks: are kept in order and grow with what is added', () => {
  const marks = createReadMarks();
  for (let i = 0; i < 500; i += 1) addReadMark(marks, i, 2 ** 40 + i);
  expect(marks.count).toBe(500);
  expect(Array.from(marks.partitions.subarray(0, 500))).toEqual(Array.from({ length: 500 }, (_, i) => i));
  expect(Array.from(marks.sequences.subarray(0, 500))).toEqual(
    Array.from({ length: 500 }, (_, i) => 2 ** 40 + i),
  );
  marks.count = 0;
  addReadMark(marks, 9, 3, 2);
  expect([marks.count, marks.tables[0], marks.partitions[0], marks.sequences[0]]).toEqual([1, 2, 9, 3]);
});
