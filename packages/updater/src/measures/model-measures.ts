/**
 * How well a model does while it learns (protocol/measures.ts). Pure: fed with what was learned, asked at the end of each
 * slot of ten seconds.
 *
 *   quality   score cells by arm: a ring of slots for the minute and the hour, one sum since the start
 *   fields    of every fourth example: coverage, new keys, spread of values
 *   drift     the hour against a reference that takes in what leaves the hour and forgets half of it in a day
 */
import {
  addCells,
  addScore,
  clearCells,
  createScoreCells,
  createSeenKeys,
  createSliding,
  curveOf,
  populationStability,
  reportOf,
  type ScoreCells,
  type Sliding,
  type SlidingKind,
} from '@millrace/core';
import type { Example } from '@millrace/joiner';
import type { GradientNorms } from '@millrace/model';
import type { ArmMeasures, FieldMeasures, Measures, ModelFile, Quality } from '@millrace/protocol';
import { createFieldReader, type FieldFigures, type FieldReader, fieldFiguresKind } from './field-figures.ts';

/** A slot of time; figures move by so much. */
export const measureSlotMs = 10_000;
const slotsAMinute = 60_000 / measureSlotMs;
const slotsAnHour = 3_600_000 / measureSlotMs;
/** Arms told apart; examples of further ones count among all. */
const armsMax = 16;
/** Observations on both sides below which nothing is said of drift. */
const driftCountMin = 1_000;
/** Factor of the reference a slot: half a day's end. */
const referenceKept = 0.5 ** (measureSlotMs / 86_400_000);
/** Every so many-th example is looked at field by field. */
const fieldEvery = 4;
const seenKeysMax = 1_000_000;

/** What an updater writes down, so that a successor goes on. */
export interface Judged {
  readonly arm: string;
  /** float64: shown, clicked and predicted of each cell, then the loss. */
  readonly cells: Float64Array;
}

export interface ModelMeasures {
  /** Takes what was learned. */
  take(examples: readonly Example[], norms: GradientNorms): void;
  /** Ends a slot and tells. */
  tell(timeMs: number): Measures;
  /** Sums since the start, by arm. */
  judged(): readonly Judged[];
}

const cellsKind: SlidingKind<ScoreCells> = {
  create: createScoreCells,
  add: addCells,
  clear: clearCells,
};

interface Arm {
  readonly minute: Sliding<ScoreCells>;
  readonly hour: Sliding<ScoreCells>;
  readonly start: ScoreCells;
  /** Nothing came of it for an hour: it gives way to another. */
  silent: boolean;
}

interface Field {
  readonly reader: FieldReader;
  readonly hour: Sliding<FieldFigures>;
  readonly reference: Float64Array;
}

export interface ModelMeasuresOptions {
  readonly file: ModelFile;
  /** Population stability index above which something counts as moved. */
  readonly driftAlert: number;
  /** Of the updater before; empty at the first start. */
  readonly judged: readonly Judged[];
}

export function createModelMeasures({ file, driftAlert, judged }: ModelMeasuresOptions): ModelMeasures {
  const arms = new Map<string, Arm>();
  const armNamed = (name: string): Arm | undefined => {
    let arm = arms.get(name);
    if (arm === undefined && arms.size > armsMax) forgetSilent(arms);
    if (arm === undefined && arms.size <= armsMax) {
      const sliding = (slots: number) => createSliding(cellsKind, slots);
      const start = createScoreCells();
      arm = { minute: sliding(slotsAMinute), hour: sliding(slotsAnHour), start, silent: false };
      arms.set(name, arm);
    }
    return arm;
  };
  const all = armNamed('') as Arm;
  for (const { arm, cells } of judged) restoreCells(armNamed(arm)?.start, cells);
  const scoreReference = new Float64Array(all.start.shown.length);
  const seen = createSeenKeys(seenKeysMax);
  const fields: readonly Field[] = file.fields.map((spec) => ({
    reader: createFieldReader(spec, seen),
    hour: createSliding(fieldFiguresKind, slotsAnHour),
    reference: new Float64Array(fieldFiguresKind.create().cells.length),
  }));
  const norms = createNorms();
  let taken = 0;

  const judge = (arm: Arm | undefined, { score, shown, clicked, weighting, isFirst }: Example) => {
    if (arm === undefined) return;
    arm.silent = false;
    // One learned as a negative before is judged as the positive that it is, not as two impressions.
    const impressions = weighting === 'late-positive' && !isFirst ? 0 : shown;
    for (const cells of [arm.minute.slot, arm.minute.sum, arm.hour.slot, arm.hour.sum, arm.start])
      addScore(cells, score, impressions, clicked);
  };

  const scoreDrift = () => driftOf(grouped(scoreReference), grouped(all.hour.sum.shown));

  const fieldMeasures = (field: Field): FieldMeasures => {
    const { examples, present, values, fresh, cells } = field.hour.sum;
    return {
      field: field.reader.field,
      coverage: examples > 0 ? present / examples : 0,
      newKeys: field.reader.numeric || values === 0 ? null : fresh / values,
      drift: driftOf(field.reference, cells),
    };
  };

  const advance = () => {
    decayInto(scoreReference, all.hour, (cells) => cells.shown);
    for (const arm of arms.values()) {
      arm.minute.advance();
      arm.hour.advance();
      arm.silent = arm.hour.sum.shown.every((shown) => Math.abs(shown) < 1e-9);
    }
    for (const { hour, reference } of fields) decayInto(reference, hour, ({ cells }) => cells);
    for (const { hour } of fields) hour.advance();
  };

  return {
    take(examples, step) {
      for (const example of examples) {
        judge(all, example);
        if (example.arm !== undefined && example.arm !== '')
          for (const arm of example.arm.split(' ')) judge(armNamed(arm), example);
        if (example.shown === 0) continue;
        taken += 1;
        if (taken % fieldEvery !== 0) continue;
        for (const { reader, hour } of fields)
          reader.read(example.user, example.context, example.item, hour.slot, hour.sum);
      }
      norms.add(step);
    },
    tell(timeMs) {
      const told: Measures = {
        model: file.name,
        timeMs,
        arms: [...arms].map(([arm, cells]) => armMeasures(arm, cells)),
        fields: fields.map(fieldMeasures),
        scoreDrift: scoreDrift(),
        gradientNorms: norms.mean(),
        alerts: [],
      };
      const moved = (drift: number | null) => drift !== null && drift > driftAlert;
      const alerts = told.fields.filter(({ drift }) => moved(drift)).map(({ field }) => field);
      advance();
      return { ...told, alerts: moved(told.scoreDrift) ? ['scores', ...alerts] : alerts };
    },
    judged: () => [...arms].map(([arm, { start }]) => ({ arm, cells: savedCells(start) })),
  };
}

/** One of those that are silent; the model's own figures, under '', stay. */
function forgetSilent(arms: Map<string, Arm>): void {
  for (const [name, { silent }] of arms) {
    if (!silent || name === '') continue;
    arms.delete(name);
    return;
  }
}

function armMeasures(arm: string, { minute, hour, start }: Arm): ArmMeasures {
  return {
    arm,
    quality: { minute: qualityOf(minute.sum), hour: qualityOf(hour.sum), start: qualityOf(start) },
    curve: curveOf(hour.sum),
  };
}

function qualityOf(cells: ScoreCells): Quality {
  const { count, positives, auc, logloss, normalizedEntropy, calibration } = reportOf(cells);
  return {
    count,
    positives,
    auc: known(auc),
    logloss: known(logloss),
    normalizedEntropy: known(normalizedEntropy),
    calibration: known(calibration),
  };
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Less what chance alone makes of it: (cells − 1) · (1/n + 1/m) for n and m observations of one distribution. */
function driftOf(reference: Float64Array, current: Float64Array): number | null {
  const [before, now] = [reference, current].map((counts) => counts.reduce((sum, count) => sum + count, 0));
  if (before < driftCountMin || now < driftCountMin) return null;
  const chance = (reference.length - 1) * (1 / before + 1 / now);
  return Math.max(0, populationStability(reference, current) - chance);
}

/** Cells eight by eight: finer ones would mostly measure noise. */
function grouped(cells: Float64Array): Float64Array {
  const groups = new Float64Array(cells.length / 8);
  for (let i = 0; i < cells.length; i += 1) groups[i >> 3] += Math.max(0, cells[i]);
  return groups;
}

/** What is about to leave the stretch goes into the reference, which forgets slowly. */
function decayInto<T>(
  reference: Float64Array,
  stretch: Sliding<T>,
  countsOf: (slot: T) => Float64Array,
): void {
  const leaving = countsOf(stretch.leaving);
  for (let i = 0; i < reference.length; i += 1)
    reference[i] = referenceKept * reference[i] + Math.max(0, leaving[i]);
}

/** Root mean squares over the newest minute's steps. */
function createNorms() {
  const kind: SlidingKind<Float64Array> = {
    create: () => new Float64Array(6),
    add: (to, what, sign) => {
      for (let i = 0; i < to.length; i += 1) to[i] += sign * what[i];
    },
    clear: (what) => void what.fill(0),
  };
  const minute = createSliding(kind, slotsAMinute);
  return {
    add({ logits, embeddings, dense }: GradientNorms) {
      [logits, embeddings, dense].forEach((norm, i) => {
        if (!Number.isFinite(norm)) return;
        for (const sums of [minute.slot, minute.sum]) {
          sums[2 * i] += norm * norm;
          sums[2 * i + 1] += 1;
        }
      });
    },
    mean(): Measures['gradientNorms'] {
      const of = (i: number) =>
        minute.sum[2 * i + 1] > 0 ? Math.sqrt(Math.max(0, minute.sum[2 * i]) / minute.sum[2 * i + 1]) : null;
      const told = { logits: of(0), embeddings: of(1), dense: of(2) };
      minute.advance();
      return told;
    },
  };
}

function savedCells({ shown, clicked, predicted, lossSum }: ScoreCells): Float64Array {
  return Float64Array.of(...shown, ...clicked, ...predicted, lossSum);
}

/** What another release has saved in another form is left alone: the sums then start anew. */
function restoreCells(cells: ScoreCells | undefined, saved: Float64Array): void {
  if (cells === undefined) return;
  const { length } = cells.shown;
  if (saved.length !== 3 * length + 1) return;
  cells.shown.set(saved.subarray(0, length));
  cells.clicked.set(saved.subarray(length, 2 * length));
  cells.predicted.set(saved.subarray(2 * length, 3 * length));
  cells.lossSum = saved[3 * length];
}
