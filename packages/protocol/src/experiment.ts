/**
 * Experiments: which share of a model's requests is scored by what. Bucket mill-experiments, JSON:
 *
 *   <model>   ExperimentCatalog   every change a compare-and-set
 *
 * A layer hashes units (values of a request's key, such as a user id) to 10,000 buckets; each bucket belongs to one arm at most,
 * so a unit is in one arm of a layer at most. Layers hash apart from each other, so what one assigns says nothing of another.
 */
import { isName } from './ids.ts';
import {
  experimentArmsMax,
  experimentBuckets,
  experimentChangesKept,
  experimentsMax,
  experimentsRunningMax,
} from './limits.ts';
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, isCount, isMap, readRecord, recordInvalid } from './record-checks.ts';
import type { ExplorationSpec } from './score-api.ts';

/**
 * What scores an arm's requests: what scores those in no arm, the line that is being trained, a version, what a label points at,
 * or a model of its own.
 */
export type ArmTarget =
  | { readonly type: 'default' }
  | { readonly type: 'live' }
  | { readonly type: 'version'; readonly version: number }
  | { readonly type: 'label'; readonly label: string }
  | { readonly type: 'model'; readonly model: string };

/** shared: what its requests teach goes to the experiment's model; apart: to the arm's own model, which learns of nothing else. */
export type ArmLearning = 'shared' | 'apart';

export interface ArmSpec {
  readonly name: string;
  /** Of the layer's units, in steps of 1/10,000. */
  readonly share: number;
  /** Default: default. */
  readonly target?: ArmTarget;
  /** Default: apart for a model of its own, else shared; nothing else goes together. */
  readonly learn?: ArmLearning;
  /** Scored beside what answers, logged and not returned. Default false. */
  readonly shadow?: boolean;
  /** How `POST /v1/rank` explores where the request does not say. Default: as without the experiment. */
  readonly exploration?: ExplorationSpec;
}

/** Bounds beyond which an arm is taken out by itself; null: not looked at. */
export interface GuardBounds {
  /** Mean logloss above the control's, as a share of it: 0.1 is 10 % worse. */
  readonly logloss: number | null;
  /** Predicted over observed positives off 1 by this factor more than the control's: 0.5 is half as many again, or two thirds. */
  readonly calibration: number | null;
  /** Requests whose scores were no numbers; something else answered where it could. */
  readonly nan: number | null;
  /** Share of requests that failed, above the control's. */
  readonly errors: number | null;
  /** 99th percentile of the time to score, above the control's, as a share of it. */
  readonly p99: number | null;
}

/** What somebody asks for; all that has a default may be left out. */
export interface ExperimentSpec {
  readonly name: string;
  readonly model: string;
  /** Default `main`. */
  readonly layer?: string;
  /** The unit that stays in its arm: `user.FIELD`, `context.FIELD`, or `requestId` for each request anew. */
  readonly key: string;
  /** Another salt deals the units of a layer anew. Default: the layer's name. All experiments of a layer share it. */
  readonly salt?: string;
  /** The arm that others are compared with. Default: the first that is no shadow. */
  readonly control?: string;
  /** Of every interval, over all looks together. Default 0.95. */
  readonly confidence?: number;
  /** Defaults: logloss 0.1, calibration 0.5, nan 0, errors 0.02, p99 1. */
  readonly guards?: Partial<GuardBounds>;
  readonly arms: readonly ArmSpec[];
  readonly note?: string;
}

/** Buckets from … to − 1. */
export type BucketRange = readonly [from: number, to: number];

export interface Arm extends Required<Omit<ArmSpec, 'share' | 'exploration'>> {
  readonly exploration: ExplorationSpec | null;
  /** Ascending, apart from each other. Its share is their sum over 10,000. */
  readonly ranges: readonly BucketRange[];
}

/** One change of shares, the start and the end among them. */
export interface ExperimentChange {
  readonly timeMs: number;
  readonly by: 'operator' | 'guard';
  /** Shares of the arms from then on. */
  readonly shares: Readonly<Record<string, number>>;
  /** Why, in words; a guard says what it saw. */
  readonly reason: string;
}

export interface Experiment extends Required<Omit<ExperimentSpec, 'model' | 'guards' | 'arms'>> {
  readonly guards: GuardBounds;
  readonly arms: readonly Arm[];
  readonly startedMs: number;
  /** Null while it runs. */
  readonly endedMs: number | null;
  /** The newest, oldest first. */
  readonly changes: readonly ExperimentChange[];
}

export interface ExperimentCatalog {
  /** Of this layout. */
  readonly format: 1;
  readonly model: string;
  /** In the order they were started; ended ones are forgotten when there are too many, oldest first. */
  readonly experiments: readonly Experiment[];
  /** What an ended experiment left in charge of all requests that no arm takes; null: none did. */
  readonly kept: { readonly experiment: string; readonly arm: string; readonly target: ArmTarget } | null;
}

/** How impressions name an arm: `experiment/arm`, and `model:experiment/arm` where it is of another model's log. */
export function armName(
  model: string,
  { name }: Pick<Experiment, 'name'>,
  arm: Pick<Arm, 'name' | 'learn'>,
): string {
  return `${arm.learn === 'apart' ? `${model}:` : ''}${name}/${arm.name}`;
}

/** Share of a layer's units, 0 … 1. */
export function shareOf({ ranges }: Pick<Arm, 'ranges'>): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0) / experimentBuckets;
}

export function encodeExperimentCatalog(catalog: ExperimentCatalog): Uint8Array {
  return jsonBytes(catalog);
}

const what = 'catalog of experiments';

/** Reads and checks a catalog. Throws MILL_RECORD_INVALID. */
export function decodeExperimentCatalog(bytes: Uint8Array): ExperimentCatalog {
  const value = readRecord(what, () => jsonFrom(bytes));
  const catalog = checkedRecord<Omit<ExperimentCatalog, 'kept'>>(what, value, {
    format: 'count',
    model: 'text',
    experiments: 'list',
  }) as ExperimentCatalog;
  if (catalog.format !== 1) throw recordInvalid(what, 'format 1', String(catalog.format));
  const { experiments, kept } = catalog;
  if (experiments.length > experimentsMax)
    throw recordInvalid(what, `at most ${experimentsMax} experiments`, String(experiments.length));
  if (kept !== null && !(isMap(kept) && isTarget(kept.target)))
    throw recordInvalid(what, 'kept: an arm with its target, or null', 'another value');
  for (const experiment of experiments) checkExperiment(experiment);
  if (experiments.filter(({ endedMs }) => endedMs === null).length > experimentsRunningMax)
    throw recordInvalid(what, `at most ${experimentsRunningMax} that run`, 'more');
  return catalog;
}

function checkExperiment(value: Experiment): void {
  const experiment = checkedRecord<Experiment>(what, value, {
    name: 'text',
    layer: 'text',
    key: 'text',
    salt: 'text',
    control: 'text',
    confidence: 'number',
    guards: 'map',
    arms: 'list',
    note: 'text',
    startedMs: 'number',
    endedMs: 'number or null',
    changes: 'list',
  });
  const { name, arms, changes } = experiment;
  if (!isName(name)) throw recordInvalid(what, 'a name of an experiment', 'another text');
  if (arms.length > experimentArmsMax || changes.length > experimentChangesKept)
    throw recordInvalid(what, 'a bounded number of arms and changes', 'more');
  for (const arm of arms) {
    checkedRecord<Pick<Arm, 'name' | 'shadow' | 'ranges'>>(what, arm, {
      name: 'text',
      shadow: 'flag',
      ranges: 'list',
    });
    if (!isTarget(arm.target))
      throw recordInvalid(what, 'target: default, live, version, label or model', 'another');
    if (!areRanges(arm.ranges)) throw recordInvalid(what, 'ascending ranges of buckets', 'others');
  }
  for (const change of changes)
    checkedRecord<ExperimentChange>(what, change, {
      timeMs: 'number',
      by: 'text',
      shares: 'map',
      reason: 'text',
    });
}

function isTarget(value: unknown): value is ArmTarget {
  if (!isMap(value)) return false;
  const { type, version, label, model } = value;
  if (type === 'version') return isCount(version);
  if (type === 'label') return typeof label === 'string';
  if (type === 'model') return typeof model === 'string' && isName(model);
  return type === 'default' || type === 'live';
}

function areRanges(ranges: readonly BucketRange[]): boolean {
  let before = 0;
  for (const range of ranges) {
    if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount)) return false;
    const [from, to] = range;
    if (from < before || to <= from || to > experimentBuckets) return false;
    before = to;
  }
  return true;
}
