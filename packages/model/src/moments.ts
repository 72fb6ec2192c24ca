/**
 * Dense fields that are standardised by running moments. The moments are part of the dense state (core, optimizer/moments.ts),
 * so a batch is normalised by those of the dense version that it runs with (I5), between gather and net:
 *   x' = (x − mean) / √(M2/n), at most ±normalizedMax;   missing: 0, which is the mean
 * and what a batch adds to them travels behind the net's gradients.
 */
import { momentFloats } from '@millrace/core';
import type { NetInput } from './engine.ts';
import type { FeaturePlan } from './feature-plan.ts';
import type { SparseBatch } from './sparse-batch.ts';

/**
 * Beyond this a value counts as this: while few values are known their deviation may be next to nothing, and a thousand
 * deviations would shake every weight that they meet.
 */
const normalizedMax = 10;
/** A value beyond ±this counts as this in the moments: its square, a million times, still fits a float32. */
const momentValueMax = 1e12;

/** [mean, deviation] a field. */
export type Scales = Float64Array;

/**
 * What a version's moments make of values. Before any value is known mean 0 and deviation 1; a deviation of 0 is 1 as well.
 * @param weights dense state: the moments are its last 3 · fields floats.
 */
export function scalesFrom(weights: Float32Array, fields: number): Scales {
  const scales = new Float64Array(2 * fields);
  const from = weights.length - momentFloats * fields;
  for (let f = 0; f < fields; f += 1) {
    const at = from + momentFloats * f;
    const variance = weights[at] > 0 ? weights[at + 2] / weights[at] : 0;
    scales[2 * f] = weights[at + 1];
    scales[2 * f + 1] = variance > 0 ? Math.sqrt(variance) : 1;
  }
  return scales;
}

/**
 * Normalises what the batch has of such fields: the x of occurrences, in place, and the net's numbers.
 * @param dense float32[rows, denseInputs], written; a copy of batch.dense where nothing is to be normalised.
 */
export function normalize(plan: FeaturePlan, batch: SparseBatch, scales: Scales, dense: Float32Array): void {
  const { raw, scaled } = batch;
  const fields = plan.moments.length;
  for (let i = 0; i < scaled.count; i += 1) {
    const { exampleOf, xOf } = batch.tables[scaled.tableOf[i]];
    const occurrence = scaled.occurrenceOf[i];
    const field = scaled.fieldOf[i];
    xOf[occurrence] = normalized(raw[exampleOf[occurrence] * fields + field], scales, field);
  }
  const inputs = plan.denseInputs.length;
  for (let b = 0; b < batch.rows; b += 1) {
    for (let i = 0; i < inputs; i += 1) {
      const field = plan.denseInputs[i].moments;
      const at = b * inputs + i;
      dense[at] = field < 0 ? batch.dense[at] : normalized(raw[b * fields + field], scales, field);
    }
  }
}

function normalized(x: number, scales: Scales, field: number): number {
  if (Number.isNaN(x)) return 0;
  const deviations = (x - scales[2 * field]) / scales[2 * field + 1];
  return Math.min(normalizedMax, Math.max(-normalizedMax, deviations));
}

/**
 * Writes the moments of a batch's shown examples to out[at …]: count, mean, M2 a field, in float64 until they are stored.
 * @param shown float32[rows]: examples with 0 were counted when they were shown.
 */
export function batchMoments(
  plan: FeaturePlan,
  { raw, rows }: SparseBatch,
  shown: Float32Array,
  out: Float32Array,
  at: number,
): void {
  const fields = plan.moments.length;
  for (let f = 0; f < fields; f += 1) {
    let count = 0;
    let mean = 0;
    let squares = 0;
    for (let b = 0; b < rows; b += 1) {
      const x = raw[b * fields + f];
      if (!(shown[b] > 0) || Number.isNaN(x)) continue;
      const value = Math.min(momentValueMax, Math.max(-momentValueMax, x));
      count += 1;
      const difference = value - mean;
      mean += difference / count;
      squares += difference * (value - mean);
    }
    out[at + momentFloats * f] = count;
    out[at + momentFloats * f + 1] = mean;
    out[at + momentFloats * f + 2] = squares;
  }
}

/** The net's numbers of a batch: its own array where no field has running moments. */
export function denseOf(
  plan: FeaturePlan,
  batch: SparseBatch,
  scales: Scales,
  room: Float32Array,
): NetInput['dense'] {
  if (plan.moments.length === 0) return batch.dense;
  normalize(plan, batch, scales, room);
  return room;
}
