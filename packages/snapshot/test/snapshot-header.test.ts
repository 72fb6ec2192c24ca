import { sealEnvelope } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { decodeHeader, encodeHeader, type SnapshotHeader } from '../src/snapshot-header.ts';

const header: SnapshotHeader = {
  model: 'ads',
  fingerprint: 77,
  fold: 3,
  sequence: 2 ** 40,
  base: 12,
  producers: [
    ['u', 9],
    ['v', 2 ** 33],
  ],
  counts: { applied: 3, duplicates: 0, rejected: 1, brokenRows: 0 },
  tables: [
    {
      name: 'users',
      dim: 4,
      stateFloats: 5,
      rows: 2,
      rowsAfter: 9,
      gone: 0,
      admissionWords: 0,
      sweep: { at: 0, rows: 0 },
    },
    {
      name: 'bias',
      dim: 1,
      stateFloats: 0,
      rows: 0,
      rowsAfter: 0,
      gone: 0,
      admissionWords: 0,
      sweep: { at: 0, rows: 0 },
    },
  ],
  floats: [0, 0],
  eventTimeMs: 0,
  requires: [],
};

const whole = {
  ...header,
  tables: [['users', 4, 5, 2, 9]],
  requires: [],
};

function sealed(changes: Record<string, unknown>, body: readonly ArrayBufferView[] = []): Uint8Array {
  return sealEnvelope('MSH1', { ...whole, ...changes }, body);
}

test('snapshot header: comes back as it was', () => {
  expect(decodeHeader(encodeHeader(header))).toEqual(header);
  const dense: SnapshotHeader = { ...header, fold: 'dense', base: null, tables: [], floats: [5, 11] };
  expect(decodeHeader(encodeHeader(dense))).toEqual(dense);
});

test('snapshot header: what comes and goes comes back as it was', () => {
  const [users, bias] = header.tables;
  const lively: SnapshotHeader = {
    ...header,
    tables: [{ ...users, gone: 3, admissionWords: 70, sweep: { at: 2 ** 32 - 1, rows: 12 } }, bias],
    eventTimeMs: 1_700_000_000_000,
    requires: ['admission', 'expiry'],
  };
  expect(decodeHeader(encodeHeader(lively))).toEqual(lively);
});

test('snapshot header: properties of a later release are passed over, unless it says that they matter', () => {
  const later = { admissionCounters: { filter: [1, 2, 3] } };
  expect(decodeHeader(sealed(later))).toMatchObject({ fold: 3, sequence: 2 ** 40 });
  expect(() => decodeHeader(sealed({ ...later, requires: ['admission-counters'] }))).toThrow(
    expect.objectContaining({
      code: 'MILL_SNAPSHOT_INVALID',
      message: expect.stringContaining('found admission-counters of a newer one'),
    }),
  );
});

test.each<{ what: string; changes: Record<string, unknown> }>([
  { what: 'a model that is no name', changes: { model: 7 } },
  { what: 'an event time that is text', changes: { eventTimeMs: 'now' } },
  { what: 'a sweep below zero', changes: { tables: [['users', 4, 5, 2, 9, 0, 0, -1, 0]] } },
  { what: 'no fingerprint', changes: { fingerprint: null } },
  { what: 'a fold of another kind', changes: { fold: 'sparse' } },
  { what: 'a negative fold', changes: { fold: -1 } },
  { what: 'a broken sequence', changes: { sequence: 1.5 } },
  { what: 'a sequence beyond what numbers hold', changes: { sequence: 2 ** 60 } },
  { what: 'itself as its base', changes: { base: 2 ** 40 } },
  { what: 'a later base', changes: { base: 2 ** 41 } },
  { what: 'producers without sequences', changes: { producers: [['u']] } },
  { what: 'producers that are no list', changes: { producers: { u: 9 } } },
  { what: 'counts that are no numbers', changes: { counts: { applied: '3' } } },
  { what: 'counts that are no map', changes: { counts: [3] } },
  { what: 'tables that are no list', changes: { tables: 'users' } },
  { what: 'a table of four parts', changes: { tables: [['users', 4, 5, 2]] } },
  { what: 'a table that is no list', changes: { tables: ['users'] } },
  { what: 'more rows than the table will have', changes: { tables: [['users', 4, 5, 10, 9]] } },
  { what: 'one number of floats', changes: { floats: [5] } },
  { what: 'nothing about what it requires', changes: { requires: null } },
])('snapshot header: $what is refused', ({ changes }) => {
  expect(() => decodeHeader(sealed(changes))).toThrow(
    expect.objectContaining({ code: 'MILL_SNAPSHOT_INVALID' }),
  );
});

test('snapshot header: with a body, of another kind, or no map, it is refused', () => {
  for (const block of [
    sealed({}, [Uint32Array.of(1)]),
    sealEnvelope('MSR1', whole, []),
    sealEnvelope('MSH1', [1, 2], []),
    sealEnvelope('MSH1', null, []),
  ])
    expect(() => decodeHeader(block)).toThrow(expect.objectContaining({ code: 'MILL_SNAPSHOT_INVALID' }));
});
