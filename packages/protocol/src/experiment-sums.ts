/**
 * What came of experiments: sums by arm and group of units, folded from a model's event log. Bucket mill-results, MessagePack:
 *
 *   <model>         ExperimentSums   the sums and the place in the log that they reach, written together
 *   <model>.place   SumsMark         how far the log went on without anything for them
 *
 * So whoever goes on from it counts each example once. Sums of an arm, float64 little-endian:
 *
 *   [6 + kinds, groups]  shown, clicked, predicted, loss, main predicted, main loss, then the values of each kind of outcome
 *   [3 + kinds]          Σ loss², Σ (loss − main loss)², scores that were no numbers, then Σ value² of each kind
 *
 * One item of an impression adds 1 to `shown`, its probability to `predicted`, −ln of what it gave the truth to `loss`. `main`
 * is what was answered where the arm is a shadow, else the arm itself.
 *
 * Of an arm in which orders were drawn, what its scores alone would have earned in first place, float64 little-endian. With
 * w = 1 / propensity where they would have shown the item that was drawn there, else 0, r = 1 where it was clicked, q the
 * probability answered for it and t that of their own choice:
 *
 *   [5, groups]  shown, clicked, w, w·r, t + w·(r − q)      of items in first place
 *   [4]          Σ w², Σ (t + w·(r − q))², Σ (t + w·(r − q) − r)², clicked where w > 0
 */
import type { ExamplePlace } from './batch-record.ts';
import { resultArmsMax, unitGroups, unitSampleMax } from './limits.ts';
import { packed, unpacked } from './packing.ts';
import { checkedRecord, isCount, isMap, readRecord, recordInvalid } from './record-checks.ts';

const what = 'record of experiment sums';

/** Columns by group, before those of the kinds of outcomes. */
export const sumColumns = {
  shown: 0,
  clicked: 1,
  predicted: 2,
  loss: 3,
  mainPredicted: 4,
  mainLoss: 5,
} as const;
export const sumColumnCount = 6;
/** Figures without groups, before those of the kinds. */
export const sumTotals = { lossSquares: 0, gapSquares: 1, notFinite: 2 } as const;
export const sumTotalCount = 3;

export const rankColumns = { shown: 0, clicked: 1, weight: 2, weightedClicks: 3, doublyRobust: 4 } as const;
export const rankTotals = {
  weightSquares: 0,
  doublyRobustSquares: 1,
  gapSquares: 2,
  clickedAlike: 3,
} as const;
const rankColumnCount = 5;
const rankTotalCount = 4;
/** Floats of what is summed of an arm's orders, and where its totals begin. */
export const rankTotalsFrom = rankColumnCount * unitGroups;
export const rankSumFloats = rankTotalsFrom + rankTotalCount;

export interface ArmSums {
  /** `experiment/arm` */
  readonly arm: string;
  /** Event that completed its newest example. */
  readonly lastSequence: number;
  /** float64[(6 + kinds) · groups + 3 + kinds] as raw bytes. */
  readonly sums: Uint8Array;
  /** float64[5 · groups + 4] as raw bytes; absent: no order was drawn in it. */
  readonly ranks?: Uint8Array;
  /** Units that it was shown to since its shares were dealt, the smallest ones; absent: they are not counted. */
  readonly units?: StoredUnits;
}

export interface StoredUnits {
  readonly sinceMs: number;
  /** uint32[at most unitSampleMax], ascending, as raw bytes. */
  readonly sample: Uint8Array;
}

/**
 * That nothing came to the sums for a while, so that a successor need not fold it again: `<model>.place`, beside the sums. It
 * holds for the sums that stand at `from`, and says nothing of others.
 */
export interface SumsMark extends Pick<ExperimentSums, 'format' | 'place' | 'joinFrom' | 'joinWatermarkMs'> {
  readonly from: ExamplePlace;
}

export interface ExperimentSums {
  /** Of this layout. */
  readonly format: 1;
  readonly model: string;
  /** Names of the kinds of outcomes, in the model's order. */
  readonly kinds: readonly string[];
  /** The newest example that is in; what stands behind it is not. */
  readonly place: ExamplePlace;
  /** Where a fold must begin to find what follows. */
  readonly joinFrom: number;
  readonly joinWatermarkMs: number;
  readonly arms: readonly ArmSums[];
}

/** Floats of an arm's sums. */
export function armSumFloats(kinds: number): number {
  return (sumColumnCount + kinds) * unitGroups + sumTotalCount + kinds;
}

export function encodeExperimentSums(sums: ExperimentSums): Uint8Array {
  return packed(sums);
}

/** Reads and checks a record; bytes in it are views of `bytes`. Throws MILL_RECORD_INVALID. */
export function decodeExperimentSums(bytes: Uint8Array): ExperimentSums {
  const value = readRecord(what, () => unpacked(bytes));
  const record = checkedRecord<ExperimentSums>(what, value, {
    format: 'count',
    model: 'text',
    kinds: 'list',
    place: 'counts',
    joinFrom: 'count',
    joinWatermarkMs: 'number',
    arms: 'list',
  });
  if (record.format !== 1) throw recordInvalid(what, 'format 1', String(record.format));
  if (record.place.length !== 3)
    throw recordInvalid(what, 'place: three counts', String(record.place.length));
  if (!record.kinds.every((kind) => typeof kind === 'string'))
    throw recordInvalid(what, 'kinds: names', 'other values');
  if (record.arms.length > resultArmsMax)
    throw recordInvalid(what, `at most ${resultArmsMax} arms`, String(record.arms.length));
  for (const { arm, lastSequence, sums, ranks, units } of record.arms) {
    const sound =
      isFloats(sums, armSumFloats(record.kinds.length)) &&
      (ranks === undefined || isFloats(ranks, rankSumFloats)) &&
      (units === undefined || areUnits(units));
    if (typeof arm !== 'string' || !isCount(lastSequence) || !sound)
      throw recordInvalid(what, 'arms with their sums', 'others');
  }
  return record;
}

export function encodeSumsMark(mark: SumsMark): Uint8Array {
  return packed(mark);
}

/** Reads and checks a mark. Throws MILL_RECORD_INVALID. */
export function decodeSumsMark(bytes: Uint8Array): SumsMark {
  const of = 'mark of experiment sums';
  const value = readRecord(of, () => unpacked(bytes));
  const mark = checkedRecord<SumsMark>(of, value, {
    format: 'count',
    from: 'counts',
    place: 'counts',
    joinFrom: 'count',
    joinWatermarkMs: 'number',
  });
  if (mark.format !== 1 || mark.from.length !== 3 || mark.place.length !== 3)
    throw recordInvalid(of, 'format 1 and two places', 'others');
  return mark;
}

/** Key of the mark that belongs to a model's sums. */
export function sumsMarkKey(model: string): string {
  return `${model}.place`;
}

function areUnits(value: unknown): boolean {
  if (!isMap(value) || typeof value.sinceMs !== 'number') return false;
  const { sample } = value;
  return sample instanceof Uint8Array && sample.length % 4 === 0 && sample.length <= 4 * unitSampleMax;
}

function isFloats(value: unknown, count: number): boolean {
  return value instanceof Uint8Array && value.length === 8 * count;
}
