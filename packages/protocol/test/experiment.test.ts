import { describe, expect, test } from 'vitest';
import {
  type ArmNotice,
  armName,
  armSumFloats,
  decodeArmNotice,
  decodeExperimentCatalog,
  decodeExperimentSums,
  decodeSumsMark,
  type ExperimentCatalog,
  type ExperimentSums,
  encodeArmNotice,
  encodeExperimentCatalog,
  encodeExperimentSums,
  encodeSumsMark,
  jsonBytes,
  latencyCellCount,
  messageBytesMax,
  outcomeKindsMax,
  packed,
  rankSumFloats,
  resultArmsMax,
  shareOf,
  unitSampleMax,
} from '../src/index.ts';

const invalid = expect.objectContaining({ code: 'MILL_RECORD_INVALID' });

const catalog: ExperimentCatalog = {
  format: 1,
  model: 'shop',
  kept: { experiment: 'old', arm: 'b', target: { type: 'version', version: 2 } },
  experiments: [
    {
      name: 'button',
      layer: 'main',
      key: 'user.user',
      salt: 'main',
      control: 'a',
      confidence: 0.95,
      guards: { logloss: 0.1, calibration: null, nan: 0, errors: 0.02, p99: 1 },
      arms: [
        {
          name: 'a',
          target: { type: 'model', model: 'other' },
          learn: 'apart',
          shadow: false,
          exploration: null,
          ranges: [
            [0, 2_000],
            [9_000, 10_000],
          ],
        },
      ],
      note: '',
      startedMs: 1,
      endedMs: null,
      changes: [{ timeMs: 1, by: 'operator', shares: { a: 0.3 }, reason: 'started' }],
    },
  ],
};

describe('protocol: experiment', () => {
  test('protocol: experiment: a catalog is the same once written and read', () => {
    expect(decodeExperimentCatalog(encodeExperimentCatalog(catalog))).toEqual(catalog);
  });

  test('protocol: experiment: shares and names of arms', () => {
    const [experiment] = catalog.experiments;
    const [arm] = experiment.arms;
    expect(shareOf(arm)).toBe(0.3);
    expect(armName('shop', experiment, arm)).toBe('shop:button/a');
    expect(armName('shop', experiment, { name: 'b', learn: 'shared' })).toBe('button/b');
  });

  const withArm = (part: object) => ({
    ...catalog,
    experiments: [{ ...catalog.experiments[0], arms: [{ ...catalog.experiments[0].arms[0], ...part }] }],
  });
  test.each([
    ['another format', { ...catalog, format: 2 }],
    ['a target of no kind', withArm({ target: { type: 'best' } })],
    [
      'ranges that overlap',
      withArm({
        ranges: [
          [0, 10],
          [9, 20],
        ],
      }),
    ],
    ['buckets that are none', withArm({ ranges: [[0, 10_001]] })],
    ['an empty range', withArm({ ranges: [[5, 5]] })],
    ['something kept of no target', { ...catalog, kept: { experiment: 'old' } }],
  ])('protocol: experiment: refuses %s', (_, value) => {
    expect(() => decodeExperimentCatalog(jsonBytes(value))).toThrow(invalid);
  });
});

const sums: ExperimentSums = {
  format: 1,
  model: 'shop',
  kinds: ['click', 'buy'],
  place: [5, 4, 3],
  joinFrom: 4,
  joinWatermarkMs: 9,
  arms: [{ arm: 'button/a', lastSequence: 5, sums: new Uint8Array(8 * armSumFloats(2)).fill(1) }],
};

describe('protocol: experiment sums', () => {
  test('protocol: experiment sums: a record is the same once written and read', () => {
    const read = decodeExperimentSums(encodeExperimentSums(sums));
    expect({ ...read, arms: read.arms.map((arm) => ({ ...arm, sums: new Uint8Array(arm.sums) })) }).toEqual(
      sums,
    );
  });

  test('protocol: experiment sums: the largest record fits one message', () => {
    expect(
      resultArmsMax * (8 * (armSumFloats(outcomeKindsMax) + rankSumFloats) + 4 * unitSampleMax + 256),
    ).toBeLessThan(messageBytesMax);
  });

  test('protocol: experiment sums: orders and units of an arm are kept where there are some', () => {
    const [arm] = sums.arms;
    const units = { sinceMs: 7, sample: Uint8Array.of(1, 0, 0, 0) };
    const full = { ...sums, arms: [{ ...arm, ranks: new Uint8Array(8 * rankSumFloats).fill(2), units }] };
    const [read] = decodeExperimentSums(encodeExperimentSums(full)).arms;
    expect(new Uint8Array(read.ranks as Uint8Array)).toEqual(full.arms[0].ranks);
    expect(read.units?.sinceMs).toBe(7);
    for (const part of [{ ranks: Uint8Array.of(1) }, { units: { sinceMs: 1, sample: Uint8Array.of(1) } }])
      expect(() => decodeExperimentSums(packed({ ...sums, arms: [{ ...arm, ...part }] }))).toThrow(invalid);
  });

  test('protocol: experiment sums: a mark is the same once written and read, and no other record is one', () => {
    const mark = { format: 1, from: [1, 1, 0], place: [9, 4, 2], joinFrom: 4, joinWatermarkMs: 3 } as const;
    expect(decodeSumsMark(encodeSumsMark(mark))).toEqual(mark);
    for (const other of [encodeExperimentSums(sums), packed({ ...mark, from: [1] }), Uint8Array.of(0xc1)])
      expect(() => decodeSumsMark(other)).toThrow(invalid);
  });

  test.each([
    ['bytes that are none', Uint8Array.of(0xc1)],
    ['sums of another length', packed({ ...sums, kinds: ['click'] })],
    ['a place of two', packed({ ...sums, place: [1, 2] })],
    ['too many arms', packed({ ...sums, arms: new Array(resultArmsMax + 1).fill(sums.arms[0]) })],
  ])('protocol: experiment sums: refuses %s', (_, bytes) => {
    expect(() => decodeExperimentSums(bytes)).toThrow(invalid);
  });
});

test('protocol: arm notice: is the same once written and read; another number of cells is refused', () => {
  const latencies = new Array<number>(latencyCellCount).fill(0).map((_, i) => i);
  const counts = { arm: 'button/a', requests: 3, errors: 1, notFinite: 0, dropped: 2, latencies };
  const notice: ArmNotice = { node: 'n', model: 'shop', arms: [counts] };
  expect(decodeArmNotice(encodeArmNotice(notice))).toEqual(notice);
  const short = { ...notice, arms: [{ ...counts, latencies: [1] }] };
  expect(() => decodeArmNotice(packed(short))).toThrow(invalid);
});
