import { expect, test } from 'vitest';
import type { Engine } from '../src/engine.ts';
import { openFrozenNet, warmUp } from '../src/frozen-net.ts';
import { initialDense } from '../src/open-net.ts';
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

test('frozen net: runs on what runs another net with matrices here, plain too, and tries nothing else', async () => {
  const file = exampleModel();
  const { weights } = initialDense(file);
  const work = { kind: 'scores', rows: [1] } as const;
  const skipped: string[] = [];
  const onSkip = (name: string) => void skipped.push(name);
  const net = await openFrozenNet(file, weights, 1, { wanted: 'auto', onSkip, work, opened: 'plain' });
  expect([net.engine.name, skipped]).toEqual(['plain', []]);
  net.dispose();
});
