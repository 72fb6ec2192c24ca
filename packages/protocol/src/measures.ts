/**
 * How well a model does while it learns: told by its updater every few seconds on mill.measures.<model>, kept in the stream
 * MILL_MEASURES for about a day, MessagePack. Scores are judged by what came of them, before they were learned from.
 * What cannot be told yet (one class absent, too few examples) is null.
 */
import { packed, unpacked } from './packing.ts';
import { checkedRecord, readRecord, recordInvalid } from './record-checks.ts';

const what = 'record of measures';

/** Figures of a stretch of examples. */
export interface Quality {
  /** Summed weights of examples, and of positives. */
  readonly count: number;
  readonly positives: number;
  readonly auc: number | null;
  /** Mean, nats. */
  readonly logloss: number | null;
  /** logloss over that of always answering the mean label. */
  readonly normalizedEntropy: number | null;
  /** Σ predicted / Σ clicked: 1 is right, 1.2 is 20 % too many predicted clicks. */
  readonly calibration: number | null;
}

/** Stretches that figures are told of, and how long they are, ms; `start` is since the model was created. */
export const measureWindows = { minute: 60_000, hour: 3_600_000, start: null } as const;
export type MeasureWindow = keyof typeof measureWindows;

/** Examples of neighbouring scores: mean score, and share of positives. */
export interface CurvePoint {
  readonly count: number;
  readonly predicted: number;
  readonly observed: number;
}

export interface ArmMeasures {
  /** Experiment arm; '' for all examples together, which comes first. */
  readonly arm: string;
  readonly quality: Readonly<Record<MeasureWindow, Quality>>;
  /** Of the last hour, ascending by score. */
  readonly curve: readonly CurvePoint[];
}

export interface FieldMeasures {
  readonly field: string;
  /** Share of examples of the last hour that have a value. */
  readonly coverage: number;
  /** Share of its values, in that time, that were not seen before; null for numbers. */
  readonly newKeys: number | null;
  /** Population stability index of the last hour against what came before; null while either has too few examples. */
  readonly drift: number | null;
}

export interface Measures {
  readonly model: string;
  /** Unix ms of the updater. */
  readonly timeMs: number;
  readonly arms: readonly ArmMeasures[];
  readonly fields: readonly FieldMeasures[];
  /** As a field's, of the scores. */
  readonly scoreDrift: number | null;
  /** Root mean square over the last minute's batches of each gradient's Euclidean norm; null when there was none. */
  readonly gradientNorms: {
    readonly logits: number | null;
    readonly embeddings: number | null;
    readonly dense: number | null;
  };
  /** What has moved by more than the alert threshold: names of fields, and `scores`. */
  readonly alerts: readonly string[];
}

export function encodeMeasures(measures: Measures): Uint8Array {
  return packed(measures);
}

/** Reads and checks a record. Throws MILL_RECORD_INVALID. */
export function decodeMeasures(bytes: Uint8Array): Measures {
  const value = readRecord(what, () => unpacked(bytes));
  const measures = checkedRecord<Measures>(what, value, {
    model: 'text',
    timeMs: 'number',
    arms: 'list',
    fields: 'list',
    scoreDrift: 'number or null',
    gradientNorms: 'map',
    alerts: 'list',
  });
  for (const arm of measures.arms) {
    const { quality } = checkedRecord<ArmMeasures>(what, arm, { arm: 'text', quality: 'map', curve: 'list' });
    for (const window of Object.keys(measureWindows)) checkQuality(quality[window as MeasureWindow]);
    for (const point of arm.curve)
      checkedRecord<CurvePoint>(what, point, { count: 'number', predicted: 'number', observed: 'number' });
  }
  for (const field of measures.fields)
    checkedRecord<FieldMeasures>(what, field, {
      field: 'text',
      coverage: 'number',
      newKeys: 'number or null',
      drift: 'number or null',
    });
  checkedRecord<Measures['gradientNorms']>(what, measures.gradientNorms, {
    logits: 'number or null',
    embeddings: 'number or null',
    dense: 'number or null',
  });
  if (!measures.alerts.every((name) => typeof name === 'string'))
    throw recordInvalid(what, 'names of what has moved', 'other values');
  return measures;
}

function checkQuality(quality: unknown): void {
  checkedRecord<Quality>(what, quality, {
    count: 'number',
    positives: 'number',
    auc: 'number or null',
    logloss: 'number or null',
    normalizedEntropy: 'number or null',
    calibration: 'number or null',
  });
}
