/**
 * What a program must do with requests: score each item as it would alone, to the bit, and as the unsplit net does (one
 * all of whose inputs count as of both sides), to 1e-5.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../src/choose-engine.ts';
import type { Engine, EngineName, NetInput } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';
import { sharedInputsOf } from '../src/shared-inputs.ts';
import { unsplitShape } from '../src/unsplit-net.ts';
import type { NetCase } from './net-cases.ts';

/** A batch of requests of some sizes; `itemsKnown` items stand in them again and again. */
function batchOf(shape: NetShape, sizes: readonly number[], itemsKnown: number, seed: number): NetInput {
  const { slotFloats, embeddingFloats, denseFields, sides, attention } = shape;
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  const embeddings = new Float32Array(rows * embeddingFloats);
  const dense = new Float32Array(rows * denseFields);
  const lengths = new Int32Array(rows * attention.length);
  const drawn = (n: number, place: number) => Math.sin(seed + 12.9 * n + 78.2 * place);
  let b = 0;
  for (const [r, size] of sizes.entries()) {
    for (let i = 0; i < size; i += 1, b += 1) {
      const item = 1_000 + ((b * 7) % itemsKnown);
      for (let place = 0; place < slotFloats + denseFields; place += 1) {
        const of = { shared: r, item, mixed: 10_000 + b }[sides[place]];
        const value = drawn(of, place);
        if (place < slotFloats) embeddings[b * embeddingFloats + place] = value;
        else dense[b * denseFields + place - slotFloats] = value;
      }
      // Histories are the request's.
      for (let at = slotFloats; at < embeddingFloats; at += 1)
        embeddings[b * embeddingFloats + at] = drawn(r, at);
      for (let s = 0; s < attention.length; s += 1) lengths[b * attention.length + s] = r % 4;
    }
  }
  const starts = Int32Array.from(sizes, (_, r) => sizes.slice(0, r).reduce((sum, size) => sum + size, 0));
  const wide = Float32Array.from({ length: rows }, (_, n) => drawn(n, 999));
  return { rows, wide, embeddings, dense, lengths, requests: { starts, count: sizes.length } };
}

/** The same with what a request's items share in its first row alone, and nonsense in the others. */
function sharedOnce(input: NetInput, shape: NetShape): NetInput {
  const { shared } = sharedInputsOf(shape);
  const embeddings = input.embeddings.slice();
  const starts = new Set(input.requests?.starts);
  for (let b = 0; b < input.rows; b += 1) {
    if (starts.has(b)) continue;
    for (let run = 0; run < shared.length; run += 2)
      embeddings.fill(
        1e6,
        b * shape.embeddingFloats + shared[run],
        b * shape.embeddingFloats + shared[run + 1],
      );
  }
  return { ...input, embeddings };
}

/** One row of a batch, as a request of its own. */
function rowAlone({ wide, embeddings, dense, lengths }: NetInput, shape: NetShape, b: number): NetInput {
  const of = <T extends Float32Array | Int32Array>(all: T, width: number) =>
    all.slice(b * width, (b + 1) * width) as T;
  return {
    rows: 1,
    wide: of(wide, 1),
    embeddings: of(embeddings, shape.embeddingFloats),
    dense: of(dense, shape.denseFields),
    lengths: of(lengths, shape.attention.length),
    requests: { starts: Int32Array.of(0), count: 1 },
  };
}

export function splitConformance(name: EngineName, cases: readonly NetCase[]): void {
  let engine: Engine;
  beforeAll(async () => {
    ({ engine } = await openEngine({ wanted: name, shape: cases[0].shape, onSkip: () => {} }));
  });
  afterAll(() => engine.dispose());

  test.each(cases)(
    `engine ${name}: $title: requests are scored as their items are alone, and as the unsplit net scores them`,
    async ({ shape }) => {
      const program = engine.compile(shape);
      const whole = engine.compile(unsplitShape(shape));
      const scored = async (input: NetInput, weights: Float32Array) => {
        const loaded = program.load(weights);
        const logits = new Float32Array(input.rows);
        await program.forward(loaded, input, logits);
        return { loaded, logits };
      };
      const sizes = fc.array(fc.constantFrom(1, 2, 5, 40), { minLength: 1, maxLength: 3 });
      await fc.assert(
        fc.asyncProperty(sizes, fc.constantFrom(1, 3, 1_000), fc.nat(1_000), async (chosen, known, seed) => {
          const weights = initialParameters(shape, seed);
          const input = batchOf(shape, chosen, known, seed);
          const { loaded, logits } = await scored(sharedOnce(input, shape), weights);
          // Again, with what was kept of the first time.
          const again = new Float32Array(input.rows);
          await program.forward(loaded, sharedOnce(input, shape), again);
          expect(again).toEqual(logits);
          // Other weights in the same memory: nothing is kept of those before.
          if (program.reload !== undefined) {
            const others = initialParameters(shape, seed + 1);
            program.reload(loaded, others);
            await program.forward(loaded, input, again);
            expect(again).toEqual((await scored(input, others)).logits);
            program.reload(loaded, weights);
          }
          for (const b of new Set([0, input.rows - 1])) {
            const alone = (await scored(rowAlone(input, shape, b), weights)).logits;
            expect(alone[0]).toBe(logits[b]);
          }
          const unsplit = new Float32Array(input.rows);
          await whole.forward(whole.load(weights), input, unsplit);
          for (let b = 0; b < input.rows; b += 1)
            expect(Math.abs(logits[b] - unsplit[b])).toBeLessThan(1e-5 * Math.max(1, Math.abs(unsplit[b])));
        }),
        { numRuns: name === 'plain' ? 12 : 5 },
      );
      program.dispose();
      whole.dispose();
    },
  );
}
