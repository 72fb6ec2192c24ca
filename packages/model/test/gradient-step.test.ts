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
  await step.run(net.versions.current);
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
  expect(step.run(net.versions.current)).toBeUndefined();
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

test('gradient step: an offset counts in gradient, curvature and loss, and not in the logit', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add({ ...example({ ad: 'a' }, 1, 0), offset: 2 }, 0);
  step.add(example({ ad: 'b' }, 1, 1), 1);
  await runAt(0.5, setting);
  const p = 1 / (1 + Math.exp(-2.5));
  expect(step.sums[0].gradients[0]).toBeCloseTo(p, 6);
  expect(step.sums[0].curvature?.[0]).toBeCloseTo(p * (1 - p), 6);
  expect(Array.from(step.logits.subarray(0, 2))).toEqual([0.5, 0.5]);
  expect(step.lossSum()).toBeCloseTo(-Math.log(1 - p) + Math.log1p(Math.exp(-0.5)), 6);
  // The next batch has none of it.
  step.begin();
  step.add(example({ ad: 'a' }, 1, 0), 0);
  await runAt(0.5, setting);
  expect(step.sums[0].gradients[0]).toBeCloseTo(1 / (1 + Math.exp(-0.5)), 6);
});

test('gradient step: an offset is in the loss and not in the logit (by hand)', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add({ ...example({ ad: 'a' }, 1, 0), offset: Math.log(3) }, 0);
  step.add(example({ ad: 'b' }, 1, 0), 1);
  await runAt(0, setting);
  // σ(ln 3) = ¾, curvature ¾ · ¼; the other one has no offset.
  const { gradients, curvature } = step.sums[0];
  expect([gradients[0], gradients[1]]).toEqual([0.75, 0.5]);
  expect(curvature?.[0]).toBeCloseTo(0.1875, 6);
  expect(step.logits[0]).toBeCloseTo(0, 6);
  expect(step.lossSum()).toBeCloseTo(Math.log(4) + Math.LN2, 6);
});

test('gradient step: fake negatives weigh 1 − p² and late positives 1 + p, by the prediction without offset (by hand)', async () => {
  const setting = await opened();
  const { step } = setting;
  step.begin();
  step.add({ ...example({ ad: 'a' }, 1, 0), weighting: 'fake-negative' }, 0);
  step.add({ ...example({ ad: 'b' }, 1, 1), weighting: 'late-positive' }, 1);
  step.add({ ...example({ ad: 'c' }, 1, 0), weighting: 'fake-negative', offset: Math.log(3) }, 2);
  step.add(example({ ad: 'd' }, 1, 1), 3);
  await runAt(0, setting);
  // p = ½: ¾ · ½, 1½ · −½, ¾ · ¾, −½.
  expect(Array.from(step.sums[0].gradients.subarray(0, 4))).toEqual([0.375, -0.75, 0.5625, -0.5]);
  // The next batch is weighed anew.
  step.begin();
  step.add(example({ ad: 'a' }, 1, 0), 0);
  await runAt(0, setting);
  expect(step.sums[0].gradients[0]).toBe(0.5);
});

test('gradient step: a part that takes back some of an earlier one does not bend the loss', async () => {
  const setting = await opened();
  setting.step.begin();
  setting.step.add(example({ ad: 'a' }, -0.5, 0.5), 0);
  await runAt(0, setting);
  const { gradients, curvature } = setting.step.sums[0];
  expect([gradients[0], curvature?.[0]]).toEqual([-0.75, 0]);
});

test('gradient step: sampled negatives and fake negatives both come to rest at the true probability', async () => {
  // One weight; the expected gradient of all that a true probability brings, followed to where it is zero.
  const truth = 0.2;
  const rate = 0.1;
  const setting = await opened();
  const rest = async (parts: readonly (readonly [share: number, example: Partial<StepExample>])[]) => {
    let w = 0;
    for (let n = 0; n < 400; n += 1) {
      const { step } = setting;
      step.begin();
      for (const [share, { shown = 1, clicked = 0, ...more }] of parts)
        step.add({ ...example({ ad: 'a' }, shown * share, clicked * share), ...more }, 0);
      await runAt(w, setting);
      w -= 2 * step.sums[0].gradients[0];
    }
    return 1 / (1 + Math.exp(-w));
  };
  const offset = -Math.log(rate);
  const sampled = await rest([
    [truth, { clicked: 1, offset }],
    [(1 - truth) * rate, { offset }],
  ]);
  expect(sampled).toBeCloseTo(truth, 4);
  // The other sign, or an offset on negatives alone, comes to rest elsewhere.
  const wrong = await rest([
    [truth, { clicked: 1 }],
    [(1 - truth) * rate, { offset }],
  ]);
  expect(wrong).toBeGreaterThan(0.3);
  const fake = await rest([
    [1, { weighting: 'fake-negative' }],
    [truth, { clicked: 1, weighting: 'late-positive' }],
  ]);
  expect(fake).toBeCloseTo(truth, 4);
  const both = await rest([
    [rate, { weighting: 'fake-negative', offset }],
    [truth, { clicked: 1, weighting: 'late-positive', offset }],
  ]);
  expect(both).toBeCloseTo(truth, 4);
});

test('gradient step: a net without a wide part takes offsets too', async () => {
  const setting = await opened({
    ...linear,
    tables: [{ name: 'ids', embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 0.1 } } }],
    fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'ids' }],
    net: { layers: [{ units: 2, activation: 'linear' }] },
  });
  const { step } = setting;
  const lossAt = async (offset: number) => {
    step.begin();
    step.add({ ...example({ ad: 'a' }, 1, 0), offset }, 0);
    await runAt(0.3, setting);
    return [step.lossSum(), step.logits[0]];
  };
  const [, logit] = await lossAt(0);
  const [loss, same] = await lossAt(2);
  expect(same).toBe(logit);
  expect(loss).toBeCloseTo(Math.log1p(Math.exp(logit + 2)), 6);
});
