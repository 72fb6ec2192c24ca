/** Encodes requests of a model file and shows what came out by name, so that a test can write down what it wants by hand. */
import { hashPair, hashText } from '@millrace/core';
import { type Features, featureValuesMax, type ModelFile } from '@millrace/protocol';
import { compileNet } from '../src/compile-model.ts';
import { createFeatureEncoder } from '../src/feature-encoder.ts';
import { compileFeatures, type FeaturePlan } from '../src/feature-plan.ts';
import { createSparseBatch, type SparseBatch } from '../src/sparse-batch.ts';

export interface Request {
  readonly user?: Features;
  readonly context?: Features;
  readonly items: readonly Features[];
}

export interface Encoded {
  readonly plan: FeaturePlan;
  readonly batch: SparseBatch;
  /** Occurrences by table, each as [example, key, slot, x]. */
  readonly tables: readonly (readonly (readonly [number, string, number, number])[])[];
  /** Numbers that the layers read, one row an example. */
  readonly dense: readonly (readonly number[])[];
}

export function planOf(file: ModelFile): FeaturePlan {
  return compileFeatures(file, compileNet(file), featureValuesMax);
}

export function encode(file: ModelFile, requests: readonly Request[]): Encoded {
  const plan = planOf(file);
  const batch = createSparseBatch(plan);
  const encoder = createFeatureEncoder(plan);
  for (const { user = {}, context = {}, items } of requests) {
    encoder.beginRequest(user, context);
    items.forEach((item, place) => {
      encoder.addItem(batch, item, place);
    });
  }
  return { plan, batch, tables: shown(batch), dense: denseRows(batch, plan.denseInputs.length) };
}

export function shown(batch: SparseBatch): Encoded['tables'] {
  // What a request's items share stands with its first: here with each of them, example after example.
  const requestOf = (example: number) => {
    const r = batch.starts.subarray(0, batch.requests).findLastIndex((start) => start <= example);
    const end = r + 1 < batch.requests ? batch.starts[r + 1] : batch.rows;
    return Array.from({ length: end - example }, (_, i) => example + i);
  };
  return batch.tables.map((table) =>
    Array.from({ length: table.occurrences }, (_, i) => {
      const key = table.keyOf[i];
      const words = hex(table.keys[2 * key], table.keys[2 * key + 1]);
      const examples = table.sharedOf[i] === 1 ? requestOf(table.exampleOf[i]) : [table.exampleOf[i]];
      return examples.map((example) => [example, words, table.slotOf[i], table.xOf[i]] as const);
    })
      .flat()
      .sort(([a], [b]) => a - b),
  );
}

function denseRows(batch: SparseBatch, inputs: number): readonly (readonly number[])[] {
  return Array.from({ length: batch.rows }, (_, b) =>
    Array.from(batch.dense.subarray(b * inputs, (b + 1) * inputs)),
  );
}

/** The key of one value of a field, as the text `high:low`. */
export function keyOf(plan: FeaturePlan, field: string, text: string): string {
  const words = wordsOf(plan, field, text);
  return hex(words[0], words[1]);
}

/** The key of a cross of one value a field. */
export function crossKeyOf(plan: FeaturePlan, cross: string, values: readonly string[]): string {
  const spec = plan.crosses.find(({ name }) => name === cross)!;
  const words = Uint32Array.of(spec.seedLow, spec.seedHigh);
  spec.fields.forEach((f, i) => {
    const [low, high] = wordsOf(plan, plan.keyFields[f].name, values[i]);
    hashPair(words[0], words[1], low, high, words, 0);
  });
  return hex(words[0], words[1]);
}

export function biasKeyOf(plan: FeaturePlan): string {
  return hex(plan.bias!.low, plan.bias!.high);
}

function wordsOf(plan: FeaturePlan, field: string, text: string): Uint32Array {
  const { seedLow, seedHigh } = plan.keyFields.find(({ name }) => name === field)!;
  const words = new Uint32Array(2);
  hashText(text, seedLow, seedHigh, words, 0);
  return words;
}

function hex(low: number, high: number): string {
  return `${high.toString(16)}:${low.toString(16)}`;
}
