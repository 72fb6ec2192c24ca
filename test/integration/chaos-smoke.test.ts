/** A few seconds of what `npm run chaos` does for longer: parts of a running cluster are harmed under load, and nothing is lost. */
import { runChaos } from '@millrace/testkit';
import { expect, test } from 'vitest';

test('chaos: three harms under load: no score fails, no block is lost or applied twice, owners are equal', async () => {
  const told: string[] = [];
  const report = await runChaos({
    // The first three harms of this seed: a shard is killed, an inference node stopped, nats-server killed.
    seed: 243,
    seconds: 60,
    harmsMax: 3,
    shards: 3,
    inference: 2,
    lastsMsMin: 500,
    lastsMsMax: 1_500,
    watch: { say: (line) => told.push(line), progress: () => undefined },
  });
  expect({ ...report, told }).toMatchObject({
    kills: 3,
    harms: { 'kill shard': 1, 'stop inference': 1, 'kill nats-server': 1 },
    failedScores: 0,
    lostBlocks: 0,
    lostExamples: 0,
    doubleApplied: 0,
    doubleClicks: 0,
    verify: 'equal',
    denseNodes: 'equal',
    failures: [],
  });
  expect(report.scored).toBeGreaterThan(100);
  expect(report.learnedClicks).toBeGreaterThan(10);
});
