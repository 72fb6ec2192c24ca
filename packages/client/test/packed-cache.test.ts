/** A cache whose copies are packed: the same rows by the same rules, to what the format can say, in fewer bytes. */
import { partitionOf } from '@millrace/core';
import { expect, test } from 'vitest';
import type { CopyFormat } from '../src/cached-table.ts';
import type { PullRequest } from '../src/row-source.ts';
import { type CacheStage, keyOf, openCacheStage, partitions } from './cache-stage.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const keys = Array.from({ length: 300 }, (_, key) => key).filter(
  (key) => partitionOf(...keyOf(key), partitions) === 0,
);

async function read(stage: CacheStage, wanted: readonly number[]): Promise<PullRequest> {
  const request = stage.request(0, wanted);
  const pulling = stage.cache.pull(request);
  await turn();
  while (stage.asked.length > 0) {
    stage.answer();
    await turn();
  }
  await pulling;
  return request;
}

/** A stage whose cache has read all keys, was told of a change of each, and knows that it is fresh. */
async function warmStage(format: CopyFormat): Promise<CacheStage> {
  const stage = openCacheStage({ format });
  stage.block(0, 0, keys);
  await read(stage, keys);
  stage.block(0, 0, keys);
  stage.clock.advanceBy(2);
  stage.tellHeads();
  return stage;
}

test.each(['float16', 'int8'] as const)(
  'packed cache: %s copies are read without asking, near to what they are',
  async (format) => {
    const stage = await warmStage(format);
    const { sequence } = stage.states[0];
    const before = { ...stage.cache.counts };
    const request = await read(stage, keys);
    expect(stage.cache.counts).toEqual({ ...before, hits: before.hits + keys.length });
    expect([request.marks.partitions[0], request.marks.sequences[0], request.marks.count]).toEqual([
      0,
      sequence,
      1,
    ]);
    const wanted = keys.flatMap((key) => stage.rowAt(0, key, sequence) as number[]);
    const widest = Math.max(...wanted.filter((_, i) => i % 4 === 0).map(Math.abs));
    let changed = 0;
    for (const [i, weight] of wanted.entries()) {
      const isCode = format === 'int8' && i % 4 === 0;
      const off = Math.abs(request.out[i] - weight);
      expect(off).toBeLessThanOrEqual(isCode ? (2 * widest) / 127 : Math.abs(weight) * 2 ** -11 + 2 ** -25);
      if (off > 0) changed += 1;
    }
    // They are packed indeed.
    expect(changed).toBeGreaterThan(wanted.length / 4);
    const whole = await warmStage('float32');
    expect(stage.cache.rows).toBe(whole.cache.rows);
    expect(stage.cache.bytes).toBeLessThan(whole.cache.bytes);
  },
);
