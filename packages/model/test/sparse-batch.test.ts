import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addOccurrence, createSparseBatch, resetBatch } from '../src/sparse-batch.ts';
import { planOf } from './encoded.ts';
import { embeddingTable, smallModel, wideTable } from './small-model.ts';

const plan = planOf(smallModel({ fields: [], tables: [wideTable, embeddingTable('e', 2)] }));

test('sparse batch: a key is there once, in order of first occurrence, and occurrences refer to it', () => {
  const batch = createSparseBatch(plan);
  const [first, second] = batch.tables;
  addOccurrence(batch, first, 1, 2, -1, 1);
  addOccurrence(batch, first, 2, 1, 4, 0.5);
  batch.rows += 1;
  addOccurrence(batch, first, 1, 2, 4, 2);
  addOccurrence(batch, second, 1, 2, 0, 1);
  expect(Array.from(first.keys.subarray(0, 2 * first.unique))).toEqual([1, 2, 2, 1]);
  const occurrences = [0, 1, 2].map((i) => [
    first.keyOf[i],
    first.exampleOf[i],
    first.slotOf[i],
    first.xOf[i],
  ]);
  expect(occurrences).toEqual([
    [0, 0, -1, 1],
    [1, 0, 4, 0.5],
    [0, 1, 4, 2],
  ]);
  expect([second.unique, second.occurrences]).toEqual([1, 1]);
});

test('sparse batch: reset: the next batch knows nothing of the one before', () => {
  const batch = createSparseBatch(plan);
  const [table] = batch.tables;
  addOccurrence(batch, table, 7, 7, -1, 1);
  addOccurrence(batch, table, 8, 8, -1, 1);
  batch.rows = 1;
  resetBatch(batch);
  expect([batch.rows, table.unique, table.occurrences]).toEqual([0, 0, 0]);
  addOccurrence(batch, table, 8, 8, -1, 1);
  expect([table.unique, table.keyOf[0], table.keys[0], table.keys[1]]).toEqual([1, 0, 8, 8]);
});

test('sparse batch: agrees with a map over many batches, with colliding keys and growing arrays', () => {
  // Few distinct words make long chains: the index hashes low ^ high, so (a, b) and (b, a) always collide.
  const word = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 0xffff_ffff }));
  const occurrence = fc.tuple(word, word, fc.integer({ min: -1, max: 9 }), fc.integer({ min: 1, max: 8 }));
  const batches = fc.array(fc.array(occurrence, { maxLength: 700, size: 'max' }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(batches, (many) => {
      const batch = createSparseBatch(plan);
      const [table] = batch.tables;
      for (const occurrences of many) {
        resetBatch(batch);
        const places = new Map<string, number>();
        occurrences.forEach(([low, high, slot, x], i) => {
          batch.rows = i >> 2;
          addOccurrence(batch, table, low, high, slot, x / 8);
          const name = `${low} ${high}`;
          if (!places.has(name)) places.set(name, places.size);
        });
        expect(table.unique).toBe(places.size);
        expect(table.occurrences).toBe(occurrences.length);
        const keys = Array.from(
          { length: table.unique },
          (_, k) => `${table.keys[2 * k]} ${table.keys[2 * k + 1]}`,
        );
        expect(keys).toEqual([...places.keys()]);
        occurrences.forEach(([low, high, slot, x], i) => {
          const found = [table.keyOf[i], table.exampleOf[i], table.slotOf[i], table.xOf[i]];
          expect(found).toEqual([places.get(`${low} ${high}`), i >> 2, slot, x / 8]);
        });
      }
    }),
    { numRuns: 25 },
  );
}, 20_000);
