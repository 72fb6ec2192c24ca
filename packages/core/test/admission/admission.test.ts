import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAdmission } from '../../src/admission/create-admission.ts';
import { createExactCounter } from '../../src/admission/exact-counter.ts';
import { createProbability } from '../../src/admission/probability.ts';
import { createSketchCounter } from '../../src/admission/sketch-counter.ts';

const anySight = fc.record({ key: fc.nat(30), occurrences: fc.integer({ min: 1, max: 4 }) });
const anySights = fc.array(anySight, { maxLength: 120 });

/** Counts in two maps, as the rule of generations is told: the twin of exact-counter.ts. */
function plainCounter(wanted: number, keysMax: number) {
  let young = new Map<number, number>();
  let old = new Map<number, number>();
  return (key: number, occurrences: number): boolean => {
    const count = (young.get(key) ?? old.get(key) ?? 0) + occurrences;
    const admitted = count >= wanted;
    if (young.has(key)) young.set(key, admitted ? 0 : count);
    else if (admitted) old.delete(key);
    else {
      if (young.size === keysMax) {
        old = young;
        young = new Map();
      }
      young.set(key, count);
    }
    return admitted;
  };
}

test('exact counter: admits at the count-th occurrence, and counts anew after that', () => {
  const counter = createExactCounter(3);
  const admits = () => counter.admits(5, 6, 1, 1);
  expect([admits(), admits(), admits(), admits(), admits(), admits()]).toEqual([
    false,
    false,
    true,
    false,
    false,
    true,
  ]);
  // Several occurrences of one block count one each; another key shares nothing.
  expect([counter.admits(7, 6, 2, 1), counter.admits(6, 7, 3, 1), counter.admits(7, 6, 1, 1)]).toEqual([
    false,
    true,
    true,
  ]);
});

test('exact counter: agrees with two maps, generations and all, also from a copy (property)', () => {
  fc.assert(
    fc.property(anySights, fc.integer({ min: 1, max: 6 }), fc.nat(120), (sights, wanted, copyAt) => {
      let counter = createExactCounter(wanted, 8);
      const plain = plainCounter(wanted, 8);
      sights.forEach(({ key, occurrences }, i) => {
        if (i === copyAt) {
          const copy = createExactCounter(wanted, 8);
          copy.restore(counter.words());
          expect(copy.words()).toEqual(counter.words());
          counter = copy;
        }
        expect([i, counter.admits(key, key >>> 1, occurrences, i)]).toEqual([i, plain(key, occurrences)]);
      });
    }),
  );
});

test('exact counter: what it remembers is bounded, whatever comes', () => {
  const counter = createExactCounter(2, 1_000);
  for (let key = 0; key < 10_000; key += 1) counter.admits(key, 1, 1, 1);
  expect(counter.words().length).toBeLessThanOrEqual(2 + 2 * 3 * 1_000);
  expect(counter.bytes()).toBeLessThanOrEqual(2 * 1_024 * (8 + 4 + 8));
  // The newest thousand are remembered, the oldest are not.
  expect([counter.admits(9_500, 1, 1, 1), counter.admits(5, 1, 1, 1)]).toEqual([true, false]);
});

test('exact counter: refuses words of another form', () => {
  const counter = createExactCounter(2, 8);
  for (const words of [[], [1], [1, 0], [9, 0, ...new Array(27).fill(0)], [0, 1, 2, 3]])
    expect(() => counter.restore(Uint32Array.from(words))).toThrow(RangeError);
});

test('sketch counter: never late; early only for keys that share cells (property)', () => {
  fc.assert(
    fc.property(anySights, fc.integer({ min: 1, max: 300 }), (sights, wanted) => {
      const sketch = createSketchCounter(wanted, 64, 7);
      const counts = new Map<number, number>();
      for (const { key, occurrences } of sights) {
        const count = (counts.get(key) ?? 0) + occurrences;
        counts.set(key, count);
        const admitted = sketch.admits(key, 9, occurrences, 1);
        if (count >= wanted) expect(admitted).toBe(true);
      }
    }),
  );
});

test('sketch counter: with cells to spare it counts exactly, and goes on from a copy', () => {
  let sketch = createSketchCounter(3, 65_536, 7);
  let early = 0;
  for (let round = 1; round <= 3; round += 1) {
    for (let key = 0; key < 500; key += 1) {
      const admitted = sketch.admits(key, 1, 1, 1);
      if (round < 3 && admitted) early += 1;
      if (round === 3) expect(admitted).toBe(true);
    }
    const copy = createSketchCounter(3, 65_536, 7);
    copy.restore(sketch.words());
    sketch = copy;
  }
  expect(early).toBe(0);
});

test.each([
  { wanted: 255, bytes: 64 },
  { wanted: 256, bytes: 128 },
  { wanted: 65_536, bytes: 256 },
])('sketch counter: cells saturate at $wanted in $bytes bytes', ({ wanted, bytes }) => {
  const sketch = createSketchCounter(wanted, 64, 1);
  expect(sketch.bytes()).toBe(bytes);
  expect([sketch.admits(1, 2, wanted - 1, 1), sketch.admits(1, 2, 1, 1)]).toEqual([false, true]);
  expect(sketch.admits(1, 2, 4_000_000_000, 1)).toBe(true);
  expect(() => sketch.restore(new Uint32Array(3))).toThrow(RangeError);
});

test('probability: is a function of key, table and sequence, and comes near to what is asked', () => {
  const chance = createProbability(0.25, 11);
  const again = createProbability(0.25, 11);
  const other = createProbability(0.25, 12);
  let admitted = 0;
  let differs = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const [low, high, sequence] = [Math.imul(i, 7) >>> 0, i % 13, 2 ** 33 + i];
    const answer = chance.admits(low, high, 1, sequence);
    expect(again.admits(low, high, 1, sequence)).toBe(answer);
    if (answer) admitted += 1;
    if (other.admits(low, high, 1, sequence) !== answer) differs += 1;
  }
  // Four standard deviations: 4 · sqrt(20,000 · 0.25 · 0.75) = 245.
  expect(Math.abs(admitted - 5_000)).toBeLessThan(245);
  expect(differs).toBeGreaterThan(5_000);
});

test('probability: one key at many sequences, and many occurrences at one, are as many chances', () => {
  const chance = createProbability(0.1, 3);
  const sequences = Array.from({ length: 10_000 }, (_, sequence) => chance.admits(5, 5, 1, sequence));
  expect(Math.abs(sequences.filter(Boolean).length - 1_000)).toBeLessThan(120);
  // 1 − 0.9^10 = 0.6513.
  const tens = Array.from({ length: 10_000 }, (_, low) => chance.admits(low, 5, 10, 1));
  expect(Math.abs(tens.filter(Boolean).length - 6_513)).toBeLessThan(191);
  expect(createProbability(1, 3).admits(1, 2, 1, 3)).toBe(true);
  expect([chance.words().length, chance.bytes()]).toEqual([0, 0]);
  expect(() => chance.restore(new Uint32Array(1))).toThrow(RangeError);
});

test('admission: the model file chooses the policy', () => {
  const exact = createAdmission({ type: 'count', count: 2 }, 1);
  const sketch = createAdmission({ type: 'count', count: 2, counter: 'sketch', cells: 256 }, 1);
  const byDefault = createAdmission({ type: 'count', count: 2, counter: 'sketch' }, 1);
  const chance = createAdmission({ type: 'probability', probability: 0.5 }, 1);
  expect([exact, sketch, byDefault, chance].map((policy) => policy.words().length)).toEqual([
    2, 64, 16_384, 0,
  ]);
});
