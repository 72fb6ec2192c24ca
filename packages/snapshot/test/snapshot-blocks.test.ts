import { sealEnvelope } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { decodeBlock, encodeEnd, encodeFloats, encodeRows } from '../src/snapshot-blocks.ts';

const place = { of: 0xdead_beef, place: 2 };
const forms = [[2, 1] as const, [1, 0] as const];
const rows = {
  table: 0,
  count: 2,
  keys: Uint32Array.of(1, 2, 0xffff_ffff, 4),
  weights: Float32Array.of(0.5, 1, 1.5, 2),
  state: Float32Array.of(-1, -2),
};

test('snapshot blocks: come back as they were, at any address', () => {
  const floats = { array: 'state' as const, at: 7, floats: Float32Array.of(1, 2, 3) };
  for (const [block, wanted] of [
    [encodeRows(place, rows), { kind: 'rows', ...rows }],
    [encodeFloats(place, floats), { kind: 'floats', ...floats }],
    [encodeEnd(place, [7, 0xffff_ffff]), { kind: 'end', checksums: Uint32Array.of(7, 0xffff_ffff) }],
  ] as const) {
    expect(decodeBlock(block, place, forms)).toEqual(wanted);
    const moved = new Uint8Array(block.length + 1).subarray(1);
    moved.set(block);
    expect(decodeBlock(moved, place, forms)).toEqual(wanted);
  }
});

/** A block whose checksum is right, as a defect of a writer would make it. */
function sealed(magic: string, metadata: unknown, words = 0): Uint8Array {
  return sealEnvelope(magic, metadata, [new Uint32Array(words)]);
}

test.each<{ what: string; block: Uint8Array }>([
  { what: 'a kind that is not known', block: sealed('MGB1', [place.of, 2]) },
  { what: 'metadata that is no list', block: sealed('MSR1', { of: 1 }) },
  { what: 'metadata of no numbers', block: sealed('MSR1', [place.of, 2, 'users', 1]) },
  { what: 'a block of another snapshot', block: encodeRows({ ...place, of: 1 }, rows) },
  { what: 'a block of another place', block: encodeRows({ ...place, place: 3 }, rows) },
  { what: 'rows of a table that is not there', block: sealed('MSR1', [place.of, 2, 2, 0]) },
  { what: 'rows without a count', block: sealed('MSR1', [place.of, 2, 0]) },
  { what: 'more rows than the body holds', block: sealed('MSR1', [place.of, 2, 0, 2], 9) },
  { what: 'more body than rows', block: sealed('MSR1', [place.of, 2, 1, 1], 6) },
  { what: 'rows beyond what any body holds', block: sealed('MSR1', [place.of, 2, 0, 2 ** 52], 5) },
  { what: 'floats of a third array', block: sealed('MSF1', [place.of, 2, 2, 0, 1], 1) },
  { what: 'more floats than the body holds', block: sealed('MSF1', [place.of, 2, 0, 0, 3], 2) },
  { what: 'floats without a place', block: sealed('MSF1', [place.of, 2, 0]) },
  { what: 'an end with too few checksums', block: encodeEnd(place, [7]) },
  { what: 'an end with too many', block: encodeEnd(place, [7, 8, 9]) },
  { what: 'nothing', block: new Uint8Array(0) },
])('snapshot blocks: $what is refused', ({ block }) => {
  expect(() => decodeBlock(block, place, forms)).toThrow(
    expect.objectContaining({ code: 'MILL_SNAPSHOT_INVALID' }),
  );
});
