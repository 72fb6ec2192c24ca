import { isMillraceError, labelMovesKept, type VersionCatalog } from '@millrace/protocol';
import { expect, test } from 'vitest';
import {
  emptyCatalog,
  wantedVersions,
  withLabel,
  withLoad,
  withoutLabel,
  withoutVersion,
  withPolicy,
  withPolicyAlone,
  withRollback,
  withUnlabelledUnloaded,
  withUnload,
} from '../src/catalog.ts';

const of = (...versions: number[]): VersionCatalog => ({ ...emptyCatalog('ads'), newest: 9, versions });
const move = (label: string, version: number, reason = '') => ({ label, version, reason, timeMs: 1 });
const codeOf = (work: () => unknown) => {
  try {
    work();
    return 'no error';
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
};

test.each([
  [{ type: 'latest', count: 1 }, [5]],
  [{ type: 'latest', count: 2 }, [3, 5]],
  [{ type: 'latest', count: 0 }, []],
  [{ type: 'all' }, [1, 3, 5]],
  [{ type: 'specific', versions: [3, 1] }, [1, 3]],
] as const)('catalog: policy %j wants %j of 1, 3, 5', (policy, wanted) => {
  expect(wantedVersions(withPolicy(of(1, 3, 5), policy))).toEqual(wanted);
});

test('catalog: a label’s version is loaded, and so is the one before it', () => {
  const first = withLabel(withPolicy(of(1, 2, 3), { type: 'latest', count: 0 }), move('stable', 1));
  expect(wantedVersions(first)).toEqual([1]);
  const second = withLabel(first, move('stable', 3));
  expect([second.labels.stable, wantedVersions(second)]).toEqual([{ version: 3, previous: 1 }, [1, 3]]);
  expect(wantedVersions(withoutLabel(second, move('stable', 0)))).toEqual([]);
});

test('catalog: a rollback is the way back, and tells why', () => {
  const moved = withLabel(withLabel(of(1, 2), move('stable', 1)), move('stable', 2));
  const back = withRollback(moved, { label: 'stable', reason: 'logloss', timeMs: 7 });
  expect(back.labels.stable).toEqual({ version: 1, previous: 2 });
  expect(back.moves.at(-1)).toEqual({ label: 'stable', from: 2, to: 1, timeMs: 7, reason: 'logloss' });
  expect(codeOf(() => withRollback(withLabel(of(1), move('stable', 1)), move('stable', 1)))).toBe(
    'MILL_VERSION_INVALID',
  );
});

test('catalog: a move that expects a label elsewhere is refused', () => {
  const catalog = withLabel(of(1, 2), move('stable', 1));
  expect(codeOf(() => withLabel(catalog, { ...move('stable', 2), from: 2 }))).toBe('MILL_VERSION_INVALID');
  expect(codeOf(() => withLabel(catalog, { ...move('canary', 2), from: 1 }))).toBe('MILL_VERSION_INVALID');
  expect(withLabel(catalog, { ...move('stable', 2), from: 1 }).labels.stable.version).toBe(2);
  expect(withLabel(catalog, { ...move('canary', 2), from: null }).labels.canary.version).toBe(2);
});

test.each(['live', '1st', '', 'a b', 'a'.repeat(41), '__proto__'])('catalog: %j is no label', (label) => {
  expect(codeOf(() => withLabel(of(1), move(label, 1)))).toBe('MILL_VERSION_INVALID');
});

test('catalog: labels named like what every object has are labels that are not set', () => {
  expect(codeOf(() => withoutLabel(of(1), move('constructor', 1)))).toBe('MILL_VERSION_UNKNOWN');
  expect(withLabel(of(1), move('constructor', 1)).labels.constructor).toEqual({ version: 1, previous: null });
});

test('catalog: loads and unloads go before the policy, and a new policy forgets them', () => {
  const catalog = withLoad(withUnload(of(1, 2, 3), 3), 1);
  expect(wantedVersions(catalog)).toEqual([1]);
  expect(wantedVersions(withUnload(withLoad(catalog, 3), 1))).toEqual([3]);
  expect(wantedVersions(withPolicy(catalog, { type: 'latest', count: 2 }))).toEqual([2, 3]);
});

test('catalog: what a label points at is not unloaded; what it pointed at may be', () => {
  const catalog = withLabel(withLabel(of(1, 2), move('stable', 1)), move('stable', 2));
  expect(codeOf(() => withUnload(catalog, 2))).toBe('MILL_VERSION_IN_USE');
  const without = withUnload(catalog, 1);
  expect(wantedVersions(without)).toEqual([2]);
  // A rollback loads it again.
  expect(wantedVersions(withRollback(without, move('stable', 0)))).toEqual([1, 2]);
  const gone = withoutVersion(without, 1);
  expect([gone.versions, gone.labels.stable]).toEqual([[2], { version: 2, previous: null }]);
});

test('catalog: what is loaded is not removed, and a removed one is nowhere named', () => {
  const catalog = withPolicy(of(1, 2), { type: 'specific', versions: [1, 2] });
  expect(codeOf(() => withoutVersion(catalog, 2))).toBe('MILL_VERSION_IN_USE');
  const gone = withoutVersion(withUnload(catalog, 2), 2);
  expect([gone.versions, gone.policy, gone.unload]).toEqual([[1], { type: 'specific', versions: [1] }, []]);
});

test('catalog: unloading a model is unloading what no label points at', () => {
  const catalog = withPolicy(of(1, 2, 3), { type: 'all' });
  expect(wantedVersions(withUnlabelledUnloaded(withLabel(catalog, move('stable', 2))))).toEqual([2]);
  const labelled = withLabel(of(3), move('stable', 3));
  expect(codeOf(() => withUnlabelledUnloaded(labelled))).toBe('MILL_VERSION_IN_USE');
  expect(codeOf(() => withUnlabelledUnloaded(of()))).toBe('MILL_UNSUPPORTED');
  expect(wantedVersions(withPolicyAlone(withUnlabelledUnloaded(catalog)))).toEqual([1, 2, 3]);
});

test('catalog: what is not there is named beside what is', () => {
  const catalog = withLabel(of(1, 2), move('stable', 1));
  expect(() => withLoad(catalog, 7)).toThrow(
    'model "ads" has no version 7; there are versions live, 1, 2 and labels stable',
  );
  for (const work of [withUnload, withoutVersion])
    expect(codeOf(() => work(catalog, 7))).toBe('MILL_VERSION_UNKNOWN');
  expect(codeOf(() => withPolicy(catalog, { type: 'specific', versions: [7] }))).toBe('MILL_VERSION_UNKNOWN');
});

test('catalog: the newest moves are kept', () => {
  let catalog = of(1, 2);
  for (let n = 0; n < labelMovesKept + 10; n += 1)
    catalog = withLabel(catalog, move('stable', 1 + (n % 2), `${n}`));
  expect(catalog.moves.length).toBe(labelMovesKept);
  expect(catalog.moves.at(-1)?.reason).toBe(String(labelMovesKept + 9));
});
