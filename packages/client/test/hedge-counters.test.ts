import { createMetrics } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createHedgeCounters } from '../src/hedge-counters.ts';

test('hedge counters: second requests and those that won are counted apart', async () => {
  const metrics = createMetrics({ service: 'test' });
  const note = createHedgeCounters(metrics);
  for (const event of ['asked', 'won', 'asked', 'asked'] as const) note(event);
  const text = await metrics.text();
  expect(text).toContain('mill_hedged_pulls_total{service="test"} 3\n');
  expect(text).toContain('mill_hedge_wins_total{service="test"} 1\n');
});
