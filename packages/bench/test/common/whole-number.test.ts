import { expect, test } from 'vitest';
import { wholeNumber } from '../../src/common/whole-number.ts';

test('whole number: what the option says, from the least that is allowed, or what holds without it', () => {
  expect([wholeNumber('12', 3), wholeNumber(undefined, 3), wholeNumber('0', 3, 0)]).toEqual([12, 3, 0]);
});

test.each(['0', '1.5', '-1', 'ten'])('whole number: %s is refused', (text) => {
  expect(() => wholeNumber(text, 3)).toThrow(`wanted a whole number from 1, found ${text}`);
});
