import { beforeAll, expect, test } from 'vitest';
import type { Engine, LoadedWeights, Program } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import { createOnnxEngine } from '../src/onnx-engine.ts';
import { type OnnxRuntime, openOnnxRuntime } from '../src/onnx-runtime.ts';
import { netCases, shapeOf } from './net-cases.ts';
import { inputFrom, type ReferenceBatch, referenceBatch } from './net-reference.ts';

const layered = shapeOf(
  { wide: true, layers: [{ units: 24 }, { units: 12 }] },
  { slots: 3, dense: 2, dim: 8 },
);
const everything = netCases.find(({ title }) => title === 'everything')!.shape;
const parameters = initialParameters(layered, 3);

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await openOnnxRuntime('onnx');
});

/** An engine that counts its sessions. */
function counted(): { engine: Engine; sessions: { opened: number; open: number } } {
  const sessions = { opened: 0, open: 0 };
  const engine = createOnnxEngine({
    ...runtime,
    async open(graph, threads) {
      const session = await runtime.open(graph, threads);
      sessions.opened += 1;
      sessions.open += 1;
      const close = session.release.bind(session);
      session.release = async () => {
        sessions.open -= 1;
        await close();
      };
      return session;
    },
  });
  return { engine, sessions };
}

async function logitsOf(program: Program, loaded: LoadedWeights, batch: ReferenceBatch) {
  const logits = new Float32Array(batch.rows).fill(Number.NaN);
  await program.forward(loaded, inputFrom(batch), logits);
  return logits;
}

for (const [title, shape] of [
  ['layers', layered],
  ['every part', everything],
] as const) {
  test(`onnx engine: forward: ${title}: an example's logit has the same bits in a batch of any size`, async () => {
    const engine = createOnnxEngine(runtime);
    const program = engine.compile(shape);
    const weights = initialParameters(shape, 3);
    const loaded = program.load(weights);
    const whole = referenceBatch(shape, 130, weights, 5);
    const wanted = await logitsOf(program, loaded, whole);
    for (const rows of [1, 2, 7, 64]) {
      const logits = await logitsOf(program, loaded, firstRows(whole, rows));
      expect(logits).toEqual(wanted.subarray(0, rows));
    }
    engine.dispose();
  });
}

function firstRows(batch: ReferenceBatch, rows: number): ReferenceBatch {
  const part = (values: number[]) => values.slice(0, (values.length / batch.rows) * rows);
  const { wide, embeddings, dense, lengths, offsets, labels, weights } = batch;
  const [w, e, d, l, o, y, s] = [wide, embeddings, dense, lengths, offsets, labels, weights].map(part);
  return {
    ...batch,
    rows,
    wide: w,
    embeddings: e,
    dense: d,
    lengths: l,
    offsets: o,
    labels: y,
    weights: s,
  };
}

test('onnx engine: steps with fresh weights share one session', async () => {
  const { engine, sessions } = counted();
  const program = engine.compile(layered);
  const batch = referenceBatch(layered, 4, parameters, 5);
  const out = {
    logits: new Float32Array(4),
    logitGradients: new Float32Array(4),
    embeddings: new Float32Array(4 * layered.embeddingFloats),
    parameters: new Float32Array(layered.parameters),
  };
  for (let step = 0; step < 5; step += 1) {
    const loaded = program.load(parameters);
    await program.gradients(loaded, inputFrom(batch), Float32Array.of(1, 1, 1, 1), new Float32Array(4), out);
    loaded.dispose();
  }
  expect(sessions).toEqual({ opened: 1, open: 1 });
  engine.dispose();
  await expect.poll(() => sessions.open).toBe(0);
});

test('onnx engine: a version that is scored has a session until it is disposed; the next one is made ready at once', async () => {
  const { engine, sessions } = counted();
  const program = engine.compile(layered);
  const batch = referenceBatch(layered, 2, parameters, 5);
  const first = program.load(parameters);
  expect(sessions.opened).toBe(0);
  await logitsOf(program, first, batch);
  await logitsOf(program, first, batch);
  expect(sessions).toEqual({ opened: 1, open: 1 });
  const second = program.load(parameters);
  await expect.poll(() => sessions.opened).toBe(2);
  first.dispose();
  first.dispose();
  await expect.poll(() => sessions.open).toBe(1);
  expect(await logitsOf(program, second, batch)).toHaveLength(2);
  engine.dispose();
  engine.dispose();
  await expect.poll(() => sessions.open).toBe(0);
});

test('onnx engine: a session that could not be opened is opened anew by the next forward', async () => {
  let refusals = 1;
  const engine = createOnnxEngine({
    ...runtime,
    async open(graph, threads) {
      if (refusals > 0) {
        refusals -= 1;
        throw new Error('out of memory');
      }
      return runtime.open(graph, threads);
    },
  });
  const program = engine.compile(layered);
  const loaded = program.load(parameters);
  const batch = referenceBatch(layered, 2, parameters, 5);
  await expect(logitsOf(program, loaded, batch)).rejects.toThrow('out of memory');
  expect((await logitsOf(program, loaded, batch)).every(Number.isFinite)).toBe(true);
  engine.dispose();
});

test('onnx engine: passes of requests have one thread, but of nets whose products are worth two', async () => {
  const threads: number[] = [];
  const engine = createOnnxEngine({
    ...runtime,
    open(graph, wanted) {
      threads.push(wanted);
      return runtime.open(graph, wanted);
    },
  });
  const wide = shapeOf({ layers: [{ units: 512 }, { units: 256 }] }, { slots: 3, dense: 2, dim: 8 });
  for (const shape of [layered, wide]) {
    const program = engine.compile(shape);
    const weights = initialParameters(shape, 3);
    const input = inputFrom(referenceBatch(shape, 2, weights, 5));
    const requests = { starts: Int32Array.of(0), count: 1 };
    const loaded = program.load(weights);
    await program.forward(loaded, { ...input, requests }, new Float32Array(2));
    await program.forward(loaded, input, new Float32Array(2));
  }
  expect(threads).toEqual([1, 0, 0, 0]);
  engine.dispose();
});

test('onnx engine: forward: reads what is in the same arrays at each call', async () => {
  const engine = createOnnxEngine(runtime);
  const program = engine.compile(layered);
  const loaded = program.load(parameters);
  const requests = { starts: Int32Array.of(0, 2), count: 2 };
  const input = { ...inputFrom(referenceBatch(layered, 3, parameters, 5)), requests };
  const other = { ...inputFrom(referenceBatch(layered, 3, parameters, 6)), requests };
  const scored = async (asked: typeof input) => {
    const logits = new Float32Array(3);
    await program.forward(loaded, asked, logits);
    return logits;
  };
  await scored(input);
  const wanted = await scored(other);
  for (const name of ['wide', 'embeddings', 'dense'] as const) input[name].set(other[name]);
  expect(await scored(input)).toEqual(wanted);
  engine.dispose();
});

test('onnx engine: scores and steps write no more than a batch has', async () => {
  const engine = createOnnxEngine(runtime);
  const program = engine.compile(layered);
  const loaded = program.load(parameters);
  const batch = referenceBatch(layered, 2, parameters, 5);
  const logits = new Float32Array(4).fill(7);
  await program.forward(loaded, inputFrom(batch), logits);
  expect([...logits.subarray(2)]).toEqual([7, 7]);
  const behind = (length: number) => new Float32Array(length + 1).fill(7);
  const out = {
    logits: behind(2),
    logitGradients: behind(2),
    embeddings: behind(2 * layered.embeddingFloats),
    parameters: behind(layered.parameters),
  };
  await program.gradients(loaded, inputFrom(batch), Float32Array.of(1, 1, 9), Float32Array.of(0, 1, 9), out);
  expect(Object.values(out).map((values) => values.at(-1))).toEqual([7, 7, 7, 7]);
  engine.dispose();
});
