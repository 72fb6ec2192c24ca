/**
 * The safetensors format: many arrays in one file.
 *
 *   offset  size
 *   0       8     length n of the header, uint64 little-endian
 *   8       n     JSON: name → { dtype, shape, data_offsets: [begin, end] }, padded with spaces to a multiple of 8
 *   8 + n   …     numbers, C order, each array at its offsets from here; nothing between them
 *
 * Source: github.com/huggingface/safetensors, README.
 */
import { MillraceError } from '@millrace/protocol';

export type TensorType = 'U64' | 'F32' | 'F64';

export interface Tensor {
  readonly type: TensorType;
  readonly shape: readonly number[];
  /** Where its numbers begin and end in the file. */
  readonly begin: number;
  readonly end: number;
}

/** The format's own limit is 100 MB; a header of a thousand tables takes a hundredth of this. */
export const tensorHeaderBytesMax = 16 * 1024 * 1024;

const bytesOfTensor: Readonly<Record<string, number>> = { U64: 8, F32: 4, F64: 8 };

/** Header of a file of these arrays, in this order. */
export function tensorHeader(
  tensors: readonly { readonly name: string; readonly type: TensorType; readonly shape: readonly number[] }[],
): Uint8Array {
  const entries: Record<string, unknown> = {};
  let at = 0;
  for (const { name, type, shape } of tensors) {
    const end = at + bytesOfTensor[type] * shape.reduce((product, size) => product * size, 1);
    entries[name] = { dtype: type, shape, data_offsets: [at, end] };
    at = end;
  }
  const json = Buffer.from(JSON.stringify(entries), 'utf8');
  const length = (json.length + 7) & ~7;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

/** Length of the header that the first 8 bytes tell. @throws MILL_FILE_INVALID */
export function tensorHeaderLength(path: string, start: Uint8Array): number {
  if (start.length < 8) throw invalid(path, 'the length of its header', `${start.length} bytes`);
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > tensorHeaderBytesMax)
    throw invalid(path, `a header of at most ${tensorHeaderBytesMax} bytes`, `${length}`);
  return length;
}

/**
 * Arrays by name.
 * @param json the header without its length.  @param fileBytes length of the file.
 * @throws MILL_FILE_INVALID
 */
export function readTensors(path: string, json: Uint8Array, fileBytes: number): ReadonlyMap<string, Tensor> {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(json).toString('utf8'));
  } catch {
    throw invalid(path, 'a header of JSON', 'something else');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw invalid(path, 'a header of names', 'something else');
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
    const bytes = bytesOfTensor[String(dtype)];
    if (bytes === undefined) throw invalid(path, `U64, F32 or F64 as "${name}"`, String(dtype));
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2)
      throw invalid(path, `shape and offsets of "${name}"`, JSON.stringify(entry));
    const [begin, end] = offsets.map((offset) => 8 + json.length + offset);
    const wanted = bytes * shape.reduce((product, size) => product * size, 1);
    if (end - begin !== wanted) throw invalid(path, `${wanted} bytes of "${name}"`, `${end - begin}`);
    if (end > fileBytes) throw invalid(path, `"${name}" whole`, `a file that ends at byte ${fileBytes}`);
    tensors.set(name, { type: dtype as TensorType, shape, begin, end });
  }
  return tensors;
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function invalid(path: string, wanted: string, found: string): MillraceError {
  return new MillraceError(
    'MILL_FILE_INVALID',
    `cannot read "${path}" as safetensors: wanted ${wanted}, found ${found}`,
  );
}
