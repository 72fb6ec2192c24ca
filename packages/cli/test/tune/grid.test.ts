import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { combination, combinationsOf, modelWith, readGrid } from '../../src/tune/grid.ts';
import { temporaryFolder } from '../training/made-up-log.ts';

test('grid: combinations in the order of the paths, the last fastest', async () => {
  const text = '{"a.b": [1, 2], "net": ["x", "y", "z"]}';
  const path = join(await temporaryFolder(), 'grid.json');
  await writeFile(path, text);
  for (const grid of [readGrid(text), readGrid(path)]) {
    expect(combinationsOf(grid)).toBe(6);
    expect(Array.from({ length: 6 }, (_, i) => combination(grid, i))).toEqual([
      [1, 'x'],
      [1, 'y'],
      [1, 'z'],
      [2, 'x'],
      [2, 'y'],
      [2, 'z'],
    ]);
  }
});

const hundred = JSON.stringify(Array.from({ length: 100 }, (_, i) => i));

test.each([
  { what: 'no JSON', text: '{"a": [1', says: 'wanted JSON' },
  { what: 'no path', text: '{}', says: 'wanted at least one path' },
  { what: 'no list', text: '{"a": 1}', says: 'wanted a list of values at "a", found 1' },
  { what: 'an empty list', text: '{"a": []}', says: 'wanted a list of values at "a", found []' },
  { what: 'a file that is not there', text: 'nothing.json', says: 'grid "nothing.json"' },
  {
    what: 'too many combinations',
    text: `{"a": ${hundred}, "b": ${hundred}}`,
    says: 'wanted at most 1000 combinations, found 10000',
  },
])('grid: $what is refused', ({ text, says }) => {
  expect(() => readGrid(text)).toThrow(says);
});

test('grid: values go to their paths in a copy', () => {
  const file = { tables: [{ name: 't', wide: { c: 1 } }], net: 'linear' };
  const changed = modelWith(
    file,
    ['tables.0.wide.c', 'net', 'learning.negativeRate'],
    [2, { layers: [] }, 0.5],
  );
  expect(changed).toEqual({
    tables: [{ name: 't', wide: { c: 2 } }],
    net: { layers: [] },
    learning: { negativeRate: 0.5 },
  });
  expect(file).toEqual({ tables: [{ name: 't', wide: { c: 1 } }], net: 'linear' });
});

test.each([
  ['tables.1.name', 'no "tables.1"'],
  ['net.layers', 'no "net.layers"'],
  ['__proto__.polluted', 'no "__proto__"'],
  ['tables.length.x', 'no "tables.length.x"'],
  ['', 'no ""'],
])('grid: path "%s" leads nowhere', (path, says) => {
  const file = { tables: [{ name: 't' }], net: 'linear' };
  expect(() => modelWith(file, [path], [1])).toThrow(says);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});
