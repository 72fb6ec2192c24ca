import { expect, test } from 'vitest';
import { smokeSize } from '../../src/pull/parameters.ts';
import { runPullBench, stepsOf } from '../../src/pull/pull-bench.ts';
import { redisVersion } from '../../src/pull/redis-process.ts';

test('bench: pull: the smoke size gives every figure, and right rows', async () => {
  const steps: number[] = [];
  const result = await runPullBench({ ...smokeSize, onStep: (done) => steps.push(done) });
  const { settings } = result;
  expect(settings.map(({ keysPerRequest, inFlight }) => `${keysPerRequest} × ${inFlight}`)).toEqual([
    '26 × 1',
    '26 × 8',
    '260 × 1',
    '260 × 8',
    '2600 × 1',
    '2600 × 8',
  ]);
  const withRedis = redisVersion() !== null;
  for (const { millrace, redis, ratioToRedis } of settings) {
    for (const figures of withRedis ? [millrace, redis!] : [millrace]) {
      expect(figures.keysPerSecond).toBeGreaterThan(0);
      expect(figures.msP99).toBeGreaterThanOrEqual(figures.msP50);
    }
    expect(ratioToRedis === null).toBe(!withRedis);
  }
  expect(result.keysPerSecond).toBe(settings[5].millrace.keysPerSecond);
  expect(result.ratioToRedis).toBe(settings[5].ratioToRedis);
  expect(Math.min(result.lookupKeysPerSecond, result.gatherKeysPerSecond)).toBeGreaterThan(0);
  // The rows that every store was checked with; a function of seed and sizes alone.
  expect(result.resultHash).toMatchInlineSnapshot(
    `"9728fb8a12fe1b970db31ce539a6d6744a673332d7894e31ebae8a405f8b4064"`,
  );
  expect(steps).toEqual(Array.from({ length: stepsOf(smokeSize) }, (_, i) => i));
}, 60_000);
