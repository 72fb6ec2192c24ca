/** Raw bytes of tensors, as datatypes.ts lays them out: the binary extension over HTTP, raw contents over gRPC. */
import { isUtf8 } from 'node:buffer';
import { refusedPart } from '../refused-part.ts';
import { fixedDatatypes, isFixed, type TensorValue } from './datatypes.ts';
import { pathOf, shownShape, type Tensor, type TensorHead, valueCount } from './tensor.ts';

const lengthBytes = 4;

/**
 * Reads a tensor's bytes. Their length is checked against the shape before anything is read.
 * @throws MILL_BAD_REQUEST
 */
export function tensorFromBytes(head: TensorHead, bytes: Uint8Array): Tensor {
  const { name, datatype, shape } = head;
  const count = valueCount(shape);
  if (!isFixed(datatype)) return { ...head, values: textsFrom(head, count, bytes) };
  const fixed = fixedDatatypes[datatype];
  if (bytes.byteLength !== count * fixed.bytes) {
    const wanted = `${count * fixed.bytes} bytes for ${datatype} ${shownShape(shape)}`;
    throw refusedPart(pathOf(name), wanted, String(bytes.byteLength));
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = Array.from({ length: count }, (_, i) => fixed.read(view, i * fixed.bytes));
  return { ...head, values };
}

function textsFrom({ name, shape }: TensorHead, count: number, bytes: Uint8Array): readonly string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < count * lengthBytes) {
    const wanted = `at least ${count * lengthBytes} bytes for BYTES ${shownShape(shape)}`;
    throw refusedPart(pathOf(name), wanted, String(bytes.byteLength));
  }
  const texts: string[] = [];
  let at = 0;
  while (texts.length < count) {
    const left = bytes.byteLength - at;
    const length = left < lengthBytes ? 0 : view.getUint32(at, true);
    if (left < lengthBytes + length) {
      const wanted = `${lengthBytes + length} bytes for element ${texts.length}`;
      throw refusedPart(pathOf(name), wanted, `${left} left`);
    }
    const from = at + lengthBytes;
    at = from + length;
    texts.push(textFrom(name, buffer.subarray(from, at)));
  }
  if (at !== bytes.byteLength)
    throw refusedPart(pathOf(name), `${at} bytes for BYTES ${shownShape(shape)}`, String(bytes.byteLength));
  return texts;
}

/** @throws MILL_BAD_REQUEST when the bytes are not UTF-8: two ids that differ must never become one. */
export function textFrom(name: string, bytes: Buffer): string {
  if (!isUtf8(bytes)) throw refusedPart(pathOf(name), 'UTF-8 text', 'other bytes');
  return bytes.toString('utf8');
}

/** The bytes of a tensor; the reverse of tensorFromBytes. */
export function bytesFromTensor({ datatype, values }: Tensor): Buffer {
  if (!isFixed(datatype)) return Buffer.concat(values.flatMap(lengthAndText));
  const fixed = fixedDatatypes[datatype];
  const bytes = Buffer.alloc(values.length * fixed.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [i, value] of values.entries()) fixed.write(view, i * fixed.bytes, value);
  return bytes;
}

function lengthAndText(value: TensorValue): readonly Buffer[] {
  const text = Buffer.from(String(value), 'utf8');
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(text.byteLength);
  return [length, text];
}
