import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  type ErrorCode,
  errorTable,
  invariant,
  isMillraceError,
  MillraceError,
  reasonFrom,
} from '../src/errors.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
const codes = Object.keys(errorTable) as ErrorCode[];

/** Cells of each row of the page's table, head and rule left out. */
function rowsOfPage(): string[][] {
  const lines = page.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('errors: docs/errors.md says of each code what the table says', () => {
  expect(page).toContain('| code | http | grpc | retry | what it means and what to do |');
  const wanted = codes.map((code) => {
    const { http, grpc, retry, summary } = errorTable[code];
    return [`\`${code}\``, `${http}`, grpc, retry, summary];
  });
  expect(rowsOfPage()).toEqual(wanted);
});

test('errors: docs/errors.md names no code that the table does not have', () => {
  const named = new Set(page.match(/MILL_[A-Z_]*[A-Z]/g));
  expect([...named].filter((code) => !Object.hasOwn(errorTable, code))).toEqual([]);
});

test('errors: codes, statuses and texts have one form', () => {
  // The status names of google.rpc.Code.
  const grpcNames = [
    'INVALID_ARGUMENT',
    'OUT_OF_RANGE',
    'UNAUTHENTICATED',
    'NOT_FOUND',
    'ALREADY_EXISTS',
    'PERMISSION_DENIED',
    'RESOURCE_EXHAUSTED',
    'FAILED_PRECONDITION',
    'ABORTED',
    'UNIMPLEMENTED',
    'INTERNAL',
    'UNAVAILABLE',
    'DATA_LOSS',
    'DEADLINE_EXCEEDED',
  ];
  for (const code of codes) {
    const { http, grpc, summary } = errorTable[code];
    expect(code).toMatch(/^MILL(_[A-Z]+)+$/);
    expect(http).toBeGreaterThanOrEqual(400);
    expect(http).toBeLessThan(600);
    expect(grpcNames).toContain(grpc);
    // One cell of a table: a sentence on one line, without a bar.
    expect(summary).toMatch(/^[A-Z][^|\n]*\.$/);
  }
});

test('errors: what is worth another try has a status that clients of HTTP retry', () => {
  for (const code of codes) {
    const { retry, http } = errorTable[code];
    if (retry === 'backoff') expect([code, [429, 503, 504].includes(http)]).toEqual([code, true]);
    if (retry === 'never') expect([code, [429, 502, 503, 504].includes(http)]).toEqual([code, false]);
  }
});

test('errors: an error tells code, retry, details and cause', () => {
  const cause = new Error('below');
  const error = new MillraceError('MILL_OVERLOADED', 'too many', { details: { rows: 5 }, cause });
  expect([error.name, error.code, error.message, error.retry, error.details, error.cause]).toEqual([
    'MillraceError',
    'MILL_OVERLOADED',
    'too many',
    'backoff',
    { rows: 5 },
    cause,
  ]);
  const bare = new MillraceError('MILL_CLOSED', 'gone');
  expect([bare.details, 'cause' in bare]).toEqual([undefined, false]);
});

test('errors: is told from other errors, and by code', () => {
  const error = new MillraceError('MILL_CLOSED', 'gone');
  expect([isMillraceError(error), isMillraceError(error, 'MILL_CLOSED')]).toEqual([true, true]);
  const lookalike = Object.assign(new Error('gone'), { code: 'MILL_CLOSED' });
  expect([isMillraceError(error, 'MILL_TIMEOUT'), isMillraceError(lookalike)]).toEqual([false, false]);
});

test('errors: an invariant that fails is a defect, not a coded error', () => {
  expect(() => invariant(false, 'x')).toThrow('invariant broken: x');
  expect(() => invariant(1, 'x')).not.toThrow();
});

test('errors: the reason of anything thrown is text', () => {
  expect([reasonFrom(new Error('a')), reasonFrom('b'), reasonFrom(undefined)]).toEqual([
    'a',
    'b',
    'undefined',
  ]);
});
