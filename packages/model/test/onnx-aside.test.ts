import { beforeAll, expect, test } from 'vitest';
import type { LoadedWeights, NetInput, Program, RowsInput } from '../src/engine.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import type { NetShape } from '../src/net-shape.ts';
import { type AsideSession, createOnnxAside } from '../src/onnx-aside.ts';
import { createOnnxEngine } from '../src/onnx-engine.ts';
import { type OnnxRuntime, openOnnxRuntime } from '../src/onnx-runtime.ts';
import { sharedBytes, sharedFloats, sharedInts } from '../src/shared-arrays.ts';
import { sharedAside } from '../src/shared-aside.ts';
import { netCases, shapeOf } from './net-cases.ts';
import { inputFrom, referenceBatch } from './net-reference.ts';

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await openOnnxRuntime('onnx');
});

/** The runtime, with counts of what its other thread does, and what becomes of each of its sessions. */
function watched(change: (session: AsideSession) => AsideSession = (session) => session) {
  const counts = { opened: 0, runs: 0, released: 0 };
  const opening: Promise<unknown>[] = [];
  const changed: OnnxRuntime = {
    ...runtime,
    openAside(aside, graph, threads, net) {
      const made = runtime.openAside(aside, graph, threads, net).then((session): AsideSession => {
        counts.opened += 1;
        const inner = change(session);
        return {
          score(input, logits) {
            counts.runs += 1;
            return inner.score(input, logits);
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

/** An input, and a batch of one table that is gathered to it: a row an example, its wide weight before its embeddings. */
interface Asked {
  readonly gathered: NetInput;
  readonly rows: RowsInput;
}

/** Batches of one lane, whose arrays are kept and grow. */
function lane({ embeddingFloats, hasWide }: NetShape) {
  const dim = 1 + embeddingFloats;
  const plan = { embeddingFloats, hasWide, tables: [{ dim, embeddingDim: embeddingFloats, hasWide: true }] };
  let room = 0;
  const table = {
    occurrences: 0,
    keyOf: sharedInts(0),
    exampleOf: sharedInts(0),
    slotOf: sharedInts(0),
    xOf: sharedFloats(0),
    sharedOf: sharedBytes(0),
  };
  const batch = {
    rows: 0,
    starts: sharedInts(2),
    requests: 0,
    tables: [table],
    lengths: new Int32Array(0) as Int32Array,
  };
  const rows = [sharedFloats(0)];
  return (gathered: NetInput): Asked => {
    const count = gathered.rows;
    if (count > room) {
      room = 2 * count;
      table.keyOf = sharedInts(room);
      table.exampleOf = sharedInts(room);
      table.slotOf = sharedInts(room);
      table.xOf = sharedFloats(room);
      table.sharedOf = sharedBytes(room);
      rows[0] = sharedFloats(room * dim);
    }
    for (let i = 0; i < count; i += 1) {
      // Keys in another order than examples.
      table.keyOf[i] = count - 1 - i;
      table.exampleOf[i] = i;
      table.slotOf[i] = 0;
      table.xOf[i] = 1;
      const embeddings = gathered.embeddings.subarray(i * embeddingFloats, (i + 1) * embeddingFloats);
      rows[0].set([gathered.wide[i], ...embeddings], (count - 1 - i) * dim);
    }
    table.occurrences = count;
    batch.rows = count;
    batch.requests = count > 1 ? 2 : 1;
    batch.starts.set([0, 1]);
    batch.lengths = gathered.lengths;
    const requests = { starts: batch.starts, count: batch.requests };
    return {
      gathered: { ...gathered, requests },
      rows: { plan, batch, rows, dense: gathered.dense },
    };
  };
}

async function logitsOf(program: Program, loaded: LoadedWeights, { gathered }: Asked): Promise<Float32Array> {
  const logits = new Float32Array(gathered.rows).fill(Number.NaN);
  await program.forward(loaded, gathered, logits);
  return logits;
}

/** Null: another thread had no time or no session for it; false: it failed. */
async function besideOf(
  program: Program,
  loaded: LoadedWeights,
  { rows }: Asked,
): Promise<Float32Array | null | false> {
  const logits = new Float32Array(rows.batch.rows).fill(Number.NaN);
  const made = program.forwardBeside?.(loaded, rows, logits) ?? null;
  if (made === null) return null;
  return (await made) ? logits : false;
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
    const lanes = [lane(shape), lane(shape)];
    // The first call of a busy thread does not wait for the other one's session.
    isBusy = true;
    const first = lanes[0](inputFrom(referenceBatch(shape, 2, weights, 2)));
    expect(await besideOf(program, loaded, first)).toBeNull();
    await opened();
    // Sizes go up and down, so that memory is made anew and kept.
    for (const rows of [3, 130, 1, 64, 131]) {
      for (const asked of lanes) {
        const of = asked(inputFrom(referenceBatch(shape, rows, weights, rows)));
        const wanted = await logitsOf(program, loaded, of);
        isBusy = false;
        expect(await besideOf(program, loaded, of)).toBeNull();
        isBusy = true;
        const before = counts.runs;
        expect(await besideOf(program, loaded, of)).toEqual(wanted);
        expect(counts.runs).toBe(before + 1);
      }
    }
  } finally {
    engine.dispose();
  }
  await expect.poll(() => counts.released).toBe(counts.opened);
});

function layeredBatch(): Asked {
  return lane(layered)(inputFrom(referenceBatch(layered, 5, initialParameters(layered, 3), 5)));
}

/** An engine of a busy thread, with a version whose session in the other one is there. */
async function openBusy() {
  const { runtime: counted, opened } = watched();
  const engine = createOnnxEngine(counted, () => true);
  const program = engine.compile(layered);
  const loaded = program.load(initialParameters(layered, 3));
  const asked = layeredBatch();
  expect(await besideOf(program, loaded, asked)).toBeNull();
  await opened();
  return { engine, program, loaded, asked };
}

test('onnx aside: what the thread has answered can be taken before the event loop comes round', async () => {
  const { engine, program, loaded, asked } = await openBusy();
  try {
    let cameRound = false;
    setImmediate(() => {
      cameRound = true;
    });
    let isScored = false;
    const scored = besideOf(program, loaded, asked).then((logits) => {
      isScored = true;
      return logits;
    });
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; !isScored && tries < 20_000; tries += 1) {
      Atomics.wait(pause, 0, 0, 1);
      sharedAside.hear();
      for (let step = 0; step < 10; step += 1) await null;
    }
    expect([isScored, cameRound]).toEqual([true, false]);
    expect(await scored).toEqual(await logitsOf(program, loaded, asked));
  } finally {
    engine.dispose();
  }
});

test('onnx aside: weights that are loaded while the thread is busy have their session before they are asked', async () => {
  const { runtime: counted, counts, opened } = watched();
  const engine = createOnnxEngine(counted, () => true);
  try {
    const program = engine.compile(layered);
    const asked = layeredBatch();
    expect(await besideOf(program, program.load(initialParameters(layered, 3)), asked)).toBeNull();
    await opened();
    expect([counts.opened, counts.runs]).toEqual([1, 0]);
    const next = program.load(initialParameters(layered, 4));
    program.loadBeside?.(next);
    await opened();
    expect(counts.opened).toBe(2);
    expect(await besideOf(program, next, asked)).toEqual(await logitsOf(program, next, asked));
    expect(counts.runs).toBe(1);
  } finally {
    engine.dispose();
  }
});

test('onnx aside: while the other thread opens a session it is asked for no scores, and of a thread that is not busy for neither', async () => {
  const { runtime: counted, counts, opened } = watched();
  let isBusy = true;
  const engine = createOnnxEngine(counted, () => isBusy);
  try {
    const program = engine.compile(layered);
    const asked = layeredBatch();
    const first = program.load(initialParameters(layered, 3));
    program.loadBeside?.(first);
    await opened();
    const next = program.load(initialParameters(layered, 4));
    program.loadBeside?.(next);
    // The first has its session, whose scores would wait for the other to be made.
    expect(await besideOf(program, first, asked)).toBeNull();
    await opened();
    expect(await besideOf(program, first, asked)).toEqual(await logitsOf(program, first, asked));
    isBusy = false;
    program.loadBeside?.(program.load(initialParameters(layered, 5)));
    await opened();
    expect(counts.opened).toBe(2);
  } finally {
    engine.dispose();
  }
});

test('onnx aside: what the other thread fails at is told, and it is not asked again', async () => {
  const {
    runtime: failing,
    counts,
    opened,
  } = watched((session) => ({
    score: () => Promise.reject(new Error('gone')),
    release: () => session.release(),
  }));
  const engine = createOnnxEngine(failing, () => true);
  try {
    const program = engine.compile(layered);
    const loaded = program.load(initialParameters(layered, 3));
    const asked = layeredBatch();
    expect(await besideOf(program, loaded, asked)).toBeNull();
    await opened();
    expect(await besideOf(program, loaded, asked)).toBe(false);
    expect(counts.runs).toBe(1);
    expect(await besideOf(program, loaded, asked)).toBeNull();
    expect(counts).toEqual({ opened: 1, runs: 1, released: 1 });
  } finally {
    engine.dispose();
  }
});

test('onnx aside: a session that cannot be opened there is tried once a version', async () => {
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
    for (let call = 0; call < 3; call += 1)
      expect(await besideOf(program, loaded, layeredBatch())).toBeNull();
    expect(tried).toBe(1);
  } finally {
    engine.dispose();
  }
});

test('onnx aside: a batch in memory that the other thread would only get a copy of is refused', async () => {
  const { engine, program, loaded, asked } = await openBusy();
  try {
    const copied = { ...asked, rows: { ...asked.rows, rows: [Float32Array.from(asked.rows.rows[0])] } };
    expect(await besideOf(program, loaded, copied)).toBe(false);
  } finally {
    engine.dispose();
  }
});

const net = { shape: layered, sides: null };

test('onnx aside: a model that is none is refused with the reason, and the thread goes on', async () => {
  const aside = createOnnxAside();
  try {
    await expect(aside.open(Uint8Array.of(1, 2, 3), {}, net)).rejects.toThrow(/protobuf|model/i);
    await expect(aside.open(Uint8Array.of(1, 2, 3), {}, net)).rejects.toThrow(/protobuf|model/i);
  } finally {
    aside.close();
  }
});

test('onnx aside: whoever waits when the thread is closed is told, and so is whoever comes later', async () => {
  const aside = createOnnxAside();
  const opening = aside.open(new Uint8Array(0), {}, net);
  aside.close();
  await expect(opening).rejects.toMatchObject({ code: 'MILL_INTERNAL' });
  const reason = 'the thread for scores has ended: closed';
  await expect(aside.open(new Uint8Array(0), {}, net)).rejects.toThrow(reason);
  aside.close();
});
