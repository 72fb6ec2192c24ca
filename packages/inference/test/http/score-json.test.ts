import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scoreJson, scoresText } from '../../src/http/score-json.ts';

const answer = {
  requestId: 'r "1"',
  model: 'shop',
  version: 7,
  stalenessMs: 1.5,
  degraded: false,
  engine: 'plain',
};

function read(scores: readonly number[]): readonly number[] {
  return JSON.parse(`[${scoresText(scores)}]`) as number[];
}

test('score json: an answer reads as what JSON.stringify would write', () => {
  const scores = [0.5, 0.25, 0, 1, Math.fround(1e-9), 0.123456789012];
  expect(JSON.parse(scoreJson({ ...answer, scores }))).toEqual({ ...answer, scores });
  expect(JSON.parse(scoreJson({ ...answer, scores: [] }))).toEqual({ ...answer, scores: [] });
});

test('score json: every float32 comes back to the bit', () => {
  const float32s = fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { maxLength: 200 });
  fc.assert(
    fc.property(float32s, (scores) => {
      expect(Float32Array.from(read(scores))).toEqual(Float32Array.from(scores));
    }),
  );
  // Those around which twelve decimals begin to be enough, and the last one below 1.
  const words = new Uint32Array(1);
  const floats = new Float32Array(words.buffer);
  const around: number[] = [];
  for (const edge of [2 ** -15, 2 ** -14, 1]) {
    floats[0] = edge;
    const word = words[0];
    for (let step = -50; step <= 50; step += 1) {
      words[0] = word + step;
      if (floats[0] <= 1) around.push(floats[0]);
    }
  }
  expect(Float32Array.from(read(around))).toEqual(Float32Array.from(around));
});

test('score json: what is no number is null, as JSON has it', () => {
  expect(read([Number.NaN, 0.5, Number.POSITIVE_INFINITY])).toEqual([null, 0.5, null]);
  expect(scoresText([0.5, 1, 0])).toBe('0.5,1,0');
});

test('score json: more scores than ever before get more room', () => {
  const scores = Array.from({ length: 20_000 }, (_, i) => Math.fround(1 / (i + 1)));
  expect(read(scores).map(Math.fround)).toEqual(scores);
});
