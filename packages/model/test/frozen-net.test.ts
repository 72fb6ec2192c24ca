import { expect, test } from 'vitest';
import type { Engine, EngineName } from '../src/engine.ts';
import { openFrozenNet, warmUp } from '../src/frozen-net.ts';
import { initialDense } from '../src/open-net.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { exampleModel } from './example-model.ts';

const options = { wanted: 'plain', onSkip() {} } as const;

test('frozen net: computes with a copy of its weights, whatever becomes of theirs', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  const net = await openFrozenNet(file, weights, 7, options);
  const logitsOf = async () => {
    const logits = new Float32Array(1);
    const embeddings = new Float32Array(net.plan.embeddingFloats).fill(0.5);
    const dense = new Float32Array(net.plan.denseInputs.length).fill(1);
    const lengths = new Int32Array(net.plan.attended);
    const input = { rows: 1, wide: Float32Array.of(0.25), embeddings, dense, lengths };
    await net.program.forward(net.dense.loaded, input, logits);
    return logits[0];
  };
  const before = await logitsOf();
  weights.fill(9);
  expect([await logitsOf(), net.dense.version]).toEqual([before, 7]);
  net.dispose();
});

test('frozen net: one that cannot be made gives its engine back', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  let disposed = 0;
  const broken: Engine = {
    name: 'plain',
    compile() {
      throw new Error('out of memory');
    },
    dispose() {
      disposed += 1;
    },
  };
  const on = { ...options, load: async () => broken };
  await expect(openFrozenNet(file, weights, 1, on)).rejects.toThrow('out of memory');
  expect(disposed).toBe(1);
});

test('frozen net: warming up tells of weights that overflow', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  const sound = await openFrozenNet(file, weights, 1, options);
  expect([await warmUp(sound, 1), await warmUp(sound, 64)]).toEqual([true, true]);
  sound.dispose();
  const huge = await openFrozenNet(file, weights.fill(3e38), 1, options);
  expect(await warmUp(huge, 4)).toBe(false);
  huge.dispose();
});

test('frozen net: runs on the engine of the net beside it, opens and measures none, and leaves it open', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  const plain = createPlainEngine();
  const calls: string[] = [];
  const engine: Engine = { ...plain, name: 'plain', dispose: () => void calls.push('dispose') };
  const load = async (name: EngineName) => {
    calls.push(`load ${name}`);
    return plain;
  };
  const beside = { engine, choice: { reason: 'measured', speeds: [] } } as const;
  const work = { kind: 'scores', rows: [1] } as const;
  const auto = { wanted: 'auto', onSkip() {}, work, load } as const;
  const net = await openFrozenNet(file, weights, 1, { ...auto, beside });
  expect(net.engine).toBe(engine);
  net.dispose();
  expect(calls).toEqual([]);
  // Nothing follows from what a net without matrices runs on.
  const simple = { engine, choice: { reason: 'simple', speeds: [] } } as const;
  (await openFrozenNet(file, weights, 1, { ...auto, beside: simple })).dispose();
  expect(calls).toContain('load onnx');
  // An engine that was made for one net runs no other: its namesake does.
  calls.length = 0;
  const imported = { engine, choice: { reason: 'imported', speeds: [] } } as const;
  (await openFrozenNet(file, weights, 1, { ...auto, beside: imported })).dispose();
  expect(calls).toEqual(['load plain']);
});

test('frozen net: another thread is handed the weights in a step of its own', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  const steps: string[] = [];
  const plain = createPlainEngine();
  const engine: Engine = {
    ...plain,
    compile(shape) {
      const program = plain.compile(shape);
      return Object.assign(program, {
        load(given: Float32Array) {
          steps.push('load');
          return Object.getPrototypeOf(program).load.call(program, given);
        },
        loadBeside: () => void steps.push('load beside'),
      });
    },
  };
  const turn = async () => void steps.push('turn');
  const on = { ...options, load: async () => engine, turn };
  (await openFrozenNet(file, weights, 1, on)).dispose();
  expect(steps.slice(-4)).toEqual(['turn', 'load', 'turn', 'load beside']);
});

test('frozen net: one that cannot be loaded leaves nothing on the engine of the net beside it', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  let open = 0;
  const engine: Engine = {
    name: 'plain',
    compile(shape) {
      open += 1;
      const load = () => {
        throw new Error('out of memory');
      };
      const dispose = () => {
        open -= 1;
      };
      return { ...createPlainEngine().compile(shape), load, dispose };
    },
    dispose() {},
  };
  const beside = { engine, choice: { reason: 'measured', speeds: [] } } as const;
  await expect(openFrozenNet(file, weights, 1, { ...options, beside })).rejects.toThrow('out of memory');
  expect(open).toBe(0);
});
