import type { Engine, NetShape, OpenNet } from '@millrace/model';
import { expect, test } from 'vitest';
import { measureSplit } from '../src/index.ts';
import { learnedModel, requestOf } from './split-model.ts';

const requests = Array.from({ length: 12 }, (_, n) => requestOf(n, 10));

/** A clock that goes on by 1 s at each look. */
function ticking() {
  let now = 0;
  return () => {
    now += 1;
    return now;
  };
}

test('measure split: items a second are those scored between two looks at the clock', async () => {
  const { net, states } = await learnedModel();
  const speeds = await measureSplit(net, states, requests, { turns: 2, turnSeconds: 1, seconds: ticking() });
  // Ten requests of ten items, then a look, which says that the turn is over.
  expect([speeds.whole, speeds.fresh, speeds.known]).toEqual([100, 100, 100]);
  const longer = await measureSplit(net, states, requests, { turns: 1, turnSeconds: 9, seconds: ticking() });
  // All twelve, with a look after the tenth.
  expect(longer.known).toBe(60);
});

test('measure split: the whole net says the same of every item but for its last bits', async () => {
  const { net, states } = await learnedModel();
  const turns = { turns: 1, turnSeconds: 1, seconds: ticking() };
  const { logitDifference, scoreDifference } = await measureSplit(net, states, requests, turns);
  expect(logitDifference).toBeGreaterThan(0);
  expect(logitDifference).toBeLessThan(1e-5);
  expect(scoreDifference).toBeLessThanOrEqual(logitDifference);
});

test('measure split: a split net that says something else is told', async () => {
  const { net, states } = await learnedModel();
  const isSplit = ({ sides }: NetShape) => sides.some((side) => side !== 'mixed');
  const engine: Engine = {
    ...net.engine,
    compile(shape) {
      const program = net.engine.compile(shape);
      if (!isSplit(shape)) return program;
      return {
        ...program,
        load: (weights) => program.load(weights),
        dispose: () => program.dispose(),
        async forward(loaded, input, logits) {
          await program.forward(loaded, input, logits);
          logits[3] += 0.5;
        },
      };
    },
  };
  const wrong: OpenNet = { ...net, engine };
  const turns = { turns: 1, turnSeconds: 1, seconds: ticking() };
  const { logitDifference, scoreDifference } = await measureSplit(wrong, states, requests, turns);
  expect(logitDifference).toBeCloseTo(0.5, 4);
  expect(scoreDifference).toBeGreaterThan(0.05);
});
