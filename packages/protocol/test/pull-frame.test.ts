import fc from 'fast-check';
import { expect, test } from 'vitest';
import { floatsAt, sequenceFrom, wordsAt } from '../src/bytes.ts';
import { errorTable, isMillraceError } from '../src/errors.ts';
import {
  errorFromRefusal,
  type FrameKind,
  frameHeaderBytes,
  frameKinds,
  packedFrame,
  packedValueOf,
  pullFrameBytes,
  readFrameHeader,
  rowsFrameBytes,
  rowsFrameLayout,
  writeApplied,
  writeFrameHeader,
} from '../src/pull-frame.ts';
import { eachFlip, expectCode, expectNothingBut } from './damage.ts';
import { golden, toHex } from './golden.ts';

const map = {
  model: 'ads',
  epoch: 5,
  shards: ['a', 'b'],
  owners: [
    [0, 1],
    [1, 0],
  ],
};

test.each([
  {
    name: 'hello',
    kind: frameKinds.hello,
    requestId: 0,
    epoch: 0,
    value: { cluster: 'main', role: 'inference' },
  },
  {
    name: 'welcome',
    kind: frameKinds.welcome,
    requestId: 0,
    epoch: 0,
    value: { cluster: 'main', shard: 'shard-1' },
  },
  { name: 'inspect', kind: frameKinds.inspect, requestId: 10, epoch: 4, value: { model: 'ads' } },
  {
    name: 'refusal',
    kind: frameKinds.refusal,
    requestId: 9,
    epoch: 5,
    value: { code: 'MILL_MAP_STALE', message: 'not here', map },
  },
])('pull frame: $name is the golden one, both ways', ({ name, kind, requestId, epoch, value }) => {
  const bytes = golden(name);
  expect(toHex(packedFrame(kind, { requestId, epoch }, value))).toBe(toHex(bytes));
  const header = readFrameHeader(new DataView(bytes.buffer), 0);
  expect(header).toEqual({ bytes: bytes.length, kind, requestId, epoch });
  expect(packedValueOf(bytes)).toEqual(value);
});

test('pull frame: a pull is the golden one, both ways', () => {
  const keys = [0, 0, 0x01234567, 0x89abcdef, 0xffffffff, 1];
  const bytes = new Uint8Array(pullFrameBytes(3));
  const header = { bytes: bytes.length, kind: frameKinds.pull, requestId: 9, epoch: 4 };
  writeFrameHeader(new DataView(bytes.buffer), 0, header);
  wordsAt(bytes, frameHeaderBytes, 8).set([0xcafe0001, 3, ...keys]);
  expect(toHex(bytes)).toBe(toHex(golden('pull')));
  expect(readFrameHeader(new DataView(golden('pull').buffer), 0)).toEqual(header);
});

test('pull frame: rows are the golden ones, both ways', () => {
  const options = { count: 3, dim: 2, partitions: 2 };
  const bytes = new Uint8Array(rowsFrameBytes(options));
  const view = new DataView(bytes.buffer);
  writeFrameHeader(view, 0, { bytes: bytes.length, kind: frameKinds.rows, requestId: 9, epoch: 4 });
  wordsAt(bytes, rowsFrameLayout.countAt, 4).set([3, 2, 2, 0]);
  floatsAt(bytes, rowsFrameLayout.rowsAt, 6).set([0.5, -0.25, 1.5, 0, 0, -2]);
  const appliedAt = rowsFrameLayout.rowsAt + 4 * options.count * options.dim;
  writeApplied(view, appliedAt, 2, 41);
  writeApplied(view, appliedAt + 16, 63, 2 ** 32 + 5);
  expect(toHex(bytes)).toBe(toHex(golden('rows')));

  const read = golden('rows');
  expect([...wordsAt(read, rowsFrameLayout.countAt, 3)]).toEqual([3, 2, 2]);
  expect([...floatsAt(read, rowsFrameLayout.rowsAt, 6)]).toEqual([0.5, -0.25, 1.5, 0, 0, -2]);
  const [partition, , low, high] = wordsAt(read, appliedAt + 16, 4);
  expect([partition, sequenceFrom(low, high)]).toEqual([63, 2 ** 32 + 5]);
});

test('pull frame: a header is read as it was written, at any place (property)', () => {
  const anyHeader = fc.record({
    bytes: fc.integer({ min: 4, max: 4_194_304 }).map((words) => 4 * words),
    kind: fc.integer({ min: 1, max: 7 }) as fc.Arbitrary<FrameKind>,
    requestId: fc.nat(2 ** 32 - 1),
    epoch: fc.nat(2 ** 32 - 1),
  });
  fc.assert(
    fc.property(anyHeader, fc.nat(50), (header, at) => {
      const view = new DataView(new ArrayBuffer(at + frameHeaderBytes));
      writeFrameHeader(view, at, header);
      expect(readFrameHeader(view, at)).toEqual(header);
    }),
  );
});

test('pull frame: a value of any length comes back, whatever padding it needs (property)', () => {
  // The last property ends the bytes with zeros, which must not be taken for padding, nor padding for zeros.
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.nat(3), (text, zeros) => {
      const value = { text, end: new Uint8Array(zeros) };
      const frame = packedFrame(frameKinds.report, { requestId: 1, epoch: 2 }, value);
      expect(frame.length % 4).toBe(0);
      const read = packedValueOf(frame);
      expect([read.text, [...(read.end as Uint8Array)]]).toEqual([text, [...value.end]]);
    }),
  );
});

test('pull frame: a body that is no padded map or list is MILL_FRAME_INVALID', () => {
  const header = [...golden('hello').subarray(0, frameHeaderBytes)];
  for (const body of [[], [5, 0, 0, 0], [0xc1, 0, 0, 0], [0x80, 1, 0, 0], [0x80, 0, 0, 0, 0, 0, 0, 0]]) {
    expectCode('MILL_FRAME_INVALID', () => packedValueOf(Uint8Array.of(...header, ...body)));
  }
  expectCode('MILL_FRAME_INVALID', () => packedValueOf(new Uint8Array(0)));
});

test('pull frame: damaged and random bodies are read as something or MILL_FRAME_INVALID (property)', () => {
  const look = (frame: Uint8Array) => {
    expectNothingBut(['MILL_FRAME_INVALID'], () => errorFromRefusal(packedValueOf(frame)).retry);
  };
  eachFlip(golden('refusal'), [1, 2, 4, 8, 16, 32, 64, 128, 255], look);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), look), { numRuns: 300 });
});

test('refusal: stands for the error of its code, with the map', () => {
  const error = errorFromRefusal({ code: 'MILL_MAP_STALE', message: 'not here', map });
  expect(isMillraceError(error, 'MILL_MAP_STALE')).toBe(true);
  expect([error.message, error.retry, error.details]).toEqual(['not here', 'refresh-map', { map }]);
});

test('refusal: a code that the table does not have is MILL_INTERNAL', () => {
  // Names that every object inherits are not codes.
  for (const code of ['MILL_FROM_THE_FUTURE', 'toString', 'constructor', '__proto__', 5, undefined]) {
    const error = errorFromRefusal({ code, message: 'x' });
    expect([error.code, error.retry]).toEqual(['MILL_INTERNAL', errorTable.MILL_INTERNAL.retry]);
  }
});

test('refusal: a malformed map or message is left out', () => {
  for (const broken of [5, { ...map, owners: [[2]] }, { ...map, shards: [1, 2] }, {}]) {
    expect(errorFromRefusal({ code: 'MILL_MAP_STALE', message: 'x', map: broken }).details).toBeUndefined();
  }
  const text = errorFromRefusal({ code: 'MILL_MAP_STALE', message: { toString: 1, valueOf: 1 } }).message;
  expect(text).toBe('refused without a message');
});
