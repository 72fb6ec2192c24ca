import { expect, test } from 'vitest';
import { createProcessBlobs } from '../../src/simulation/process-blobs.ts';
import { createSimulatedStore, putBlob } from '../../src/simulation/simulated-store.ts';
import { fairWeather, smallProcess, smallWorld } from './small-world.ts';

function open(seed: number, changes = {}) {
  const world = smallWorld(seed);
  const process = smallProcess(world, 'a');
  const store = createSimulatedStore('disk');
  const blobs = createProcessBlobs({
    process,
    weather: fairWeather(changes),
    store,
    link: null,
    onRead: () => undefined,
  });
  return { world, process, store, blobs };
}

async function readAll(chunks: AsyncIterable<Uint8Array> | null): Promise<number[]> {
  const bytes: number[] = [];
  for await (const chunk of chunks ?? []) bytes.push(...chunk);
  return bytes;
}

test('process blobs: what was stored is read again, in chunks; what was not there is null', async () => {
  const { world, blobs, store } = open(1);
  let read: number[] | null = null;
  const work = (async () => {
    await blobs.put('m/1', [Uint8Array.of(1, 2), Uint8Array.of(3)]);
    read = await readAll(await blobs.get('m/1'));
    expect(await blobs.get('m/2')).toBeNull();
  })();
  await world.runUntil(1_000);
  await work;
  expect(read).toEqual([1, 2, 3]);
  expect(store.blobs.get('m/1')?.damaged).toBe(false);
});

test('process blobs: a writer that dies leaves nothing, or a prefix of what it wrote', async () => {
  const left = new Set<string>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const { world, process, blobs, store } = open(seed);
    void blobs.put('m/1', [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6), Uint8Array.of(7)]);
    await world.runUntil(6);
    process.kill();
    await world.runUntil(1_000);
    const torn = store.blobs.get('m/1');
    left.add(torn === undefined ? 'nothing' : torn.damaged ? 'torn' : 'whole');
    if (torn) expect([1, 2, 3, 4, 5, 6, 7].slice(0, torn.bytes.length)).toEqual([...torn.bytes]);
  }
  expect([...left].sort()).toEqual(['nothing', 'torn']);
});

test('process blobs: a full store takes nothing more; a stale listing is that of an earlier moment', async () => {
  const { world, blobs, store } = open(2, { staleListing: 1 });
  putBlob(store, 'm/1', Uint8Array.of(1), false);
  putBlob(store, 'm/2', Uint8Array.of(1), false);
  store.writesLeft = 0;
  const outcomes: unknown[] = [];
  blobs.list('m/').then((names) => outcomes.push(names.map(({ name }) => name)));
  await world.runUntil(100);
  blobs.put('m/3', [Uint8Array.of(1)]).catch((error: { code: string }) => outcomes.push(error.code));
  await world.runUntil(200);
  expect(outcomes).toEqual([['m/1'], 'MILL_STORE_UNAVAILABLE']);
});
