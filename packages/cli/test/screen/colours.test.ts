import { expect, test } from 'vitest';
import { coloursFor } from '../../src/screen/colours.ts';

const terminal = { isTTY: true };
const pipe = {};
const red = '\u001b[31mx\u001b[39m';

test('colours: a terminal gets them, a file or a pipe does not, in CI neither', () => {
  expect(coloursFor(terminal, {}).red('x')).toBe(red);
  expect(coloursFor(pipe, {}).red('x')).toBe('x');
  expect(coloursFor(pipe, { CI: 'true' }).red('x')).toBe('x');
  expect(coloursFor(terminal, { TERM: 'dumb' }).red('x')).toBe('x');
});

test('colours: NO_COLOR and FORCE_COLOR decide before the terminal does', () => {
  expect(coloursFor(terminal, { NO_COLOR: '1' }).red('x')).toBe('x');
  expect(coloursFor(terminal, { NO_COLOR: '' }).red('x')).toBe(red);
  expect(coloursFor(pipe, { FORCE_COLOR: '1' }).red('x')).toBe(red);
  expect(coloursFor(pipe, { FORCE_COLOR: '' }).red('x')).toBe(red);
  expect(coloursFor(terminal, { FORCE_COLOR: '0' }).red('x')).toBe('x');
  expect(coloursFor(terminal, { FORCE_COLOR: 'false' }).red('x')).toBe('x');
  expect(coloursFor(pipe, { NO_COLOR: '1', FORCE_COLOR: '1' }).red('x')).toBe('x');
});
