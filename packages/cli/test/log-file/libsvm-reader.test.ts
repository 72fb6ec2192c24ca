import { expect, test } from 'vitest';
import { createLibsvmReader, type FeatureForm } from '../../src/log-file/libsvm-reader.ts';
import { readTallied } from './tallied.ts';

const read = (text: string, form: FeatureForm = 'index', columns: 'all' | Set<string> = 'all') =>
  readTallied((tally) => createLibsvmReader('log', tally, columns, form), [text]);

test('libsvm-reader: indexes of value 1 are a list, and every index has a column', () => {
  expect(read('+1 3:1 7:0.5\n-1 3:1\n0\n').records).toEqual([
    [1, { label: 1, features: ['3'], 'features^3': 1, 'features^7': 0.5 }],
    [2, { label: 0, features: ['3'], 'features^3': 1 }],
    [3, { label: 0, features: [] }],
  ]);
});

test('libsvm-reader: makes no column that is not wanted', () => {
  expect(read('1 3:1 7:0.5', 'index', new Set()).records).toEqual([[1, { label: 1, features: ['3'] }]]);
});

test('libsvm-reader: reads qid, and passes over comments and blank lines', () => {
  expect(read('# head\n1 qid:4 2:1e-1 # doc 9\n\n   # more\n').records).toEqual([
    [2, { label: 1, qid: '4', features: [], 'features^2': 0.1 }],
  ]);
});

test('libsvm-reader: with fields, each field is a list of its indexes', () => {
  expect(read('1 0:12:1 1:7:1 1:9:1 2:3:0.25\n', 'field').records).toEqual([
    [
      1,
      {
        label: 1,
        '0': ['12'],
        '0^12': 1,
        '1': ['7', '9'],
        '1^7': 1,
        '1^9': 1,
        '2': [],
        '2^3': 0.25,
      },
    ],
  ]);
});

test('libsvm-reader: keeps a label that is none, for the reading to refuse', () => {
  expect(read('2 1:1\n1,3 1:1\n').records.map(([, { label }]) => label)).toEqual([2, '1,3']);
});

test.each([
  ['index', ['1 3', '1 3:x', '1 :1', '1 3:1:1', '1 3:1e999', '1 3:1 qid:x']],
  ['field', ['1 3:1', '1 :3:1', '1 0::1', '1 0:3:x', '1 0:3:1:1']],
] as const)('libsvm-reader: skips what is no feature of the form %s', (form, lines) => {
  expect(read(lines.join('\n'), form)).toMatchObject({
    records: [],
    skipped: { syntax: lines.map((_, i) => i + 1) },
  });
});
