/**
 * The fold of a model's examples into sums by arm (protocol/experiment-sums.ts). A function of the event log alone: what was
 * taken is told by place, so an example that is given again changes nothing.
 */
import {
  armSumFloats,
  bytesOf,
  comparePlaces,
  type ExamplePlace,
  type ExperimentSums,
  resultArmsMax,
  sumColumnCount,
  sumColumns,
  sumTotalCount,
  sumTotals,
  unitGroups,
} from '@millrace/protocol';
import { countsOf, type JudgedExample, lossOf } from './judged-example.ts';

export interface SumsFold {
  /** Takes an example that stands behind `place`; passes over any other. */
  take(example: JudgedExample): void;
  readonly place: ExamplePlace;
  /** True once an arm has something. */
  readonly hasArms: boolean;
  /** The sums as they are now; the caller's to keep. */
  record(): ExperimentSums;
}

interface Arm {
  lastSequence: number;
  readonly sums: Float64Array;
}

/** @param start  what an earlier fold left, or an empty record at a place. */
export function createSumsFold(start: ExperimentSums): SumsFold {
  const { model, kinds } = start;
  const floats = armSumFloats(kinds.length);
  const totals = floats - sumTotalCount - kinds.length;
  const arms = new Map<string, Arm>(
    start.arms.map(({ arm, lastSequence, sums }) => [
      arm,
      { lastSequence, sums: new Float64Array(Uint8Array.from(sums).buffer) },
    ]),
  );
  let { place } = start;
  let origin = { sequence: start.joinFrom, watermarkMs: start.joinWatermarkMs };

  const armNamed = (name: string): Arm => {
    let arm = arms.get(name);
    if (arm === undefined) {
      if (arms.size >= resultArmsMax) arms.delete(longestSilent(arms));
      arm = { lastSequence: 0, sums: new Float64Array(floats) };
      arms.set(name, arm);
    }
    return arm;
  };

  const add = (name: string, unit: number, example: JudgedExample, score: number) => {
    const arm = armNamed(name);
    const { sums } = arm;
    [arm.lastSequence] = example.place;
    if (!Number.isFinite(score)) {
      sums[totals + sumTotals.notFinite] += 1;
      return;
    }
    const { shown, clicked } = countsOf(example);
    const group = unit % unitGroups;
    const loss = lossOf(score, shown, clicked);
    const mainLoss = lossOf(example.score, shown, clicked);
    sums[sumColumns.shown * unitGroups + group] += shown;
    sums[sumColumns.clicked * unitGroups + group] += clicked;
    sums[sumColumns.predicted * unitGroups + group] += shown * score;
    sums[sumColumns.loss * unitGroups + group] += loss;
    sums[sumColumns.mainPredicted * unitGroups + group] += shown * example.score;
    sums[sumColumns.mainLoss * unitGroups + group] += mainLoss;
    sums[totals + sumTotals.lossSquares] += loss * loss;
    sums[totals + sumTotals.gapSquares] += (loss - mainLoss) ** 2;
    const { kind, value = 0 } = example;
    if (kind === undefined) return;
    sums[(sumColumnCount + kind) * unitGroups + group] += value;
    sums[totals + sumTotalCount + kind] += value * value;
  };

  return {
    take(example) {
      if (comparePlaces(example.place, place) <= 0) return;
      ({ place, origin } = example);
      const { arm, units, shadow } = example;
      if (arm !== undefined && arm !== '') {
        const names = arm.split(' ');
        for (let i = 0; i < names.length; i += 1) add(names[i], units?.[i] ?? 0, example, example.score);
      }
      if (shadow !== undefined) add(shadow.arm, shadow.unit, example, shadow.score);
    },
    get place() {
      return place;
    },
    get hasArms() {
      return arms.size > 0;
    },
    record: () => ({
      format: 1,
      model,
      kinds,
      place,
      joinFrom: origin.sequence,
      joinWatermarkMs: origin.watermarkMs,
      arms: [...arms].map(([arm, { lastSequence, sums }]) => ({
        arm,
        lastSequence,
        sums: bytesOf(sums.slice()),
      })),
    }),
  };
}

function longestSilent(arms: ReadonlyMap<string, Arm>): string {
  let oldest = '';
  let least = Number.POSITIVE_INFINITY;
  for (const [name, { lastSequence }] of arms) {
    if (lastSequence >= least) continue;
    least = lastSequence;
    oldest = name;
  }
  return oldest;
}
