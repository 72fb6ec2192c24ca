import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createItemMemo } from '../src/item-memo.ts';

test('item memo: knows of an item what was last kept of it with these weights, or nothing', () => {
  const memo = createItemMemo(2, 1);
  const item = fc.tuple(fc.constantFrom(0, 1, -1.5, 1e-30), fc.nat(30_000));
  fc.assert(
    fc.property(fc.array(fc.record({ item, isNew: fc.boolean() }), { maxLength: 200 }), (steps) => {
      let known = new Map<string, number>();
      let weights = {};
      memo.use(weights);
      for (const [n, { item: inputs, isNew }] of steps.entries()) {
        const at = Float32Array.of(9, ...inputs);
        if (isNew && n % 17 === 0) {
          weights = {};
          known = new Map();
        }
        memo.use(weights);
        const place = memo.find(at, 1);
        if (place >= 0) expect(memo.outputs[place]).toBe(known.get(String(inputs)));
        memo.keep(at, 1, Float32Array.of(0, 0, n), 2);
        known.set(String(inputs), n);
        expect(memo.outputs[memo.find(at, 1)]).toBe(n);
      }
    }),
  );
});

test('item memo: is bounded, and one item keeps its place until another takes it', () => {
  const memo = createItemMemo(64, 512);
  memo.use(memo);
  expect(memo.outputs.byteLength).toBeLessThanOrEqual(4 * 1024 * 1024);
  const outputs = new Float32Array(512).fill(3);
  const items = Array.from({ length: 50 }, (_, n) => Float32Array.from({ length: 64 }, (_, i) => n * 64 + i));
  for (const item of items) memo.keep(item, 0, outputs, 0);
  const kept = items.filter((item) => memo.find(item, 0) >= 0).length;
  expect(kept).toBeGreaterThan(40);
  memo.use({});
  expect(items.filter((item) => memo.find(item, 0) >= 0)).toEqual([]);
});
