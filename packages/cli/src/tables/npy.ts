/**
 * The npy format of numpy (version 1.0): one array a file.
 *
 *   offset  size
 *   0       8     93 'NUMPY' 01 00
 *   8       2     length of the header, uint16 little-endian
 *   10      h     a Python dict in ASCII, padded with spaces and a newline: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }
 *   …             numbers, C order
 *
 * What is written here has a header of 128 bytes in all, whatever the shape. Source: numpy.lib.format.
 */
import { MillraceError } from '@millrace/protocol';

export type NpyType = '<u8' | '<f4' | '<f8';

export interface NpyHeader {
  readonly type: NpyType;
  readonly shape: readonly number[];
  /** Where the numbers begin. */
  readonly dataAt: number;
}

const magic = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);
const headerBytes = 128;
/** Longest header that is looked at; the shapes that are read here take far less. */
export const npyHeaderBytesMax = 4_096;

export const bytesOfType: Readonly<Record<NpyType, number>> = { '<u8': 8, '<f4': 4, '<f8': 8 };

/** @param shape rows, or rows and columns. */
export function npyHeader(type: NpyType, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const bytes = new Uint8Array(headerBytes).fill(0x20);
  bytes.set(magic);
  bytes.set([1, 0, headerBytes - 10, 0], 6);
  bytes.set(Buffer.from(dict, 'latin1'), 10);
  bytes[headerBytes - 1] = 0x0a;
  return bytes;
}

/**
 * Reads a header; `start` is the first npyHeaderBytesMax bytes of the file, or all of it.
 * @throws MILL_FILE_INVALID naming `path`.
 */
export function readNpyHeader(path: string, start: Uint8Array): NpyHeader {
  const invalid = (wanted: string, found: string) =>
    new MillraceError('MILL_FILE_INVALID', `cannot read "${path}" as npy: wanted ${wanted}, found ${found}`);
  if (start.length < 10 || !magic.every((byte, i) => start[i] === byte))
    throw invalid('its magic bytes', 'others');
  const view = new DataView(start.buffer, start.byteOffset, start.length);
  const isFirst = start[6] === 1;
  if (!isFirst && start.length < 12) throw invalid('a header', `${start.length} bytes`);
  const dictAt = isFirst ? 10 : 12;
  const dataAt = dictAt + (isFirst ? view.getUint16(8, true) : view.getUint32(8, true));
  if (dataAt > start.length) throw invalid('a whole header', `${start.length} bytes`);
  const dict = Buffer.from(start.subarray(dictAt, dataAt)).toString('latin1');
  const type = /'descr':\s*'([^']*)'/.exec(dict)?.[1];
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(dict)?.[1];
  if (type === undefined || shape === undefined || !/'fortran_order':\s*(True|False)/.test(dict))
    throw invalid('descr, fortran_order and shape', dict.trim());
  if (!(type in bytesOfType)) throw invalid('numbers of type <u8, <f4 or <f8', type);
  if (/'fortran_order':\s*True/.test(dict)) throw invalid('rows one after the other', 'Fortran order');
  const sizes = shape
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number);
  if (sizes.length < 1 || sizes.length > 2 || !sizes.every(Number.isSafeInteger))
    throw invalid('one or two dimensions', `(${shape})`);
  return { type: type as NpyType, shape: sizes, dataAt };
}
