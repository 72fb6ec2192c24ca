import { applyDense, fingerprintOf } from '@millrace/core';
import { encodeDenseBlock } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { compileNet } from '../src/compile-model.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import { openNet } from '../src/open-net.ts';
import { exampleModel } from './example-model.ts';
import { smallModel } from './small-model.ts';

const onSkip = () => {};

test('open net: everything comes from the one file, and learning begins at version 0', async () => {
  const file = exampleModel();
  const net = await openNet(file, { wanted: 'plain', onSkip });
  try {
    expect(net.shape).toEqual(compileNet(file));
    expect(net.fingerprint).toBe(fingerprintOf(file));
    expect(net.engine.name).toBe('plain');
    expect(net.plan.tables.map(({ name }) => name)).toEqual(['ids', 'tags', 'pairs']);
    expect(net.dense.weights).toEqual(initialParameters(net.shape, file.seed));
    expect([net.dense.sequence, net.versions.current.version]).toEqual([0, 0]);
  } finally {
    net.dispose();
  }
});

test('open net: what the dense fold applies is what the next version computes with', async () => {
  // One number into one linear unit into the last one: logit = (3·w1 + b1)·w2 + b2. SGD at rate 1, gradients (1, −2, 0, 0).
  const file = smallModel({
    fields: [{ name: 'x', type: 'dense' }],
    net: { layers: [{ units: 1, activation: 'linear' }], optimizer: { type: 'sgd', learningRate: 1 } },
  });
  const net = await openNet(file, { wanted: 'plain', onSkip });
  try {
    const input = {
      rows: 1,
      wide: new Float32Array(1),
      embeddings: new Float32Array(0),
      dense: Float32Array.of(3),
      lengths: new Int32Array(0),
    };
    const logits = new Float32Array(1);
    const [w1, b1, w2, b2] = net.dense.weights;
    const gradients = Float32Array.of(1, -2, 0, 0);
    const block = { producer: 'p', sequence: 1, previous: 0, model: file.name, timeMs: 0, gradients };
    const payload = encodeDenseBlock({ ...block, fingerprint: net.fingerprint });
    expect(applyDense(net.dense, { sequence: 5, payload }, 'report').kind).toBe('applied');
    await net.program.forward(net.versions.current.loaded, input, logits);
    expect(logits[0]).toBeCloseTo((3 * w1 + b1) * w2 + b2, 6);
    expect(net.versions.refresh()).toBe('swapped');
    expect(net.versions.current.version).toBe(5);
    await net.program.forward(net.versions.current.loaded, input, logits);
    expect(logits[0]).toBeCloseTo((3 * (w1 - 1) + (b1 + 2)) * w2 + b2, 6);
  } finally {
    net.dispose();
  }
});

test('open net: a linear model has no dense weights and runs on plain', async () => {
  const file = smallModel({ fields: [{ name: 'a', type: 'sparse', table: 'wide' }] });
  const net = await openNet(file, { wanted: 'auto', onSkip });
  expect([net.engine.name, net.dense.weights.length, net.versions.refresh()]).toEqual(['plain', 0, 'same']);
  net.dispose();
});

test('open net: an engine that is not here is an error by its code', async () => {
  const opening = openNet(exampleModel(), { wanted: 'tfjs-node-gpu', onSkip });
  await expect(opening).rejects.toMatchObject({ code: 'MILL_ENGINE_UNAVAILABLE' });
});
