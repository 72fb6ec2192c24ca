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
  type StoredUnits,
  sumColumnCount,
  sumColumns,
  sumTotalCount,
  sumTotals,
  unitGroups,
} from '@millrace/protocol';
import {
  type Choice,
  countsOf,
  gapSquareOf,
  type JudgedExample,
  lossOf,
  lossSquareOf,
} from './judged-example.ts';
import { addRanked } from './rank-sums.ts';
import { addUnit, emptyUnits, type UnitSample, unitsFrom } from './unit-sample.ts';

/** What is read of an impression: to whom an arm was shown. */
export interface ShownUnits {
  readonly timeMs: number;
  readonly arm?: string;
  readonly units?: readonly number[];
}

export interface SumsFoldOptions {
  /** From when on units of an arm are told apart, Unix ms (Deal); null: they are not. Default: never. */
  readonly unitsSinceMs?: (arm: string) => number | null;
  /** True for arms that others give way to where there are too many. Default: none. */
  readonly isRunning?: (arm: string) => boolean;
}

export interface SumsFold {
  /** Takes an example that stands behind `place`; passes over any other. */
  take(example: JudgedExample): void;
  /** Takes an impression; any number of times, at any place. */
  takeShown(shown: ShownUnits): void;
  readonly place: ExamplePlace;
  /** The place, and where a fold must begin to find what follows it. */
  readonly origin: Pick<ExperimentSums, 'place' | 'joinFrom' | 'joinWatermarkMs'>;
  /** Grows with everything that changed an arm. */
  readonly changes: number;
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
  /** Null: not counted. */
  units: UnitSample | null;
}

/** @param start  what an earlier fold left, or an empty record at a place. */
export function createSumsFold(start: ExperimentSums, options: SumsFoldOptions = {}): SumsFold {
  const { unitsSinceMs = () => null, isRunning = () => false } = options;
  const { model, kinds } = start;
  const floats = armSumFloats(kinds.length);
  const totals = floats - sumTotalCount - kinds.length;
  const arms = new Map<string, Arm>(
    start.arms.map(({ arm, lastSequence, sums, ranks, units }) => [
      arm,
      {
        lastSequence,
        sums: floatsOf(sums),
        ranks: ranks === undefined ? null : floatsOf(ranks),
        units: units === undefined ? null : unitsFrom(units.sinceMs, units.sample),
      },
    ]),
  );
  let { place } = start;
  let changes = 0;
  let origin = { sequence: start.joinFrom, watermarkMs: start.joinWatermarkMs };

  const armNamed = (name: string): Arm => {
    let arm = arms.get(name);
    if (arm === undefined) {
      if (arms.size >= resultArmsMax) arms.delete(longestSilent(arms, isRunning));
      arm = { lastSequence: place[0], sums: new Float64Array(floats), ranks: null, units: null };
      arms.set(name, arm);
    }
    return arm;
  };

  const add = (name: string, unit: number, example: JudgedExample, score: number) => {
    const arm = armNamed(name);
    const { sums } = arm;
    changes += 1;
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
    sums[totals + sumTotals.lossSquares] += lossSquareOf(score, shown, clicked);
    sums[totals + sumTotals.gapSquares] += gapSquareOf({ score, other: example.score }, shown, clicked);
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

  const addShown = (name: string, unit: number, timeMs: number) => {
    const sinceMs = unitsSinceMs(name);
    if (sinceMs === null || timeMs < sinceMs) return;
    const arm = armNamed(name);
    if (arm.units?.sinceMs !== sinceMs) arm.units = emptyUnits(sinceMs);
    if (addUnit(arm.units, unit)) changes += 1;
  };

  const originNow = () => ({
    place,
    joinFrom: origin.sequence,
    joinWatermarkMs: origin.watermarkMs,
  });

  return {
    takeShown({ arm, units, timeMs }) {
      if (arm === undefined || arm === '' || units === undefined) return;
      const names = arm.split(' ');
      for (let i = 0; i < names.length; i += 1) addShown(names[i], units[i] ?? 0, timeMs);
    },
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
    get origin() {
      return originNow();
    },
    get changes() {
      return changes;
    },
    get hasArms() {
      return arms.size > 0;
    },
    record: () => ({
      format: 1,
      model,
      kinds,
      ...originNow(),
      arms: [...arms].map(([arm, { lastSequence, sums, ranks, units }]) => ({
        arm,
        lastSequence,
        sums: bytesOf(sums.slice()),
        ...(ranks !== null && { ranks: bytesOf(ranks.slice()) }),
        ...(units !== null && { units: storedUnits(units) }),
      })),
    }),
  };
}

function floatsOf(bytes: Uint8Array): Float64Array {
  return new Float64Array(Uint8Array.from(bytes).buffer);
}

function storedUnits({ sinceMs, units, size }: UnitSample): StoredUnits {
  return { sinceMs, sample: bytesOf(units.slice(0, size)) };
}

/** Of those that do not run, unless all do. */
function longestSilent(arms: ReadonlyMap<string, Arm>, isRunning: (arm: string) => boolean): string {
  const names = [...arms.keys()];
  const ended = names.filter((name) => !isRunning(name));
  const silence = (name: string) => arms.get(name)?.lastSequence ?? 0;
  return (ended.length > 0 ? ended : names).reduce((a, b) => (silence(b) < silence(a) ? b : a));
}
