/**
 * The datatypes of the Open Inference Protocol and their bytes: little-endian, row-major, no padding.
 *
 *   BOOL                one byte, 0 or 1
 *   INT8 … UINT64       two's complement or unsigned
 *   FP16, FP32, FP64    IEEE 754
 *   BYTES               uint32 length, then that many bytes; here always UTF-8 text
 */

/** Integers of 64 bits beyond ±(2^53 − 1) are decimal text, so that no id loses digits. */
export type TensorValue = string | number | boolean;

/** A datatype whose elements all have one size. */
export interface FixedDatatype {
  readonly bytes: number;
  readonly kind: 'bool' | 'integer' | 'float';
  /** Bounds of an integer, both included. */
  readonly min: bigint;
  readonly max: bigint;
  read(view: DataView, at: number): TensorValue;
  write(view: DataView, at: number, value: TensorValue): void;
}

type Read = (view: DataView, at: number) => TensorValue;
type Write = (view: DataView, at: number, value: TensorValue) => void;

export const fixedDatatypes = {
  BOOL: {
    bytes: 1,
    kind: 'bool',
    min: 0n,
    max: 1n,
    read: (view, at) => view.getUint8(at) !== 0,
    write: (view, at, value) => view.setUint8(at, value === true || value === 1 ? 1 : 0),
  },
  INT8: signed(
    1,
    (view, at) => view.getInt8(at),
    (view, at, value) => view.setInt8(at, Number(value)),
  ),
  INT16: signed(
    2,
    (view, at) => view.getInt16(at, true),
    (view, at, value) => view.setInt16(at, Number(value), true),
  ),
  INT32: signed(
    4,
    (view, at) => view.getInt32(at, true),
    (view, at, value) => view.setInt32(at, Number(value), true),
  ),
  INT64: signed(
    8,
    (view, at) => exact(view.getBigInt64(at, true)),
    (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  ),
  UINT8: unsigned(
    1,
    (view, at) => view.getUint8(at),
    (view, at, value) => view.setUint8(at, Number(value)),
  ),
  UINT16: unsigned(
    2,
    (view, at) => view.getUint16(at, true),
    (view, at, value) => view.setUint16(at, Number(value), true),
  ),
  UINT32: unsigned(
    4,
    (view, at) => view.getUint32(at, true),
    (view, at, value) => view.setUint32(at, Number(value), true),
  ),
  UINT64: unsigned(
    8,
    (view, at) => exact(view.getBigUint64(at, true)),
    (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  ),
  FP16: float(
    2,
    (view, at) => doubleFromHalf(view.getUint16(at, true)),
    (view, at, value) => view.setUint16(at, halfFromDouble(Number(value)), true),
  ),
  FP32: float(
    4,
    (view, at) => view.getFloat32(at, true),
    (view, at, value) => view.setFloat32(at, Number(value), true),
  ),
  FP64: float(
    8,
    (view, at) => view.getFloat64(at, true),
    (view, at, value) => view.setFloat64(at, Number(value), true),
  ),
} as const satisfies Record<string, FixedDatatype>;

export type FixedName = keyof typeof fixedDatatypes;
export type Datatype = FixedName | 'BYTES';

export function isFixed(datatype: Datatype): datatype is FixedName {
  return datatype !== 'BYTES';
}

export function isDatatype(text: string): text is Datatype {
  return text === 'BYTES' || Object.hasOwn(fixedDatatypes, text);
}

/** The number where a double holds it, its decimal text otherwise. */
export function exact(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function signed(bytes: number, read: Read, write: Write): FixedDatatype {
  const half = 1n << BigInt(8 * bytes - 1);
  return { bytes, kind: 'integer', min: -half, max: half - 1n, read, write };
}

function unsigned(bytes: number, read: Read, write: Write): FixedDatatype {
  return { bytes, kind: 'integer', min: 0n, max: (1n << BigInt(8 * bytes)) - 1n, read, write };
}

function float(bytes: number, read: Read, write: Write): FixedDatatype {
  return { bytes, kind: 'float', min: 0n, max: 0n, read, write };
}

/** 1 bit sign, 5 bits exponent (bias 15), 10 bits fraction; Node 20 has no getFloat16. */
export function doubleFromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to the nearest half, ties to even; beyond 65,504 and its rounding it is infinite. */
export function halfFromDouble(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // Steps of 2^-24 below the smallest normal half, and of 2^(exponent − 10) above.
  const exponent = size < 2 ** -14 ? -14 : Math.min(15, Math.floor(Math.log2(size)));
  const steps = roundedToEven(size / 2 ** (exponent - 10));
  return sign | (exponent === -14 && steps < 1024 ? steps : ((exponent + 15) << 10) + (steps - 1024));
}

function roundedToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
