import { beforeAll, expect, test } from 'vitest';
import type { LoadedWeights, NetInput, Program } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import { createOnnxAside, type ScoringSession } from '../src/onnx-aside.ts';
import { createOnnxEngine } from '../src/onnx-engine.ts';
import { type OnnxRuntime, openOnnxRuntime } from '../src/onnx-runtime.ts';
import { netCases, shapeOf } from './net-cases.ts';
import { inputFrom, referenceBatch } from './net-reference.ts';

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await openOnnxRuntime('onnx');
});

/** The runtime, with counts of what its other thread does, and what becomes of each of its sessions. */
function watched(change: (session: ScoringSession) => ScoringSession = (session) => session) {
  const counts = { opened: 0, runs: 0, released: 0 };
  const opening: Promise<unknown>[] = [];
  const changed: OnnxRuntime = {
    ...runtime,
    openAside(aside, graph, threads) {
      const made = runtime.openAside(aside, graph, threads).then((session): ScoringSession => {
        counts.opened += 1;
        const inner = change(session);
        return {
          run(feeds) {
            counts.runs += 1;
            return inner.run(feeds);
          },
          release() {
            counts.released += 1;
            return inner.release();
          },
        };
      });
      opening.push(made.catch(() => {}));
      return made;
    },
  };
  return { runtime: changed, counts, opened: () => Promise.all(opening) };
}

async function logitsOf(program: Program, loaded: LoadedWeights, input: NetInput): Promise<Float32Array> {
  const logits = new Float32Array(input.rows).fill(Number.NaN);
  await program.forward(loaded, input, logits);
  return logits;
}

const layered = shapeOf(
  { wide: true, layers: [{ units: 24 }, { units: 12 }] },
  { slots: 3, dense: 2, dim: 8 },
);
const everything = netCases.find(({ title }) => title === 'everything')!.shape;

test.each([
  ['layers', layered],
  ['every part', everything],
] as const)('onnx aside: %s: scores have the bits that this thread gives', async (_title, shape) => {
  const { runtime: counted, counts, opened } = watched();
  let isBusy = false;
  const engine = createOnnxEngine(counted, () => isBusy);
  try {
    const program = engine.compile(shape);
    const weights = initialParameters(shape, 3);
    const loaded = program.load(weights);
    // Sizes go up and down, so that memory is made anew and kept.
    for (const rows of [3, 130, 1, 64]) {
      const input = inputFrom(referenceBatch(shape, rows, weights, rows));
      const requests = { starts: Int32Array.of(0, 1), count: rows > 1 ? 2 : 1 };
      for (const of of [input, { ...input, requests }]) {
        isBusy = false;
        const wanted = await logitsOf(program, loaded, of);
        isBusy = true;
        // The first call of a busy thread does not wait for the other one's session.
        expect(await logitsOf(program, loaded, of)).toEqual(wanted);
        await opened();
        const before = counts.runs;
        expect(await logitsOf(program, loaded, of)).toEqual(wanted);
        expect(counts.runs).toBe(before + 1);
      }
    }
  } finally {
    engine.dispose();
  }
  await expect.poll(() => counts.released).toBe(counts.opened);
});

test('onnx aside: weights that are loaded while the thread is busy have their session before they are asked', async () => {
  const { runtime: counted, counts, opened } = watched();
  const engine = createOnnxEngine(counted, () => true);
  try {
    const program = engine.compile(layered);
    const input = inputFrom(referenceBatch(layered, 5, initialParameters(layered, 3), 5));
    await logitsOf(program, program.load(initialParameters(layered, 3)), input);
    await opened();
    expect([counts.opened, counts.runs]).toEqual([1, 0]);
    const next = program.load(initialParameters(layered, 4));
    await opened();
    expect(counts.opened).toBe(2);
    await logitsOf(program, next, input);
    expect(counts.runs).toBe(1);
  } finally {
    engine.dispose();
  }
});

test('onnx aside: what the other thread fails at this one does', async () => {
  const {
    runtime: failing,
    counts,
    opened,
  } = watched((session) => ({
    ...session,
    run: () => Promise.reject(new Error('gone')),
    release: () => session.release(),
  }));
  const engine = createOnnxEngine(failing, () => true);
  try {
    const program = engine.compile(layered);
    const loaded = program.load(initialParameters(layered, 3));
    const input = inputFrom(referenceBatch(layered, 5, initialParameters(layered, 3), 5));
    const wanted = await logitsOf(program, loaded, input);
    await opened();
    expect(await logitsOf(program, loaded, input)).toEqual(wanted);
    expect(counts.runs).toBe(1);
    // It is not asked again for these weights.
    expect(await logitsOf(program, loaded, input)).toEqual(wanted);
    expect(counts).toEqual({ opened: 1, runs: 1, released: 1 });
  } finally {
    engine.dispose();
  }
});

test('onnx aside: a session that cannot be opened there is tried once a version, and costs no answer', async () => {
  let tried = 0;
  const engine = createOnnxEngine(
    {
      ...runtime,
      openAside() {
        tried += 1;
        return Promise.reject(new Error('no room'));
      },
    },
    () => true,
  );
  try {
    const program = engine.compile(layered);
    const loaded = program.load(initialParameters(layered, 3));
    const input = inputFrom(referenceBatch(layered, 5, initialParameters(layered, 3), 5));
    const wanted = await logitsOf(program, loaded, input);
    for (let call = 0; call < 3; call += 1) expect(await logitsOf(program, loaded, input)).toEqual(wanted);
    expect(tried).toBe(1);
  } finally {
    engine.dispose();
  }
});

test('onnx aside: a model that is none is refused with the reason, and the thread goes on', async () => {
  const aside = createOnnxAside();
  try {
    await expect(aside.open(Uint8Array.of(1, 2, 3), {})).rejects.toThrow(/protobuf|model/i);
    await expect(aside.open(Uint8Array.of(1, 2, 3), {})).rejects.toThrow(/protobuf|model/i);
  } finally {
    aside.close();
  }
});

test('onnx aside: whoever waits when the thread is closed is told, and so is whoever comes later', async () => {
  const aside = createOnnxAside();
  const opening = aside.open(new Uint8Array(0), {});
  aside.close();
  await expect(opening).rejects.toMatchObject({ code: 'MILL_INTERNAL' });
  await expect(aside.open(new Uint8Array(0), {})).rejects.toThrow('the thread for scores has ended: closed');
  aside.close();
});
