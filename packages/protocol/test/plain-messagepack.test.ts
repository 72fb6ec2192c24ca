import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { packed, unpacked } from '../src/packing.ts';
import { assertPlain, nestingMax } from '../src/plain-messagepack.ts';
import { fromHex } from './golden.ts';

const zeros = (count: number) => '00'.repeat(count);

/** One whole value for each first byte, from the specification; null where the type is refused. */
function exampleOf(head: number): string | null {
  const hex = head.toString(16).padStart(2, '0');
  if (head < 0x80 || head >= 0xe0) return hex;
  if (head < 0x90) return hex + zeros(2 * (head - 0x80));
  if (head < 0xa0) return hex + zeros(head - 0x90);
  if (head < 0xc0) return hex + zeros(head - 0xa0);
  const examples: Record<number, string> = {
    192: 'c0',
    194: 'c2',
    195: 'c3',
    196: 'c4 02 0000',
    197: `c5 0102 ${zeros(258)}`,
    198: `c6 00000003 ${zeros(3)}`,
    202: `ca ${zeros(4)}`,
    203: `cb ${zeros(8)}`,
    204: 'cc ff',
    205: 'cd ffff',
    206: 'ce ffffffff',
    207: 'cf ffffffffffffffff',
    208: 'd0 80',
    209: 'd1 8000',
    210: 'd2 80000000',
    211: 'd3 8000000000000000',
    217: 'd9 02 6161',
    218: `da 0101 ${'61'.repeat(257)}`,
    219: 'db 00000001 61',
    220: `dc 0002 ${zeros(2)}`,
    221: `dd 00000003 ${zeros(3)}`,
    222: `de 0002 ${zeros(4)}`,
    223: `df 00000001 ${zeros(2)}`,
  };
  return examples[head] ?? null;
}

test('plain MessagePack: takes exactly one value of each plain type, and none of the others', () => {
  const refused: string[] = [];
  for (let head = 0; head < 256; head += 1) {
    const example = exampleOf(head);
    if (example === null) {
      refused.push(head.toString(16));
      // Sixteen zeros complete any extension type.
      expect(() => assertPlain(fromHex(`${head.toString(16)}${zeros(17)}`))).toThrow('is not plain');
      continue;
    }
    const bytes = fromHex(example);
    assertPlain(bytes);
    expect(() => assertPlain(bytes.subarray(0, bytes.length - 1))).toThrow('MessagePack');
    expect(() => assertPlain(Uint8Array.of(...bytes, 0))).toThrow('MessagePack');
  }
  expect(refused).toEqual(['c1', 'c7', 'c8', 'c9', 'd4', 'd5', 'd6', 'd7', 'd8']);
});

test.each([
  { what: 'a bigint', hex: 'd44201', reader: 'bigint' },
  { what: 'a date', hex: 'd6ff00000000', reader: 'object' },
  { what: 'an array that contains itself', hex: 'd66900000001 91 d67000000001', reader: 'object' },
  { what: 'undefined', hex: 'd40000', reader: 'undefined' },
])('plain MessagePack: $what, which the decoder alone would make, is refused', ({ hex, reader }) => {
  const bytes = fromHex(hex);
  expect(typeof new Packr({ useRecords: false, moreTypes: false }).unpack(bytes)).toBe(reader);
  expect(() => unpacked(bytes)).toThrow('is not plain');
});

test('plain MessagePack: nesting is allowed up to its limit', () => {
  const nested = (depth: number) => Uint8Array.of(...new Array<number>(depth).fill(0x91), 5);
  assertPlain(nested(nestingMax));
  expect(() => assertPlain(nested(nestingMax + 1))).toThrow('nested deeper');
  // Deep enough to overflow the stack of a recursive reader.
  expect(() => assertPlain(new Uint8Array(1_000_000).fill(0x91))).toThrow('nested deeper');
});

test('plain MessagePack: a claimed length of 4 GiB costs nothing', () => {
  for (const hex of ['c6ffffffff', 'dbffffffff00', 'ddffffffff00', 'dfffffffff0000']) {
    expect(() => assertPlain(fromHex(hex))).toThrow('MessagePack');
  }
});

test('plain MessagePack: takes all that packed makes of plain values, and so does the decoder (property)', () => {
  const anyPlain = fc.oneof(
    fc.jsonValue({ maxDepth: 5 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(fc.integer(), { minLength: 14, maxLength: 20 }),
    fc.string({ minLength: 28, maxLength: 300, unit: 'binary' }),
  );
  fc.assert(
    fc.property(anyPlain, (value) => {
      const bytes = packed(value);
      assertPlain(bytes);
      unpacked(bytes);
    }),
    { numRuns: 100 },
  );
});

test('plain MessagePack: what it takes is what an independent count of the bytes takes (property)', () => {
  // Bytes that are mostly small containers and numbers, so that many are whole values.
  const anyByte = fc.constantFrom(
    0,
    1,
    0x80,
    0x81,
    0x90,
    0x91,
    0x92,
    0xa0,
    0xa1,
    0xc0,
    0xc4,
    0xcc,
    0xd0,
    0xdc,
    0xd4,
  );
  fc.assert(
    fc.property(fc.array(anyByte, { minLength: 1, maxLength: 12 }), (numbers) => {
      const bytes = Uint8Array.from(numbers);
      const whole = endOfValue(bytes, 0) === bytes.length;
      if (whole) assertPlain(bytes);
      else expect(() => assertPlain(bytes)).toThrow('MessagePack');
    }),
    { numRuns: 2_000 },
  );
});

/** The plain recursive twin over the bytes used above: end of the value at `at`, NaN when there is none. */
function endOfValue(bytes: Uint8Array, at: number): number {
  const head = bytes[at];
  if (head === undefined || head === 0xd4) return Number.NaN;
  const skip = (count: number, from: number): number => {
    let end = from;
    for (let i = 0; i < count && !Number.isNaN(end); i += 1) end = endOfValue(bytes, end);
    return end;
  };
  const within = (end: number) => (end <= bytes.length ? end : Number.NaN);
  switch (head) {
    case 0xa1:
    case 0xcc:
    case 0xd0:
      return within(at + 2);
    case 0xc4:
      return at + 1 < bytes.length ? within(at + 2 + bytes[at + 1]) : Number.NaN;
    case 0xdc:
      return at + 2 < bytes.length ? skip(256 * bytes[at + 1] + bytes[at + 2], at + 3) : Number.NaN;
    case 0x81:
      return skip(2, at + 1);
    case 0x91:
      return skip(1, at + 1);
    case 0x92:
      return skip(2, at + 1);
    default:
      return at + 1;
  }
}
