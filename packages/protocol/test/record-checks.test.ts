/** Heads, leases, batch records and partition maps: what other processes wrote is read, and nothing else. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  comparePlaces,
  decodeBatchRecord,
  type ExamplePlace,
  encodeBatchRecord,
} from '../src/batch-record.ts';
import { decodeHeads, encodeHeads } from '../src/heads.ts';
import { decodeShardLease, encodeShardLease } from '../src/lease.ts';
import { jsonBytes, packed } from '../src/packing.ts';
import { decodePartitionMap, encodePartitionMap } from '../src/partition-map.ts';
import { eachFlip, eachTruncation, expectCode, expectNothingBut } from './damage.ts';
import { golden, toHex } from './golden.ts';
import { batchRecord, heads, lease, partitionMap } from './records.ts';

interface Case {
  readonly name: string;
  readonly value: object;
  readonly bytes: Uint8Array;
  readonly decode: (bytes: Uint8Array) => object;
  /** Its bytes of any plain value. */
  readonly write: (value: unknown) => Uint8Array;
}

const json = jsonBytes;
const cases: readonly Case[] = [
  { name: 'heads', value: heads, bytes: encodeHeads(heads), decode: decodeHeads, write: packed },
  { name: 'lease', value: lease, bytes: encodeShardLease(lease), decode: decodeShardLease, write: json },
  {
    name: 'batch record',
    value: batchRecord,
    bytes: encodeBatchRecord(batchRecord),
    decode: decodeBatchRecord,
    write: json,
  },
  {
    name: 'partition map',
    value: partitionMap,
    bytes: encodePartitionMap(partitionMap),
    decode: decodePartitionMap,
    write: json,
  },
];

/** Every copy of `value` in which one property, at any depth, is replaced. */
function* variations(value: unknown, replacement: unknown): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    const copyWith = (other: unknown) =>
      Array.isArray(value)
        ? value.map((item: unknown, i) => (String(i) === name ? other : item))
        : { ...value, [name]: other };
    yield copyWith(replacement);
    for (const variation of variations(part, replacement)) yield copyWith(variation);
  }
}

test('heads: encode to the golden bytes', () => {
  expect(toHex(encodeHeads(heads))).toBe(toHex(golden('heads-counted')));
  expect(decodeHeads(golden('heads-counted'))).toEqual(heads);
});

test('heads: those of an older updater are read, with nothing of what it did not count', () => {
  const absent = {
    earlyOutcomes: 0,
    lateOutcomes: 0,
    ignoredOutcomes: 0,
    duplicateImpressions: 0,
    droppedImpressions: 0,
    sampledOut: 0,
  };
  expect(decodeHeads(golden('heads'))).toEqual({ ...heads, counters: { ...heads.counters, ...absent } });
});

test.each(cases)('$name: decoding gives back what was encoded', ({ bytes, decode, value }) => {
  expect(decode(bytes)).toEqual(value);
});

test.each(cases)('$name: a later version may add properties', ({ decode, value, write }) => {
  expect(decode(write({ ...value, more: 1 }))).toEqual({ ...value, more: 1 });
});

test.each(cases)('$name: a property that is absent or of another type is refused', (example) => {
  const { decode, value, write } = example;
  let tried = 0;
  // Lists in a list in a list are right for no property, nor for any part of one.
  for (const variation of variations(value, [[[]]])) {
    expectCode('MILL_RECORD_INVALID', () => decode(write(variation)));
    tried += 1;
  }
  expect(tried).toBeGreaterThanOrEqual(Object.keys(value).length);
  for (const name of Object.keys(value)) {
    const { [name]: _, ...rest } = value as Record<string, unknown>;
    expectCode('MILL_RECORD_INVALID', () => decode(write(rest)));
  }
});

test.each(cases)('$name: damage and random values give nothing but MILL_RECORD_INVALID', (example) => {
  const { bytes, decode, write } = example;
  const look = (message: Uint8Array) => expectNothingBut(['MILL_RECORD_INVALID'], () => decode(message));
  eachFlip(bytes, [1, 16, 128], look);
  eachTruncation(bytes, look);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), look));
  fc.assert(fc.property(fc.jsonValue(), (value) => look(write(value))));
});

test('partition map: an owner that is not among the shards is refused', () => {
  for (const owners of [[[2]], [[-1]], [[0.5]], [['shard-1']], [0]]) {
    expectCode('MILL_RECORD_INVALID', () => decodePartitionMap(jsonBytes({ ...partitionMap, owners })));
  }
});

test('heads: a rejection of another code is refused', () => {
  const rejections = [{ ...heads.counters.rejections[0], code: 'MILL_OVERLOADED' }];
  const other = { ...heads, counters: { ...heads.counters, rejections } };
  expectCode('MILL_RECORD_INVALID', () => decodeHeads(packed(other)));
});

test('batch record: a place of two counts is refused', () => {
  expectCode('MILL_RECORD_INVALID', () => decodeBatchRecord(jsonBytes({ ...batchRecord, to: [12, 9] })));
});

test('places: stand in the order of completing event, impression, item', () => {
  const ascending: ExamplePlace[] = [
    [1, 9, 9],
    [2, 1, 5],
    [2, 3, 0],
    [2, 3, 1],
  ];
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) expect(Math.sign(comparePlaces(a, b))).toBe(Math.sign(i - j));
  }
});

test('lease: partitions whose history is gone are counted, where there are any', () => {
  const withGone = (gone: unknown) =>
    Buffer.from(JSON.stringify({ ...lease, models: lease.models.map((model) => ({ ...model, gone })) }));
  expect(decodeShardLease(withGone(3)).models[0].gone).toBe(3);
  expect(decodeShardLease(withGone(undefined)).models[0].gone).toBeUndefined();
  for (const wrong of [-1, 0.5, '3', null])
    expect(() => decodeShardLease(withGone(wrong))).toThrow('gone: a count');
});
