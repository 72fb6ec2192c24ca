export { type FloatFormat, packFloats, unpackFloats } from './packed-floats.ts';
export {
  createPackedRows,
  type PackedRows,
  packedBytes,
  packRow,
  reservePacked,
  unpackRow,
  unpackRows,
} from './packed-rows.ts';
export { type PackedFormat, packedFormats, type RowShape } from './row-format.ts';
