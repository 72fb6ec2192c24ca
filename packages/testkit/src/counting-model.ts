/**
 * A model that counts. Its rows are single weights learned by plain gradient descent with a step so small that every
 * prediction stays one half, so each example adds the same to its rows, whatever was learned before it:
 *
 *   w = −learningRate · Σ (p − y) = −learningRate · (shown / 2 − clicked)
 *
 * A row thus tells exactly how many examples it has seen, and one that was lost or counted twice shows.
 */
import { findRow, type PartitionState, partitionOf } from '@millrace/core';
import { compileFeatures, compileNet, createFeatureEncoder, createSparseBatch } from '@millrace/model';
import {
  featureValuesMax,
  invariant,
  type LearningSpec,
  type ModelFile,
  partitionsDefault,
} from '@millrace/protocol';

/** 10,000 examples move a prediction by less than 0.0001, and thus a count of them by less than a quarter. */
const learningRate = 2 ** -26;

/** One item field and the bias. */
export function countingModel(name: string, learning: LearningSpec): ModelFile {
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 4,
    tables: [{ name: 'counts', wide: { optimizer: { type: 'sgd', learningRate } } }],
    fields: [{ name: 'item', type: 'sparse', scope: 'item', table: 'counts' }],
    bias: true,
    net: 'linear',
    loss: 'logloss',
    seed: 1,
    learning,
  };
}

export interface Counted {
  /** shown / 2 − clicked, in halves, as the weight tells it. */
  readonly item: number;
  /** The same over all examples, from the row that every example touches. */
  readonly bias: number;
}

/** What a counting model has counted for an item. `states` are the folds of its partitions, by partition. */
export function countsOf(file: ModelFile, states: readonly PartitionState[], item: string): Counted {
  const plan = compileFeatures(file, compileNet(file), featureValuesMax);
  const batch = createSparseBatch(plan);
  const encoder = createFeatureEncoder(plan);
  const weightsOf = (value: string | null) => {
    const before = batch.tables[0].occurrences;
    encoder.beginRequest({}, {});
    encoder.addItem(batch, { item: value }, 0);
    const { keys, keyOf, occurrences } = batch.tables[0];
    return Array.from(keyOf.subarray(before, occurrences), (key) =>
      weightOf(file, states, keys[2 * key], keys[2 * key + 1]),
    );
  };
  // An example without an item has the bias alone.
  const [bias] = weightsOf(null);
  const sum = weightsOf(item).reduce((total, weight) => total + weight, 0);
  return { item: halvesFrom(sum - bias), bias: halvesFrom(bias) };
}

/**
 * Keys of the rows that count items, uint32[items, 2] in the order of `items`, each of which stands there once; the weight of
 * such a row alone is its count by `countFrom`.
 */
export function countingKeys(file: ModelFile, items: readonly string[]): Uint32Array {
  const plan = compileFeatures(file, compileNet(file), featureValuesMax);
  const batch = createSparseBatch(plan);
  const encoder = createFeatureEncoder(plan);
  encoder.beginRequest({}, {});
  encoder.addItem(batch, { item: null }, 0);
  const before = batch.tables[0].unique;
  items.forEach((item, i) => {
    encoder.addItem(batch, { item }, i);
  });
  const { keys, unique } = batch.tables[0];
  invariant(unique === before + items.length, 'each item is there once');
  return keys.slice(2 * before, 2 * unique);
}

/** shown / 2 − clicked, in halves, as the weight of an item's row tells it. */
export function countFrom(weight: number): number {
  return halvesFrom(weight);
}

function weightOf(file: ModelFile, states: readonly PartitionState[], low: number, high: number): number {
  const state = states[partitionOf(low, high, file.partitions ?? partitionsDefault)];
  const row = findRow(state.tables[0], low, high);
  return row < 0 ? 0 : state.tables[0].weights[row];
}

/** To the nearest half; 0 rather than −0. */
function halvesFrom(weight: number): number {
  return Math.round((-2 * weight) / learningRate) / 2 + 0;
}
