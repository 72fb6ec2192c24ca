/** One part of a pull on the wire: its keys into a frame, its rows out of the answer. */
import { scatterRows } from '@millrace/core';
import {
  type Frame,
  floatsAt,
  frameKinds,
  MillraceError,
  pullFrameBytes,
  rowsFrameBytes,
  rowsFrameLayout,
  sequenceFrom,
  wordsAt,
  writeFrameHeader,
} from '@millrace/protocol';
import type { Places } from './pull-parts.ts';
import type { ReadFloor } from './read-floor.ts';
import { addReadMark, type PullRequest, type ReadMarks } from './row-source.ts';

export interface PullFrameInput {
  readonly request: PullRequest;
  readonly places: Places;
  readonly requestId: number;
  readonly epoch: number;
}

/** Writes a pull frame. @param frame  pullFrameBytes(places.count) bytes at a multiple of 4. */
export function writePull(frame: Uint8Array, { request, places, requestId, epoch }: PullFrameInput): void {
  const { list, from, count } = places;
  const { keys } = request;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  writeFrameHeader(view, 0, { bytes: frame.length, kind: frameKinds.pull, requestId, epoch });
  const head = pullFrameBytes(0);
  view.setUint32(head - 8, request.layout.tableId, true);
  view.setUint32(head - 4, count, true);
  const words = wordsAt(frame, head, 2 * count);
  if (list === null) {
    words.set(keys.subarray(2 * from, 2 * (from + count)));
    return;
  }
  for (let i = 0; i < count; i += 1) {
    const place = list[from + i];
    words[2 * i] = keys[2 * place];
    words[2 * i + 1] = keys[2 * place + 1];
  }
}

/**
 * Copies the rows of an answer to their places and notes at which sequences they were read.
 * @throws MILL_DIM_MISMATCH, MILL_FRAME_INVALID; nothing is written then.
 */
export function takeRows(answer: Frame, request: PullRequest, places: Places, floor: ReadFloor): void {
  const partitions = checkRows(answer, request, places);
  const { count } = places;
  const { dim } = request.layout;
  putRows(floatsAt(answer.bytes, rowsFrameLayout.rowsAt, count * dim), places, dim, request.out);
  const marks = marksOf(answer, request, places, partitions);
  addMarks(request.marks, marks, partitions);
  floor.set(request.model, marks, partitions);
}

/**
 * True when the rows of an answer are none that this client has read newer.
 * @throws MILL_DIM_MISMATCH, MILL_FRAME_INVALID
 */
export function isFresh(answer: Frame, request: PullRequest, places: Places, floor: ReadFloor): boolean {
  const partitions = checkRows(answer, request, places);
  return floor.admits(request.model, marksOf(answer, request, places, partitions), partitions);
}

function marksOf(answer: Frame, { layout }: PullRequest, { count }: Places, partitions: number): Uint32Array {
  return wordsAt(answer.bytes, rowsFrameLayout.rowsAt + 4 * count * layout.dim, 4 * partitions);
}

/**
 * Looks whether a frame answers for the keys at `places`. @returns partitions that it read.
 * @throws MILL_DIM_MISMATCH, MILL_FRAME_INVALID
 */
function checkRows({ bytes, header }: Frame, request: PullRequest, places: Places): number {
  const { dim } = request.layout;
  const head =
    bytes.length >= rowsFrameLayout.rowsAt ? wordsAt(bytes, rowsFrameLayout.countAt, 3) : [0, 0, 0];
  const [count, foundDim, partitions] = head;
  if (foundDim !== dim) {
    throw new MillraceError(
      'MILL_DIM_MISMATCH',
      `rows of ${request.model}/${request.layout.name} must have ${dim} floats, got ${foundDim}`,
    );
  }
  const kindIsRows = header.kind === frameKinds.rows;
  if (!kindIsRows || count !== places.count || bytes.length !== rowsFrameBytes({ count, dim, partitions })) {
    throw new MillraceError(
      'MILL_FRAME_INVALID',
      `cannot read rows: wanted ${places.count}, found ${count} in ${bytes.length} bytes`,
    );
  }
  return partitions;
}

function putRows(rows: Float32Array, { list, from, count }: Places, dim: number, out: Float32Array): void {
  if (list === null) {
    out.set(rows, from * dim);
    return;
  }
  scatterRows(rows, list, from, count, dim, out);
}

function addMarks(marks: ReadMarks, words: Uint32Array, count: number): void {
  for (let i = 0; i < count; i += 1) {
    addReadMark(marks, words[4 * i], sequenceFrom(words[4 * i + 2], words[4 * i + 3]));
  }
}
