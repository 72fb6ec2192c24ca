import { expect, test } from 'vitest';
import { logReportJson, logReportText } from '../../src/log-file/log-report.ts';
import { createLogTally, linesKept } from '../../src/log-file/log-tally.ts';

test('log-tally: counts all, and keeps the first lines and what the first said', () => {
  const tally = createLogTally('a.csv', 'lenient');
  for (let line = 2; line < 1_002; line++) tally.skip('label', { line, column: 'y' }, '0 or 1', line);
  tally.skip('ragged', { line: 5_000 }, '2 cells', 'x');
  expect(tally.report()).toMatchObject({ records: 0, skippedTotal: 1_001 });
  expect(tally.report().skipped).toEqual({
    ragged: { count: 1, lines: [5_000], first: 'wanted 2 cells, found "x"' },
    label: {
      count: 1_000,
      lines: Array.from({ length: linesKept }, (_, i) => i + 2),
      first: 'column "y": wanted 0 or 1, found 2',
    },
  });
});

test('log-tally: a strict one throws at the first', () => {
  const tally = createLogTally('a.csv', 'strict');
  expect(() => tally.skip('label', { line: 7, column: 'y' }, '0 or 1', 'yes')).toThrow(
    'cannot read "a.csv", line 7, column "y": wanted 0 or 1, found "yes"',
  );
});

test('log-tally: time is compared with the newest so far', () => {
  const tally = createLogTally('a.csv', 'lenient');
  for (const [line, timeMs] of [10, 30, 20, 29, 30, 31, 1].entries()) tally.take(line, timeMs);
  expect(tally.report()).toMatchObject({
    records: 7,
    notes: { timeBackwards: { count: 3, line: 2, stepMsMax: 30 } },
  });
});

test('log-tally: notes a bounded number of unread columns', () => {
  const tally = createLogTally('a.vw', 'lenient');
  for (let i = 0; i < 100; i++) tally.noteUnread(`a^${i}`, 3);
  expect(tally.report().notes.unreadValues).toMatchObject({ count: 100, line: 3, columns: { length: 20 } });
});

test('log-report: a long step back is told in days', () => {
  const tally = createLogTally('a.csv', 'lenient');
  tally.take(2, 3 * 86_400_000);
  tally.take(3, 0);
  expect(logReportText(tally.report())).toEqual([
    'a.csv: time goes backwards at 1 records, first in line 3, by up to 3 days',
  ]);
});

test('log-report: says nothing of a log without fault', () => {
  const tally = createLogTally('a.csv', 'lenient');
  tally.take(2, 0);
  expect(logReportText(tally.report())).toEqual([]);
  expect(logReportJson(tally.report())).toEqual({ skipped: {}, notes: {} });
});

test('log-report: a table of what was skipped, then the notes', () => {
  const tally = createLogTally('a.csv', 'lenient');
  tally.take(2, 9_500);
  tally.take(3, 8_000);
  tally.noteEmpty('user');
  tally.noteUnread('a^b', 4);
  for (let line = 4; line < 16; line++) tally.skip('encoding', { line }, 'UTF-8 text', 'x');
  const report = tally.report();
  const text = logReportText(report);
  expect(text[0]).toBe('a.csv: 2 records used, 12 skipped');
  expect(text[2]).toBe(
    'encoding  12       4, 5, 6, 7, 8, 9, 10, 11, 12, 13, …  wanted UTF-8 text, found "x"',
  );
  expect(text.slice(3)).toEqual([
    'a.csv: time goes backwards at 1 records, first in line 3, by up to 1.5 s',
    'a.csv: empty cells: user 1',
    'a.csv: 1 values other than 1 in columns that the model does not name, first in line 4: a^b',
    'a.csv: more than half of the log was skipped, so the result says little',
  ]);
  expect(logReportJson(report)).toEqual({
    skipped: { encoding: { count: 12, lines: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13] } },
    notes: report.notes,
  });
});
