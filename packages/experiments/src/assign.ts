/** From a catalog to a function that says of each request which arms it is in. */
import {
  type ArmTarget,
  armName,
  type Experiment,
  type ExperimentCatalog,
  type ExplorationSpec,
  experimentBuckets,
} from '@millrace/protocol';
import { decidesScorer, isRunning } from './catalog.ts';
import { placerOf, type UnitPlace, type UnitReader, type UnitSource, unitReaderOf } from './unit.ts';

export interface Assignment {
  /** Arms that it is in, `experiment/arm` with spaces between, in order of their layers' names; '' when in none. */
  readonly arm: string;
  /** Of each of them what tells its unit from others in what is summed (UnitPlace). */
  readonly units: readonly number[];
  readonly target: ArmTarget;
  readonly exploration: ExplorationSpec | null;
  /** What is scored beside, and not returned; null: nothing. */
  readonly shadow: { readonly arm: string; readonly unit: number; readonly target: ArmTarget } | null;
}

export type Assigner = (source: UnitSource) => Assignment;

interface Placed {
  readonly arm: string;
  /** Null: its experiment does not decide what scores. */
  readonly target: ArmTarget | null;
  readonly exploration: ExplorationSpec | null;
  readonly shadow: ArmTarget | null;
}

interface Layer {
  readonly read: UnitReader;
  readonly place: (unit: string) => UnitPlace;
  /** uint8[10,000]: 1 + index of the arm, 0: none has the bucket. */
  readonly buckets: Uint8Array;
  readonly arms: readonly Placed[];
}

const nothing: Assignment = {
  arm: '',
  units: [],
  target: { type: 'default' },
  exploration: null,
  shadow: null,
};

/** @returns a function that allocates nothing to speak of for requests that no arm takes. */
export function assignerOf({
  model,
  experiments,
  kept,
}: Pick<ExperimentCatalog, 'model' | 'experiments' | 'kept'>): Assigner {
  const running = experiments.filter(isRunning);
  const names = [...new Set(running.map(({ layer }) => layer))].sort();
  const layers = names.map((name) =>
    layerOf(
      model,
      running.filter(({ layer }) => layer === name),
    ),
  );
  const otherwise: Assignment = kept === null ? nothing : { ...nothing, target: kept.target };
  return (source) => {
    let assignment = otherwise;
    for (const { read, place, buckets, arms } of layers) {
      const text = read(source);
      if (text === null) continue;
      const { bucket, unit } = place(text);
      const number = buckets[bucket];
      if (number > 0) assignment = joined(assignment, arms[number - 1], unit);
    }
    return assignment;
  };
}

/** What one more layer adds: only one of them says what scores, how ranks explore, or what is a shadow (catalog.ts). */
function joined(before: Assignment, { arm, target, exploration, shadow }: Placed, unit: number): Assignment {
  if (shadow !== null) return { ...before, shadow: { arm, unit, target: shadow } };
  return {
    arm: before.arm === '' ? arm : `${before.arm} ${arm}`,
    units: [...before.units, unit],
    target: target ?? before.target,
    exploration: exploration ?? before.exploration,
    shadow: before.shadow,
  };
}

/** @param experiments of one layer: they share key and salt. */
function layerOf(model: string, experiments: readonly Experiment[]): Layer {
  const [{ layer, key, salt }] = experiments;
  const arms: Placed[] = [];
  const buckets = new Uint8Array(experimentBuckets);
  for (const experiment of experiments) {
    const decides = experiment.arms.some(decidesScorer);
    for (const arm of experiment.arms) {
      const { target, exploration, shadow, ranges } = arm;
      arms.push({
        arm: armName(model, experiment, arm),
        target: decides && !shadow ? target : null,
        exploration,
        shadow: shadow ? target : null,
      });
      for (const [from, to] of ranges) buckets.fill(arms.length, from, to);
    }
  }
  return { read: unitReaderOf(key) ?? (() => null), place: placerOf(layer, salt), buckets, arms };
}
