/** An experiment as somebody wrote it, checked, with its defaults. */
import {
  type ArmLearning,
  type ArmTarget,
  type ExperimentSpec,
  type ExplorationSpec,
  experimentArmsMax,
  experimentBuckets,
  type GuardBounds,
  isMap,
  isName,
  isVersionLabel,
  liveLabel,
  MillraceError,
  versionNoteCharsMax,
} from '@millrace/protocol';
import { unitReaderOf } from './unit.ts';

export interface CheckedArm {
  readonly name: string;
  readonly target: ArmTarget;
  readonly learn: ArmLearning;
  readonly shadow: boolean;
  readonly exploration: ExplorationSpec | null;
  /** Of the layer's 10,000. */
  readonly buckets: number;
}

export interface CheckedExperiment extends Required<Omit<ExperimentSpec, 'guards' | 'arms'>> {
  readonly guards: GuardBounds;
  readonly arms: readonly CheckedArm[];
}

const layerDefault = 'main';
/** Bounds where nothing is said of them. */
export const guardBounds: GuardBounds = { logloss: 0.1, calibration: 0.5, nan: 0, errors: 0.02, p99: 1 };
const properties = [
  'name',
  'model',
  'layer',
  'key',
  'salt',
  'control',
  'confidence',
  'guards',
  'arms',
  'note',
] as const;
const armProperties = ['name', 'share', 'target', 'learn', 'shadow', 'exploration'] as const;
const targetProperties = {
  default: [],
  live: [],
  version: ['version'],
  label: ['label'],
  model: ['model'],
} as const;

/** As the schema of POST /v1/rank has them. */
const explorationRanges = {
  'epsilon-greedy': { epsilon: [0, 1] },
  softmax: { temperature: [1e-3, 1e3] },
  thompson: { scale: [0, 1e3] },
  greedy: {},
} as const;

/** @throws MILL_EXPERIMENT_INVALID naming the part, wanted and found. */
export function experimentFrom(value: unknown): CheckedExperiment {
  if (!isMap(value)) throw invalid('experiment', 'an object', value);
  refuseOthers('', value, properties);
  const name = nameAt('name', value.name);
  const model = nameAt('model', value.model);
  const layer = nameAt('layer', value.layer ?? layerDefault);
  const salt = textAt('salt', value.salt ?? layer, 64);
  const { key } = value;
  if (typeof key !== 'string' || unitReaderOf(key) === null)
    throw invalid('key', 'user.FIELD, context.FIELD or requestId', key);
  if (!Array.isArray(value.arms) || value.arms.length < 1 || value.arms.length > experimentArmsMax)
    throw invalid('arms', `1 to ${experimentArmsMax} arms`, value.arms);
  const arms = value.arms.map((arm, i) => armFrom(arm, `arms[${i}]`, model));
  const names = arms.map((arm) => arm.name);
  const twice = names.find((one, i) => names.indexOf(one) !== i);
  if (twice !== undefined) throw invalid('arms', 'each name once', `"${twice}" twice`);
  const control = value.control ?? arms.find(({ shadow }) => !shadow)?.name ?? names[0];
  if (typeof control !== 'string' || !names.includes(control))
    throw invalid('control', `one of ${names.join(', ')}`, control);
  const confidence = value.confidence ?? 0.95;
  if (typeof confidence !== 'number' || !(confidence >= 0.5 && confidence < 1))
    throw invalid('confidence', '0.5 to below 1', confidence);
  const note = textAt('note', value.note ?? '', versionNoteCharsMax);
  const guards = guardsFrom(value.guards ?? {});
  return { name, model, layer, key, salt, control, confidence, guards, arms, note };
}

/**
 * Whole buckets of a share.
 * @throws MILL_EXPERIMENT_INVALID unless it is 0 to 1 in steps of 1/10,000.
 */
export function bucketsOf(path: string, share: unknown): number {
  const buckets = typeof share === 'number' ? Math.round(share * experimentBuckets) : Number.NaN;
  if (
    !(Math.abs((share as number) * experimentBuckets - buckets) < 1e-6) ||
    buckets < 0 ||
    buckets > experimentBuckets
  )
    throw invalid(path, '0 to 1 in steps of 0.0001', share);
  return buckets;
}

export function invalid(path: string, wanted: string, found: unknown): MillraceError {
  const shown = typeof found === 'string' ? found : (JSON.stringify(found) ?? 'nothing');
  return new MillraceError(
    'MILL_EXPERIMENT_INVALID',
    `${path}: wanted ${wanted}, found ${shown.slice(0, 120)}`,
    { details: { path, wanted } },
  );
}

function armFrom(value: unknown, path: string, model: string): CheckedArm {
  if (!isMap(value)) throw invalid(path, 'an object', value);
  refuseOthers(`${path}.`, value, armProperties);
  const name = nameAt(`${path}.name`, value.name);
  const target = targetFrom(value.target ?? { type: 'default' }, `${path}.target`);
  if (target.type === 'model' && target.model === model)
    throw invalid(`${path}.target.model`, 'another model than the experiment’s', target.model);
  const own: ArmLearning = target.type === 'model' ? 'apart' : 'shared';
  const learn = value.learn ?? own;
  if (learn !== own)
    throw invalid(`${path}.learn`, `${own} with target ${target.type}: rows and log are a model’s`, learn);
  const shadow = value.shadow ?? false;
  if (typeof shadow !== 'boolean') throw invalid(`${path}.shadow`, 'true or false', shadow);
  const exploration = explorationAt(`${path}.exploration`, value.exploration, shadow);
  return { name, target, learn: own, shadow, exploration, buckets: bucketsOf(`${path}.share`, value.share) };
}

function targetFrom(value: unknown, path: string): ArmTarget {
  if (!isMap(value)) throw invalid(path, '{ "type": default, live, version, label or model }', value);
  const { type, version, label, model } = value;
  if (typeof type !== 'string' || !Object.hasOwn(targetProperties, type))
    throw invalid(`${path}.type`, Object.keys(targetProperties).join(', '), type);
  const kind = type as keyof typeof targetProperties;
  refuseOthers(`${path}.`, value, ['type', ...targetProperties[kind]]);
  switch (kind) {
    case 'default':
    case 'live':
      return { type: kind };
    case 'version':
      if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
        throw invalid(`${path}.version`, 'a number from 1', version);
      return { type: kind, version };
    case 'label':
      if (label === liveLabel) return { type: 'live' };
      if (typeof label !== 'string' || !isVersionLabel(label))
        throw invalid(`${path}.label`, 'a label', label);
      return { type: kind, label };
    case 'model':
      return { type: kind, model: nameAt(`${path}.model`, model) };
  }
}

function explorationAt(path: string, value: unknown, shadow: boolean): ExplorationSpec | null {
  if (value === undefined || value === null) return null;
  if (shadow) throw invalid(path, 'nothing with shadow: it is not what is shown', value);
  if (!isMap(value)) throw invalid(path, '{ "type": … } as of POST /v1/rank', value);
  const { type } = value;
  if (typeof type !== 'string' || !Object.hasOwn(explorationRanges, type))
    throw invalid(`${path}.type`, Object.keys(explorationRanges).join(', '), type);
  const ranges: Readonly<Record<string, readonly [number, number]>> = explorationRanges[type as 'greedy'];
  refuseOthers(`${path}.`, value, ['type', ...Object.keys(ranges)]);
  for (const [name, [min, max]] of Object.entries(ranges)) {
    const found = value[name];
    if (found !== undefined && !(typeof found === 'number' && found >= min && found <= max))
      throw invalid(`${path}.${name}`, `${min} to ${max}`, found);
  }
  return value as unknown as ExplorationSpec;
}

function guardsFrom(value: unknown): GuardBounds {
  if (!isMap(value)) throw invalid('guards', 'an object', value);
  const names = Object.keys(guardBounds) as (keyof GuardBounds)[];
  refuseOthers('guards.', value, names);
  for (const name of names) {
    const bound = value[name];
    if (bound === undefined || bound === null) continue;
    if (typeof bound !== 'number' || !(bound >= 0 && bound <= 1e6))
      throw invalid(`guards.${name}`, 'a number from 0, or null', bound);
  }
  return { ...guardBounds, ...(value as Partial<GuardBounds>) };
}

function nameAt(path: string, value: unknown): string {
  if (typeof value === 'string' && isName(value)) return value;
  throw invalid(path, 'a lower-case letter, then up to 39 lower-case letters, digits and dashes', value);
}

function textAt(path: string, value: unknown, charsMax: number): string {
  if (typeof value === 'string' && value.length <= charsMax) return value;
  throw invalid(path, `a text of at most ${charsMax} characters`, value);
}

function refuseOthers(
  path: string,
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
): void {
  const other = Object.keys(value).find((name) => !known.includes(name));
  if (other !== undefined) throw invalid(`${path}${other}`, `one of ${known.join(', ')}`, 'another property');
}
