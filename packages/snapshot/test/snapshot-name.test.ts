import { isBlobName } from '@millrace/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { snapshotNameFrom, snapshotPath, snapshotPrefix } from '../src/snapshot-name.ts';

const of = { model: 'ads', fingerprint: 77, fold: 3 };

test('snapshot name: paths are pinned: other releases look for them', () => {
  expect(snapshotPath(of, { sequence: 12, base: null })).toBe('ads/0000004d/3/0000000000000012-full');
  expect(snapshotPath({ ...of, fold: 'dense' }, { sequence: 2 ** 53 - 1, base: 12 })).toBe(
    'ads/0000004d/dense/9007199254740991-on-0000000000000012',
  );
  expect(snapshotPrefix({ ...of, fingerprint: 0xffff_ffff })).toBe('ads/ffffffff/3/');
});

test('snapshot name: what is written is read again, and is a name that stores take (property)', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.option(fc.maxSafeNat()), (sequence, base) => {
      const path = snapshotPath(of, { sequence, base });
      expect(snapshotNameFrom(of, path)).toEqual({ sequence, base });
      expect(isBlobName(path)).toBe(true);
      expect(snapshotNameFrom({ ...of, fold: 30 }, path)).toBeNull();
    }),
  );
});

test.each([
  'ads/0000004d/3/0000000000000012',
  'ads/0000004d/3/12-full',
  'ads/0000004d/3/0000000000000012-full.txt',
  'ads/0000004d/3/0000000000000012-on-',
  'ads/0000004d/33/0000000000000012-full',
  'ads/0000004e/3/0000000000000012-full',
  '/ads/0000004d/3/0000000000000012-full',
])('snapshot name: %s is none of this fold', (path) => {
  expect(snapshotNameFrom(of, path)).toBeNull();
});
