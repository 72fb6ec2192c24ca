import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createGradientStep, type OpenNet, openNet, type StepExample, tablesToPull } from '../src/index.ts';

/** logit = w[ad] + price · w[price], so that a step can be written down by hand. */
const linear: ModelFile = {
  name: 'ads',
  label: 'y',
  tables: [{ name: 'ids', wide: { optimizer: { type: 'newton' } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', table: 'ids' },
  ],
  bias: false,
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

function example(item: StepExample['item'], shown: number, clicked: number): StepExample {
  return { user: {}, context: {}, item, shown, clicked };
}

async function opened(file: ModelFile = linear) {
  const net = await openNet(file, { wanted: 'plain', onSkip: () => {} });
  return { net, step: createGradientStep(net) };
}

/** Runs the batch with every float of every row at `value`. */
async function runAt(
  value: number,
  { net, step }: { net: OpenNet; step: ReturnType<typeof createGradientStep> },
) {
  for (const { out } of tablesToPull(step.space)) out.fill(value);
  await step.run(net.versions.current.loaded);
}

test('gradient step: sums a key over the batch, gradient and curvature (by hand)', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add(example({ ad: 'a' }, 1, 1), 0);
  step.add(example({ ad: 'b' }, 1, 0), 1);
  step.add(example({ ad: 'a' }, 3, 0), 2);
  await runAt(0, setting);
  // p = 1/2: a has ½ − 1 + 3 · ½ = 1 and (1 + 3)/4, b has ½ and ¼.
  expect(Array.from(step.sums[0].gradients.subarray(0, 2))).toEqual([1, 0.5]);
  expect(Array.from(step.sums[0].curvature?.subarray(0, 2) ?? [])).toEqual([1, 0.25]);
  expect(Array.from(step.logits.subarray(0, 3))).toEqual([0, 0, 0]);
  expect(step.lossSum()).toBeCloseTo(5 * Math.LN2, 12);
});

test('gradient step: a plain engine is done when run returns', async () => {
  const { net, step } = await opened();
  step.begin();
  step.add(example({ ad: 'a' }, 1, 1), 0);
  tablesToPull(step.space);
  expect(step.run(net.versions.current.loaded)).toBeUndefined();
  expect(step.sums[0].gradients[0]).toBe(-0.5);
});

test('gradient step: an engine that one has to wait for gives the same', async () => {
  const { net, step } = await opened();
  const program = Object.create(net.program) as OpenNet['program'];
  program.gradients = async (...args) => {
    await new Promise((resolve) => setImmediate(resolve));
    await net.program.gradients(...args);
  };
  const waiting = createGradientStep({ ...net, program });
  for (const each of [step, waiting]) {
    each.begin();
    for (let i = 0; i < 100; i += 1) each.add(example({ ad: `a${i % 7}`, price: i }, 1, i % 2), i);
    await runAt(0.01, { net, step: each });
  }
  expect(waiting.sums[0].gradients.subarray(0, 8)).toEqual(step.sums[0].gradients.subarray(0, 8));
  expect(waiting.logits.subarray(0, 100)).toEqual(step.logits.subarray(0, 100));
});

test('gradient step: gradients that an optimizer could not square are cut to the limit, NaN stays', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add(example({ price: 1e12 }, 1, 0), 0);
  await runAt(0, setting);
  expect(step.sums[0].gradients[0]).toBe(1e9);
  expect(step.sums[0].curvature?.[0]).toBe(1e9);
  step.begin();
  step.add(example({ price: -1e12 }, 1, 0), 0);
  await runAt(0, setting);
  expect(step.sums[0].gradients[0]).toBe(-1e9);
  step.begin();
  step.add(example({ price: 1 }, 1, 0), 0);
  await runAt(Number.NaN, setting);
  expect(step.sums[0].gradients[0]).toBeNaN();
});

test('gradient step: an example that cannot be used leaves the batch as it was', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add(example({ ad: 'a' }, 1, 1), 0);
  expect(() => step.add(example({ price: 'dear' }, 1, 1), 4)).toThrow(/items\[4\]\.price/);
  step.add(example({ ad: 'a' }, 1, 0), 1);
  await runAt(0, setting);
  expect(step.space.batch.rows).toBe(2);
  expect(step.sums[0].gradients[0]).toBe(0);
});
