export { floatFromHalf, halfFrom, halfMax, roundHalfEven } from './float16.ts';
export { type FloatFormat, floatFormats, packFloats, unpackFloats } from './packed-floats.ts';
export {
  createPackedRows,
  type PackedRows,
  packedBytes,
  packRow,
  reservePacked,
  unpackRow,
  unpackRows,
} from './packed-rows.ts';
export { type PackedFormat, packedFormats, type RowShape, rowShape } from './row-format.ts';
