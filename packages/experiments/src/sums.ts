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
  rankSumFloats,
  resultArmsMax,
  sumColumnCount,
  sumColumns,
  sumTotalCount,
  sumTotals,
  unitGroups,
} from '@millrace/protocol';
import { type Choice, countsOf, type JudgedExample, lossOf } from './judged-example.ts';
import { addRanked } from './rank-sums.ts';

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
  /** Null until an order was drawn in it. */
  ranks: Float64Array | null;
}

/** @param start  what an earlier fold left, or an empty record at a place. */
export function createSumsFold(start: ExperimentSums): SumsFold {
  const { model, kinds } = start;
  const floats = armSumFloats(kinds.length);
  const totals = floats - sumTotalCount - kinds.length;
  const arms = new Map<string, Arm>(
    start.arms.map(({ arm, lastSequence, sums, ranks }) => [
      arm,
      { lastSequence, sums: floatsOf(sums), ranks: ranks === undefined ? null : floatsOf(ranks) },
    ]),
  );
  let { place } = start;
  let origin = { sequence: start.joinFrom, watermarkMs: start.joinWatermarkMs };

  const armNamed = (name: string): Arm => {
    let arm = arms.get(name);
    if (arm === undefined) {
      if (arms.size >= resultArmsMax) arms.delete(longestSilent(arms));
      arm = { lastSequence: 0, sums: new Float64Array(floats), ranks: null };
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

  const addRank = (name: string, unit: number, example: JudgedExample, greedy: Choice) => {
    const { ranked, score } = example;
    if (ranked === undefined || !(Number.isFinite(score) && Number.isFinite(greedy.score))) return;
    const arm = armNamed(name);
    arm.ranks ??= new Float64Array(rankSumFloats);
    const { propensity } = ranked;
    addRanked(arm.ranks, { group: unit % unitGroups, ...countsOf(example), propensity, greedy, score });
  };

  return {
    take(example) {
      if (comparePlaces(example.place, place) <= 0) return;
      ({ place, origin } = example);
      const { arm, units, shadow, ranked } = example;
      if (arm !== undefined && arm !== '') {
        const names = arm.split(' ');
        for (let i = 0; i < names.length; i += 1) {
          const unit = units?.[i] ?? 0;
          add(names[i], unit, example, example.score);
          if (ranked !== undefined) addRank(names[i], unit, example, ranked.greedy);
        }
      }
      if (shadow === undefined) return;
      add(shadow.arm, shadow.unit, example, shadow.score);
      if (shadow.greedy !== undefined) addRank(shadow.arm, shadow.unit, example, shadow.greedy);
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
      arms: [...arms].map(([arm, { lastSequence, sums, ranks }]) => ({
        arm,
        lastSequence,
        sums: bytesOf(sums.slice()),
        ...(ranks !== null && { ranks: bytesOf(ranks.slice()) }),
      })),
    }),
  };
}

function floatsOf(bytes: Uint8Array): Float64Array {
  return new Float64Array(Uint8Array.from(bytes).buffer);
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
