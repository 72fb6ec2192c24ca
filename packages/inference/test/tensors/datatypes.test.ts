import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Datatype,
  doubleFromHalf,
  fixedDatatypes,
  halfFromDouble,
  isFixed,
  type TensorValue,
} from '../../src/tensors/datatypes.ts';
import { bytesFromTensor, tensorFromBytes } from '../../src/tensors/raw-tensor.ts';
import { tensorHead, tensorOf } from '../../src/tensors/tensor.ts';

/** Values and their bytes, written by hand: little-endian, row-major. */
const cases: readonly (readonly [Datatype, readonly TensorValue[], string])[] = [
  ['BOOL', [true, false], '01 00'],
  ['INT8', [-1, 127], 'ff 7f'],
  ['INT16', [-2, 258], 'fe ff 02 01'],
  ['INT32', [-2, 16_909_060], 'fe ff ff ff 04 03 02 01'],
  ['INT64', [-2, '9007199254740993'], 'fe ff ff ff ff ff ff ff 01 00 00 00 00 00 20 00'],
  ['UINT8', [0, 255], '00 ff'],
  ['UINT16', [1, 65_535], '01 00 ff ff'],
  ['UINT32', [1, 4_294_967_295], '01 00 00 00 ff ff ff ff'],
  ['UINT64', [1, '18446744073709551615'], '01 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff'],
  ['FP16', [1.5, -0.25], '00 3e 00 b4'],
  ['FP32', [1.5, -2], '00 00 c0 3f 00 00 00 c0'],
  ['FP64', [1.5, -2], '00 00 00 00 00 00 f8 3f 00 00 00 00 00 00 00 c0'],
  ['BYTES', ['ab', 'é'], '02 00 00 00 61 62 02 00 00 00 c3 a9'],
];
const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

test('tensors: every datatype is among the cases', () => {
  expect(cases.map(([datatype]) => datatype).sort()).toEqual(
    [...Object.keys(fixedDatatypes), 'BYTES'].sort(),
  );
});

test.each(cases)('tensors: %s: its bytes are read and written', (datatype, values, hex) => {
  const head = tensorHead('x', datatype, [2]);
  expect(tensorFromBytes(head, bytesOf(hex)).values).toEqual(values);
  expect(bytesFromTensor({ ...head, values }).toString('hex')).toBe(bytesOf(hex).toString('hex'));
  expect(tensorOf(head, values).values).toEqual(values);
});

test.each(cases)('tensors: %s: a length that does not fit the shape is refused', (datatype, _values, hex) => {
  const bytes = bytesOf(hex);
  const refused = {
    code: 'MILL_BAD_REQUEST',
    message: expect.stringMatching(/^inputs\.x: wanted .*, found /),
  };
  for (const length of [0, 1, bytes.byteLength - 1]) {
    const short = () => tensorFromBytes(tensorHead('x', datatype, [2]), bytes.subarray(0, length));
    expect(short).toThrow(expect.objectContaining(refused));
  }
  const long = () =>
    tensorFromBytes(tensorHead('x', datatype, [2]), Buffer.concat([bytes, Buffer.from([0])]));
  expect(long).toThrow(expect.objectContaining(refused));
  const other = () => tensorFromBytes(tensorHead('x', datatype, [3]), bytes);
  expect(other).toThrow(expect.objectContaining(refused));
});

test('tensors: BYTES: an element that claims more than there is, and bytes that are not UTF-8, are refused', () => {
  const head = tensorHead('x', 'BYTES', [1]);
  expect(() => tensorFromBytes(head, bytesOf('ff ff ff ff 61'))).toThrow(/found 5 left/);
  expect(() => tensorFromBytes(head, bytesOf('01 00 00 00 ff'))).toThrow(/wanted UTF-8 text/);
});

test('tensors: what is written is read back', () => {
  const names = Object.keys(fixedDatatypes).filter(
    (name) => name !== 'FP16',
  ) as (keyof typeof fixedDatatypes)[];
  const valued = fc.constantFrom(...names).chain((datatype) => {
    const { kind, min, max } = fixedDatatypes[datatype];
    const value: fc.Arbitrary<TensorValue> =
      kind === 'bool'
        ? fc.boolean()
        : kind === 'float'
          ? fc.float({ noNaN: true })
          : fc.bigInt({ min, max }).map((n) => (Number.isSafeInteger(Number(n)) ? Number(n) : String(n)));
    return fc.tuple(fc.constant(datatype), fc.array(value));
  });
  fc.assert(
    fc.property(valued, ([datatype, values]) => {
      const head = tensorHead('x', datatype, [values.length]);
      expect(isFixed(datatype)).toBe(true);
      expect(tensorFromBytes(head, bytesFromTensor({ ...head, values })).values).toEqual(values);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (values) => {
      const head = tensorHead('x', 'BYTES', [values.length]);
      expect(tensorFromBytes(head, bytesFromTensor({ ...head, values })).values).toEqual(values);
    }),
  );
});

test('tensors: FP16: every half comes back, and a double goes to the nearest one', () => {
  for (let bits = 0; bits < 65_536; bits += 1) {
    const value = doubleFromHalf(bits);
    if (!Number.isNaN(value)) expect([bits, halfFromDouble(value)]).toEqual([bits, bits]);
  }
  // Halfway between two halves it is the even one; beyond the largest there is infinity.
  const step = 2 ** -10;
  expect(doubleFromHalf(halfFromDouble(1 + step / 2))).toBe(1);
  expect(doubleFromHalf(halfFromDouble(1 + (3 * step) / 2))).toBe(1 + 2 * step);
  expect(doubleFromHalf(halfFromDouble(65_519))).toBe(65_504);
  expect(doubleFromHalf(halfFromDouble(65_520))).toBe(Number.POSITIVE_INFINITY);
  expect(doubleFromHalf(halfFromDouble(2 ** -25))).toBe(0);
  expect(doubleFromHalf(halfFromDouble(Number.NaN))).toBeNaN();
});
