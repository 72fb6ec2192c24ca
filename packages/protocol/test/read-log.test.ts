import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeReadLog, encodePlacedReads, encodeReadLog, readPlaceOf } from '../src/read-log.ts';

test('read log: the layout, by hand', () => {
  const reads = [
    { table: 1, partition: 2, sequence: 300 },
    { table: 0, partition: 5, sequence: 299 },
    { table: 0, partition: 5, sequence: 100 },
  ];
  const bytes = encodeReadLog(reads);
  // base 300 = 2·128 + 44; place 5, 200 below = 1·128 + 72; the same place, 1 below; place 4,098, 4,093 on = 31·128 + 125.
  expect([...bytes]).toEqual([0x80 | 44, 2, 5, 0x80 | 72, 1, 0, 1, 0x80 | 125, 31, 0]);
  expect(decodeReadLog(bytes)).toEqual([reads[2], reads[1], reads[0]]);
});

test('read log: no reads are one byte', () => {
  expect([...encodeReadLog([])]).toEqual([0]);
  expect(decodeReadLog(Uint8Array.of(0))).toEqual([]);
});

test('read log: whatever is written is read again (property)', () => {
  const read = fc.record({
    table: fc.nat(63),
    partition: fc.nat(4_095),
    sequence: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  });
  fc.assert(
    fc.property(fc.array(read, { maxLength: 300 }), (reads) => {
      const placed = [...reads].sort(
        (a, b) => a.table - b.table || a.partition - b.partition || a.sequence - b.sequence,
      );
      expect(decodeReadLog(encodeReadLog(reads))).toEqual(placed);
      const places = Uint32Array.from(placed, ({ table, partition }) => readPlaceOf(table, partition));
      const sequences = Float64Array.from(placed, ({ sequence }) => sequence);
      expect(encodePlacedReads(places, sequences, placed.length)).toEqual(encodeReadLog(reads));
    }),
  );
});

test('read log: what is returned stays as it is when the next one is written', () => {
  const first = encodeReadLog([{ table: 0, partition: 1, sequence: 2 }]);
  encodeReadLog([{ table: 0, partition: 9, sequence: 9 }]);
  expect([...first]).toEqual([2, 1, 0]);
});

test.each([
  ['nothing at all', []],
  ['an end amid a number', [5, 0x80]],
  ['a read without its sequence', [5, 1]],
  ['a sequence below 0', [5, 1, 6]],
  ['a number of 2^53 or more', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
])('read log: refuses %s', (_, bytes) => {
  expect(() => decodeReadLog(Uint8Array.from(bytes))).toThrowError(
    expect.objectContaining({ code: 'MILL_EVENT_INVALID' }),
  );
});
