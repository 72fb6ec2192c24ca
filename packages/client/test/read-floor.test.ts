/** What a client has read once it does not read older again, while anyone answers newer. */
import { expect, test } from 'vitest';
import { createReadFloor } from '../src/read-floor.ts';
import {
  allPartitions,
  keysOf,
  marksOf,
  openStage,
  requestOf,
  type ServedShard,
  serve,
} from './pull-stage.ts';

/** Marks as a rows frame has them: partition, 0, sequence low, sequence high. */
const marks = (...of: readonly (readonly [number, number])[]) =>
  Uint32Array.from(of.flatMap(([partition, sequence]) => [partition, 0, sequence, 0]));

test('read floor: admits what is as new as what was read before, each partition for itself', () => {
  const floor = createReadFloor();
  expect(floor.admits('ads', marks([3, 1]), 1)).toBe(true);
  floor.set('ads', marks([1, 10], [3, 20]), 2);
  expect(floor.admits('ads', marks([1, 10], [2, 1], [3, 20]), 3)).toBe(true);
  expect(floor.admits('ads', marks([1, 11], [3, 19]), 2)).toBe(false);
  expect(floor.admits('ads', marks([1, 11], [3, 19]), 1)).toBe(true);
  expect(floor.admits('shop', marks([3, 1]), 1)).toBe(true);
});

test('read floor: knows partitions beyond those that it has seen, and sequences beyond 32 bits', () => {
  const floor = createReadFloor();
  floor.set('ads', Uint32Array.of(4_000, 0, 5, 1), 1);
  expect(floor.admits('ads', Uint32Array.of(4_000, 0, 4, 1), 1)).toBe(false);
  expect(floor.admits('ads', Uint32Array.of(4_000, 0, 0, 2), 1)).toBe(true);
  expect(floor.admits('ads', Uint32Array.of(4_095, 0, 0, 0), 1)).toBe(true);
});

test('read floor: an answer that was taken all the same is the floor from then on', () => {
  const floor = createReadFloor();
  floor.set('ads', marks([0, 10]), 1);
  floor.set('ads', marks([0, 4]), 1);
  expect(floor.admits('ads', marks([0, 4]), 1)).toBe(true);
});

/** A client that has read "a" and is then sent to "b", which is ten blocks behind. */
async function sentToOlder() {
  const stage = await openStage();
  const learned = keysOf(40);
  const a = await serve({ shard: 'a', held: allPartitions, learned });
  const b = await serve({ shard: 'b', held: allPartitions, learned });
  for (const state of a.model.states) if (state) state.sequence += 10;
  await stage.lease('a', a.port);
  await stage.lease('b', b.port);
  const owners = (place: number) => allPartitions.map(() => [place]);
  await stage.map(1, ['a', 'b'], owners(0));
  await stage.client.pull(requestOf(learned));
  await stage.map(2, ['a', 'b'], owners(1));
  return { ...stage, b, learned };
}

/** Resolves once a shard has been asked for so many keys, and its answer has had time to come. */
async function asked(shard: ServedShard, keys: number): Promise<void> {
  while (shard.pulled() < keys) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const offsetsOf = (request: ReturnType<typeof requestOf>) =>
  new Set(marksOf(request).map(([partition, sequence]) => sequence - partition));

test('read floor: a holder that is behind is asked again a little later, and nothing older is written', async () => {
  const { client, clock, b, learned } = await sentToOlder();
  const request = requestOf(learned);
  request.out.fill(Number.NaN);
  const pulling = client.pull(request);
  await asked(b, 40);
  expect([request.out.every(Number.isNaN), request.marks.count]).toEqual([true, 0]);
  for (const state of b.model.states) if (state) state.sequence += 10;
  clock.advanceBy(1);
  expect(await pulling).toEqual({ degraded: false });
  expect([...offsetsOf(request)]).toEqual([110]);
});

test('read floor: where nobody has newer rows, the older ones are taken after a few milliseconds', async () => {
  const { client, clock, b, learned } = await sentToOlder();
  const request = requestOf(learned);
  const pulling = client.pull(request);
  for (const [tries, pauseMs] of [1, 2, 4].entries()) {
    await asked(b, 40 * (tries + 1));
    clock.advanceBy(pauseMs);
  }
  expect(await pulling).toEqual({ degraded: false });
  expect([[...offsetsOf(request)], b.pulled()]).toEqual([[100], 160]);
  // They are what is known now, so the next pull waits for nothing.
  await client.pull(requestOf(learned));
  expect(b.pulled()).toBe(200);
});
