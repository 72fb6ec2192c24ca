import type { LoadedWeights } from '@millrace/model';
import { openVersionRegistry, watchVersions } from '@millrace/registry';
import { createManualClock, createMemoryBus, type ManualClock, type MemoryBus } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { type ServedModel, type ServedModelOptions, serveModel } from '../src/served-model.ts';
import {
  appendDense,
  layered,
  linear,
  quietLogger,
  type StubRows,
  sigmoid,
  stubRows,
  turn,
} from './small-serving.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly rows: StubRows;
  readonly served: ServedModel;
  readonly failures: Error[];
  score(x: number): Promise<{ readonly score: number; readonly version: number }>;
}

async function serve(
  change: Partial<ServedModelOptions> = {},
  before: (bus: MemoryBus) => Promise<unknown> = async () => {},
  file = layered,
): Promise<Stage> {
  const bus = createMemoryBus();
  await before(bus);
  const clock = createManualClock(0);
  const rows = stubRows();
  const failures: Error[] = [];
  const served = await serveModel(file, {
    bus,
    clock,
    versions: await watchVersions(bus),
    registry: await openVersionRegistry(bus, clock),
    logger: quietLogger,
    rows,
    archive: null,
    engine: 'plain',
    limits: { rowsMax: 10, delayUs: 0, queueRowsMax: 100, lanes: 2 },
    swapEveryMs: 0,
    onFailed: (error) => failures.push(error),
    ...change,
  });
  onTestFinished(() => served.close());
  return {
    bus,
    clock,
    rows,
    served,
    failures,
    async score(x) {
      const { scores, version } = await served.batcher.submit({ user: {}, context: {}, items: [{ x }] }, 1);
      return { score: scores[0], version };
    },
  };
}

/** logit of x at dense weights (w1, b1, w2, b2), all rows being 0. */
const logitOf = ([w1, b1, w2, b2]: Iterable<number>, x: number) => (x * w1 + b1) * w2 + b2;

/** Replaces the forward pass: it records the weights and waits for the test before it answers b2 as every logit. */
function holdForward(served: ServedModel) {
  const calls: { readonly weights: readonly number[]; readonly rows: number; release(): void }[] = [];
  const weightsOf = (loaded: LoadedWeights) =>
    Array.from((loaded as LoadedWeights & { parameters: Float32Array }).parameters);
  const { program } = served.net;
  program.forward = (loaded, input, logits) =>
    new Promise((resolve) => {
      calls.push({
        weights: weightsOf(loaded),
        rows: input.rows,
        release() {
          logits.fill(weightsOf(loaded)[3], 0, input.rows);
          resolve();
        },
      });
    });
  return calls;
}

test('served model: a batch is computed at the version that it says', async () => {
  const { bus, served, score } = await serve();
  const initial = Array.from(served.net.dense.weights);
  const first = await score(2);
  expect(first.version).toBe(0);
  expect(first.score).toBeCloseTo(sigmoid(logitOf(initial, 2)), 6);
  await bus.append('dense', 'mill.dense.other', Uint8Array.of(1));
  const version = await appendDense(bus, 1, [0.5, -1, 0, 2]);
  const second = await score(2);
  expect(second.version).toBe(version);
  const stepped = [initial[0] - 0.5, initial[1] + 1, initial[2], initial[3] - 2];
  expect(second.score).toBeCloseTo(sigmoid(logitOf(stepped, 2)), 5);
});

test('served model: a swap falls between two batches, and none mixes two versions', async () => {
  const { bus, served, score } = await serve();
  const calls = holdForward(served);
  const before = served.net.versions.current;
  const first = score(1);
  await turn();
  expect(calls.length).toBe(1);
  // The fold goes on while the batch computes; the version in use does not.
  await appendDense(bus, 1, [0, 0, 0, 5]);
  const swapped = served.refresh();
  const second = score(1);
  await turn();
  expect([served.net.versions.current === before, calls.length]).toEqual([true, 1]);
  calls[0].release();
  expect((await first).version).toBe(0);
  await swapped;
  await turn();
  expect([served.net.versions.current.version, calls.length]).toEqual([1, 2]);
  await appendDense(bus, 2, [0, 0, 0, 7]);
  calls[1].release();
  expect(await second).toMatchObject({ version: 1 });
  expect(calls.map(({ weights }) => weights[3])).toEqual([0, -5]);
});

test('served model: while a version is swapped, every batch has the weights of the version that it tells', async () => {
  const { bus, served, score } = await serve();
  const { program } = served.net;
  const seen = new Map<number, number>();
  program.forward = async (loaded, input, logits) => {
    const { parameters } = loaded as LoadedWeights & { parameters: Float32Array };
    logits.fill(parameters[3], 0, input.rows);
    await turn();
    // Still the same after other work has run.
    expect(logits[0]).toBe(parameters[3]);
  };
  const answers: Promise<{ score: number; version: number }>[] = [];
  for (let n = 1; n <= 30; n += 1) {
    answers.push(score(1));
    seen.set(await appendDense(bus, n, [0, 0, 0, -0.01]), n * 0.01);
    void served.refresh();
    if (n % 3 === 0) await turn();
  }
  seen.set(0, 0);
  const versions = new Set<number>();
  for (const answer of answers) {
    const { score: found, version } = await answer;
    expect(found).toBeCloseTo(sigmoid(seen.get(version)!), 5);
    versions.add(version);
  }
  expect(versions.size).toBeGreaterThan(3);
});

test('served model: dense weights that are not finite are never served', async () => {
  const { bus, served, score } = await serve();
  await appendDense(bus, 1, [1, 0, 0, 0]);
  expect((await score(1)).version).toBe(1);
  // Finite gradients, whose sum float32 cannot hold.
  await appendDense(bus, 2, [0, 0, 0, 3e38]);
  await appendDense(bus, 3, [0, 0, 0, 3e38]);
  expect(Number.isFinite(served.net.dense.weights[3])).toBe(false);
  const answer = await score(1);
  expect([answer.version, Number.isFinite(answer.score)]).toEqual([1, true]);
});

/** Until weights that are being prepared are in: each step of it waits for a turn of the clock. */
async function prepared(clock: ManualClock): Promise<void> {
  for (let step = 0; step < 4; step += 1) {
    await turn();
    clock.advanceBy(0);
  }
}

test('served model: new versions are looked for at the interval that is set, and not in between', async () => {
  const { bus, clock, served, score } = await serve({ swapEveryMs: 100 });
  await appendDense(bus, 1, [1, 0, 0, 0]);
  expect((await score(1)).version).toBe(0);
  clock.advanceBy(99);
  await turn();
  expect((await score(1)).version).toBe(0);
  clock.advanceBy(1);
  await prepared(clock);
  expect((await score(1)).version).toBe(1);
  await appendDense(bus, 2, [1, 0, 0, 0]);
  clock.advanceBy(100);
  await prepared(clock);
  expect((await score(1)).version).toBe(2);
  await served.close();
  expect(clock.timersWaiting).toBe(0);
});

test('served model: ready when the dense log is followed to where it was, with that version', async () => {
  const { served, score } = await serve({}, async (bus) => {
    for (let n = 1; n <= 3; n += 1) await appendDense(bus, n, [1, 1, 1, 1]);
  });
  await turn();
  expect([served.ready, served.net.versions.current.version]).toEqual([true, 3]);
  expect((await score(1)).version).toBe(3);
});

test('served model: not ready before', async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const real = createMemoryBus();
  await appendDense(real, 1, [1, 1, 1, 1]);
  const slow = Object.create(real) as MemoryBus;
  slow.headOf = (log, subject) => real.headOf(log, subject);
  slow.kv = (bucket) => real.kv(bucket);
  slow.read = (log, options) =>
    real.read(log, { ...options, onMessage: (message) => gate.then(() => options.onMessage(message)) });
  const { served } = await serve({ bus: slow });
  await turn();
  expect([served.ready, served.net.versions.current.version]).toEqual([false, 0]);
  open();
  await turn();
  await turn();
  expect([served.ready, served.net.versions.current.version]).toEqual([true, 1]);
});

test('served model: a model without dense weights is ready at once, at version 0', async () => {
  const { served } = await serve({}, undefined, linear);
  expect([served.ready, served.net.versions.current.version]).toEqual([true, 0]);
});

test('served model: lanes overlap: one batch waits for its rows while another is computed', async () => {
  const { rows, served } = await serve({ limits: { rowsMax: 1, delayUs: 0, queueRowsMax: 100, lanes: 2 } });
  let open = () => {};
  rows.gate = new Promise((resolve) => {
    open = resolve;
  });
  const ask = (ad: string) => served.batcher.submit({ user: {}, context: {}, items: [{ ad }] }, 1);
  const slow = ask('a');
  await turn();
  rows.gate = null;
  const fast = await ask('b');
  expect(fast.version).toBe(0);
  expect(rows.asked.length).toBe(2);
  // The slow one had memory of its own, so the fast one has not touched it.
  rows.weights.set('a', 2).set('b', -3);
  open();
  const bias = logitOf(served.net.dense.weights, 0);
  expect((await slow).scores[0]).toBeCloseTo(sigmoid(2 + bias), 5);
});

test('served model: an engine that fails fails its batch, and the next one is computed', async () => {
  const { served, score } = await serve();
  const { program } = served.net;
  const forward = program.forward.bind(program);
  program.forward = () => Promise.reject(new Error('the device is lost'));
  await expect(score(1)).rejects.toThrow('the device is lost');
  program.forward = forward;
  expect((await score(1)).version).toBe(0);
});

test('served model: adds up how long requests took, stage by stage', async () => {
  const { clock, rows, served, score } = await serve({
    limits: { rowsMax: 10, delayUs: 2_000, queueRowsMax: 100, lanes: 1 },
  });
  const forwards = holdForward(served);
  let pulled = () => {};
  rows.gate = new Promise((resolve) => {
    pulled = resolve;
  });
  const first = score(1);
  clock.advanceBy(1);
  const second = score(1);
  // The first has waited for 2 ms, the second for 1, when their batch leaves.
  clock.advanceBy(1);
  await turn();
  clock.advanceBy(5);
  pulled();
  while (forwards.length === 0) await turn();
  clock.advanceBy(7);
  forwards[0].release();
  await Promise.all([first, second]);
  const times = { answered: 2, waitMs: 3, pullMs: 10, forwardMs: 14, answerMs: 0, failed: 0, failedMs: 0 };
  expect(served.counts).toMatchObject(times);

  served.net.program.forward = () => {
    clock.advanceBy(20);
    return Promise.reject(new Error('the device is lost'));
  };
  const third = score(1);
  clock.advanceBy(2);
  await expect(third).rejects.toThrow('the device is lost');
  expect(served.counts).toMatchObject({ ...times, failed: 1, failedMs: 22 });
});

test('served model: counts the passes that another thread has done', async () => {
  const { served, score } = await serve();
  const { program } = served.net;
  let answer: Promise<boolean> | null = Promise.resolve(true);
  program.forwardBeside = () => answer;
  await score(1);
  await score(1);
  answer = Promise.resolve(false);
  await score(1);
  answer = null;
  await score(1);
  expect(served.counts).toMatchObject({ batches: 4, passesBeside: 2 });
});

test('served model: counts items, batches and degraded items', async () => {
  const { rows, served } = await serve();
  const ask = (count: number) =>
    served.batcher.submit({ user: {}, context: {}, items: Array.from({ length: count }, () => ({})) }, count);
  await Promise.all([ask(2), ask(3)]);
  rows.degraded = true;
  const { degraded, scores } = await ask(4);
  expect([degraded, scores.length]).toEqual([true, 4]);
  expect(served.counts).toMatchObject({ scored: 9, batches: 2, passesBeside: 0, degraded: 4, lastMs: 0 });
});
