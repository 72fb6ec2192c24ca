import { isMillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { openEngine } from '../src/choose-engine.ts';
import { type Engine, type EngineName, engineNames, type Program } from '../src/engine.ts';
import type { EngineWork } from '../src/measure-engine.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { netCases, shapeOf } from './net-cases.ts';

const linear = shapeOf({ wide: true, layers: [] }, { slots: 0, dense: 0 });
const layered = shapeOf({ wide: true, layers: [{ units: 4 }] }, { slots: 0, dense: 2 });

/** Stands for a machine where only these engines load. */
function machineWith(...names: EngineName[]) {
  const asked: EngineName[] = [];
  const skipped: string[] = [];
  return {
    asked,
    skipped,
    load: async (name: EngineName) => {
      asked.push(name);
      if (!names.includes(name)) throw new Error(`no ${name} here`);
      return { ...createPlainEngine(), name };
    },
    onSkip: (name: EngineName, reason: string) => {
      skipped.push(`${name}: ${reason}`);
    },
  };
}

test('engine choice: auto takes the best that loads and tells each skip once', async () => {
  const machine = machineWith('wasm', 'cpu', 'plain');
  const { engine } = await openEngine({ wanted: 'auto', shape: layered, ...machine });
  expect(engine.name).toBe('wasm');
  expect(machine.skipped).toEqual(
    ['onnx-cuda', 'tfjs-node-gpu', 'onnx', 'webgpu', 'tfjs-node'].map((name) => `${name}: no ${name} here`),
  );
});

test('engine choice: auto takes the GPU when it is there', async () => {
  const machine = machineWith(...engineNames);
  const { engine } = await openEngine({ wanted: 'auto', shape: layered, ...machine });
  expect(engine.name).toBe('onnx-cuda');
  expect(machine.skipped).toEqual([]);
});

test('engine choice: auto passes over a GPU that a processor plays, and who names it gets it', async () => {
  const machine = machineWith('webgpu', 'plain');
  const disposed: string[] = [];
  const load = async (name: EngineName) => ({
    ...(await machine.load(name)),
    ...(name === 'webgpu' ? { device: { name: 'SwiftShader', isSoftware: true } } : {}),
    dispose: () => void disposed.push(name),
  });
  const { engine } = await openEngine({ wanted: 'auto', shape: layered, ...machine, load });
  expect(engine.name).toBe('plain');
  expect(machine.skipped).toContain('webgpu: its device is software, SwiftShader: it runs when named');
  expect(disposed).toEqual(['webgpu']);
  const named = await openEngine({ wanted: 'webgpu', shape: layered, ...machine, load });
  expect(named.engine.name).toBe('webgpu');
});

test('engine choice: measured: one engine of TensorFlow.js at most is loaded, for it has one backend', async () => {
  const machine = machineWith('webgpu', 'tfjs-node', 'wasm', 'cpu', 'plain');
  await openEngine({ wanted: 'auto', shape: layered, work: { kind: 'scores', rows: [1] }, ...machine });
  expect(machine.asked).toEqual(['onnx-cuda', 'tfjs-node-gpu', 'onnx', 'webgpu', 'plain']);
});

test('engine choice: auto takes plain for a net without layers and tries nothing else', async () => {
  const machine = machineWith(...engineNames);
  const { engine } = await openEngine({ wanted: 'auto', shape: linear, ...machine });
  expect(engine.name).toBe('plain');
  expect(machine.asked).toEqual(['plain']);
});

test('engine choice: an engine asked for by name that does not load is an error, not a substitute', async () => {
  const machine = machineWith('wasm', 'plain');
  const wanted = openEngine({ wanted: 'tfjs-node', shape: layered, ...machine });
  await expect(wanted).rejects.toSatisfy((error) => isMillraceError(error, 'MILL_ENGINE_UNAVAILABLE'));
  await expect(wanted).rejects.toThrow('engine "tfjs-node" cannot be loaded here: no tfjs-node here');
  expect(machine.asked).toEqual(['tfjs-node']);
  expect(machine.skipped).toEqual([]);
});

test('engine choice: auto finds a real engine for layers here, and says why it is not a better one', async () => {
  const skipped: EngineName[] = [];
  const { engine } = await openEngine({
    wanted: 'auto',
    shape: layered,
    onSkip: (name) => {
      skipped.push(name);
    },
  });
  expect(skipped).toEqual(engineNames.slice(1, engineNames.indexOf(engine.name)));
  expect(engineNames.indexOf(engine.name)).toBeLessThanOrEqual(engineNames.indexOf('wasm'));
  engine.dispose();
});

/** Engines that take so many microseconds a row, by a clock that they move themselves. */
function timedMachine(costs: Partial<Record<EngineName, (rows: number) => number>>) {
  let nowMs = 0;
  const calls: EngineName[] = [];
  const disposed: EngineName[] = [];
  return {
    calls,
    disposed,
    nowMs: () => nowMs,
    load: async (name: EngineName): Promise<Engine> => {
      const cost = costs[name];
      if (cost === undefined) throw new Error(`no ${name} here`);
      const take = (rows: number) => {
        calls.push(name);
        nowMs += cost(rows) / 1_000;
        return undefined;
      };
      const program: Program = {
        load: () => ({ dispose() {} }),
        forward: (_, { rows }) => take(rows),
        gradients: (_, { rows }) => take(rows),
        dispose() {},
      };
      return { name, compile: () => program, dispose: () => void disposed.push(name) };
    },
    onSkip() {},
  };
}

const scores: EngineWork = { kind: 'scores', rows: [1, 10, 100] };
const chosenOf = (machine: ReturnType<typeof timedMachine>, work = scores) =>
  openEngine({ wanted: 'auto', shape: layered, work, ...machine });

test('engine choice: measured: takes the fastest, tells what each took, and disposes of the others', async () => {
  const machine = timedMachine({ onnx: (rows) => 50 + rows, plain: (rows) => 10 + rows });
  const { engine, reason, speeds } = await chosenOf(machine);
  expect([engine.name, reason]).toEqual(['plain', 'measured']);
  expect(speeds.map(({ name, callUs }) => [name, callUs.map(Math.round)])).toEqual([
    ['onnx', [51, 60, 150]],
    ['plain', [11, 20, 110]],
  ]);
  expect(machine.disposed).toEqual(['onnx']);
});

test('engine choice: measured: scores are those of requests of up to 32 items, half of them new at every call', async () => {
  const { shape } = netCases.find(({ title }) => title === 'deepfm')!;
  const machine = timedMachine({ plain: (rows) => rows });
  const asked: { starts: number[]; first: number; second: number }[] = [];
  const load = async (name: EngineName): Promise<Engine> => {
    const engine = await machine.load(name);
    const program = engine.compile(shape);
    const item = shape.sides.indexOf('item');
    return {
      ...engine,
      compile: () => ({
        ...program,
        forward(loaded, input, logits) {
          const { starts, count } = input.requests!;
          const [first, second] = [item, shape.embeddingFloats + item].map((at) => input.embeddings[at]);
          asked.push({ starts: [...starts.subarray(0, count)], first, second });
          return program.forward(loaded, input, logits);
        },
      }),
    };
  };
  const work = { kind: 'scores', rows: [70] } as const;
  await openEngine({ wanted: 'auto', shape, work, ...machine, load });
  expect(asked.length).toBeGreaterThan(3);
  expect(new Set(asked.map(({ starts }) => String(starts)))).toEqual(new Set(['0,32,64']));
  expect(new Set(asked.map(({ first }) => first)).size).toBe(asked.length);
  expect(new Set(asked.map(({ second }) => second)).size).toBe(1);
});

test('engine choice: measured: steps are measured as steps', async () => {
  const machine = timedMachine({ onnx: (rows) => 5 * rows, plain: (rows) => 9 * rows });
  const { engine, speeds } = await chosenOf(machine, { kind: 'steps', rows: [8] });
  expect(engine.name).toBe('onnx');
  expect(speeds.map(({ callUs }) => callUs.map(Math.round))).toEqual([[40], [72]]);
});

test('engine choice: measured: of engines as fast as each other the first is taken', async () => {
  const machine = timedMachine({ onnx: (rows) => 100 + rows, plain: (rows) => 98 + rows });
  expect((await chosenOf(machine)).engine.name).toBe('onnx');
});

test('engine choice: measured: who has lost at one size is not asked for the others', async () => {
  const machine = timedMachine({ onnx: () => 100, plain: () => 401 });
  const { engine, speeds } = await chosenOf(machine);
  expect(engine.name).toBe('onnx');
  expect(speeds.map(({ name, callUs }) => [name, callUs.length])).toEqual([
    ['onnx', 3],
    ['plain', 1],
  ]);
});

test('engine choice: measured: TensorFlow.js is not loaded beside a library of the same kind, and is without it', async () => {
  const every = () => 100;
  const withOnnx = timedMachine({ onnx: every, wasm: every, cpu: every, plain: every });
  await chosenOf(withOnnx);
  expect(new Set(withOnnx.calls)).toEqual(new Set(['onnx', 'plain']));
  const without = timedMachine({ wasm: every, cpu: every, plain: every });
  await chosenOf(without);
  expect(new Set(without.calls)).toEqual(new Set(['wasm', 'plain']));
});

test('engine choice: measured: ends in time, and says who was not measured', async () => {
  const skipped: string[] = [];
  const machine = timedMachine({ onnx: () => 600_000, plain: () => 1 });
  const onSkip = (name: EngineName, reason: string) => void skipped.push(`${name}: ${reason}`);
  const { engine } = await openEngine({
    wanted: 'auto',
    shape: layered,
    work: scores,
    ...machine,
    onSkip,
  });
  expect(engine.name).toBe('onnx');
  expect(skipped.at(-1)).toBe('plain: the 1500 ms for a choice were over');
});

test('engine choice: measured: an engine that fails is passed over', async () => {
  const machine = timedMachine({
    onnx: () => {
      throw new Error('out of memory');
    },
    plain: () => 1,
  });
  const skipped: string[] = [];
  const onSkip = (name: EngineName, reason: string) => void skipped.push(`${name}: ${reason}`);
  const { engine } = await openEngine({ wanted: 'auto', shape: layered, work: scores, ...machine, onSkip });
  expect(engine.name).toBe('plain');
  expect(skipped).toContain('onnx: out of memory');
  expect(machine.disposed).toEqual(['onnx']);
});

test('engine choice: measured: an engine that loads and fails keeps none of its kind from being tried', async () => {
  const machine = timedMachine({
    webgpu: () => {
      throw new Error('device lost');
    },
    wasm: () => 1,
    plain: () => 100,
  });
  expect((await chosenOf(machine)).engine.name).toBe('wasm');
  expect(machine.disposed).toEqual(['webgpu', 'plain']);
});

test('engine choice: measured: real engines run a net of every part at every size', async () => {
  const { shape } = netCases.find(({ title }) => title === 'everything')!;
  for (const kind of ['scores', 'steps'] as const) {
    const { engine, speeds } = await openEngine({
      wanted: 'auto',
      shape,
      work: { kind, rows: [2] },
      onSkip() {},
    });
    expect(speeds.length).toBeGreaterThan(1);
    expect(speeds.flatMap(({ callUs }) => callUs).every((us) => us > 0)).toBe(true);
    engine.dispose();
  }
});
