import { expect, test } from 'vitest';
import { textTable } from '../../src/common/text-table.ts';

test('text table: the first column to the left, the others to the right', () => {
  expect(
    textTable(
      ['name', 'keys/s'],
      [
        ['a', '1'],
        ['longer', '12.5 M'],
      ],
    ),
  ).toBe(['name    keys/s', '──────  ──────', 'a            1', 'longer  12.5 M'].join('\n'));
});
