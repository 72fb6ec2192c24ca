import type { Features } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createRequestScorer } from '../src/index.ts';
import { learnedModel, requestOf } from './split-model.ts';

test('request scorer: an item is scored in a batch of requests as the learner scores it alone, to the bit', async () => {
  const learner = await learnedModel();
  const { net, states } = learner;
  const { loaded, scales } = net.versions.current;
  const requests = [requestOf(300, 4), requestOf(301, 1), requestOf(302, 9)];
  const scorer = createRequestScorer(net.plan, net.program, states);
  // The batch before leaves nothing behind.
  await scorer.score(loaded, scales, [requestOf(7, 30)]);
  const found = (await scorer.score(loaded, scales, requests)).slice(0, 14);
  const wanted: number[] = [];
  for (const { user, context, items } of requests) {
    for (const item of items as readonly Features[]) {
      learner.add({ user, context, item, shown: 1, clicked: 0, timeMs: null });
      await learner.score();
      wanted.push(learner.logits[0]);
    }
  }
  expect(Array.from(found)).toEqual(wanted);
  expect(new Set(wanted).size).toBeGreaterThan(10);
});
