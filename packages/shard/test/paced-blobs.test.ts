import { createManualClock, createMemoryBlobs } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { pacedBlobs } from '../src/paced-blobs.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('paced blobs: takes the next chunk only after others had their turn, and stores the same bytes', async () => {
  const clock = createManualClock(0);
  const blobs = createMemoryBlobs();
  const taken: number[] = [];
  function* chunks() {
    for (const byte of [1, 2, 3]) {
      taken.push(byte);
      yield Uint8Array.of(byte);
    }
  }
  const putting = pacedBlobs(blobs, clock).put('a', chunks());
  await settled();
  expect(taken).toEqual([1]);
  for (const wanted of [2, 3]) {
    clock.advanceBy(0);
    await settled();
    expect(taken.at(-1)).toBe(wanted);
  }
  clock.advanceBy(0);
  await putting;
  const bytes: number[] = [];
  for await (const chunk of (await blobs.get('a')) ?? []) bytes.push(...chunk);
  expect(bytes).toEqual([1, 2, 3]);
});

test('paced blobs: what is not there is not there, names are listed and forgotten as before', async () => {
  const clock = createManualClock(0);
  const blobs = createMemoryBlobs();
  await blobs.put('a/b', [Uint8Array.of(1)]);
  const paced = pacedBlobs(blobs, clock);
  expect(await paced.get('c')).toBe(null);
  expect(await paced.list('a/')).toEqual([{ name: 'a/b', bytes: 1 }]);
  await paced.delete('a/b');
  expect(await blobs.list('')).toEqual([]);
});
