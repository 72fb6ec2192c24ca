/** What every blob store must do, wherever it keeps its values. The contract stands in src/blob-store.ts. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '../src/blob-store.ts';

export interface OpenedBlobs {
  readonly blobs: BlobStore;
  readonly end: () => Promise<void>;
}

/** Runs the suite on stores that `open` gives, each empty. */
export function blobConformance(name: string, open: () => Promise<OpenedBlobs>): void {
  describe(`${name}: conformance`, () => {
    let opened: OpenedBlobs;
    let blobs: BlobStore;

    beforeEach(async () => {
      opened = await open();
      blobs = opened.blobs;
    });

    afterEach(() => opened.end());

    test('blobs: put and get: the chunks of a value come back as one run of bytes', async () => {
      await blobs.put('ads/1-full', [bytesOf('one '), bytesOf(''), bytesOf('two')]);
      expect(textOf(await contentOf(blobs, 'ads/1-full'))).toBe('one two');
    });

    test('blobs: get: a name that is not there is null, also where others begin with it', async () => {
      await blobs.put('ads/00ff/3/0000000000000007-full', [bytesOf('x')]);
      expect(await blobs.get('ads')).toBeNull();
      expect(await blobs.get('ads/00ff/3/0000000000000007')).toBeNull();
      expect(await blobs.get('feed/1-full')).toBeNull();
    });

    test('blobs: put: an empty value is there', async () => {
      await blobs.put('empty', []);
      expect(await contentOf(blobs, 'empty')).toEqual(new Uint8Array(0));
      expect(await blobs.list('')).toEqual([{ name: 'empty', bytes: 0 }]);
    });

    test.for([1, 262_143, 262_144, 262_145, 3_000_001])('blobs: put: a value of %d bytes', async (length) => {
      const value = patternOf(length);
      // Chunks of a size that divides nothing.
      await blobs.put('a/b', piecesOf(value, 100_003));
      expect(Buffer.compare(await contentOf(blobs, 'a/b'), value)).toBe(0);
      expect(await blobs.list('a/')).toEqual([{ name: 'a/b', bytes: length }]);
    });

    test('blobs: put: takes chunks one after the other, as they become ready', async () => {
      let taken = 0;
      async function* chunks() {
        for (const text of ['a', 'b', 'c']) {
          await new Promise((resolve) => setImmediate(resolve));
          taken += 1;
          yield bytesOf(text);
        }
      }
      await blobs.put('slow', chunks());
      expect([taken, textOf(await contentOf(blobs, 'slow'))]).toEqual([3, 'abc']);
    });

    test('blobs: put: a chunk that the writer reuses for the next one is stored as it was', async () => {
      const chunk = bytesOf('a');
      function* chunks() {
        for (const letter of 'abc') {
          chunk[0] = letter.charCodeAt(0);
          yield chunk;
        }
      }
      await blobs.put('reused', chunks());
      expect(textOf(await contentOf(blobs, 'reused'))).toBe('abc');
    });

    test('blobs: get: a chunk is the reader’s to change', async () => {
      await blobs.put('a', [bytesOf('kept')]);
      for await (const chunk of (await blobs.get('a'))!) chunk.fill(0);
      expect(textOf(await contentOf(blobs, 'a'))).toBe('kept');
    });

    test('blobs: put: over a value: the new one takes its place', async () => {
      await blobs.put('a', [patternOf(700_000)]);
      await blobs.put('a', [bytesOf('short')]);
      expect(textOf(await contentOf(blobs, 'a'))).toBe('short');
      expect(await blobs.list('')).toEqual([{ name: 'a', bytes: 5 }]);
    });

    test.for([
      { what: 'nothing was', before: null },
      { what: 'a value was', before: 'old' },
    ])('blobs: put: chunks that break off leave what was there before: $what', async ({ before }) => {
      if (before !== null) await blobs.put('a', [bytesOf(before)]);
      function* chunks() {
        yield patternOf(600_000);
        throw new Error('the writer stops');
      }
      await expect(blobs.put('a', chunks())).rejects.toThrow('the writer stops');
      const found = await blobs.get('a');
      expect(found === null ? null : textOf(await contentOf(blobs, 'a'))).toBe(before);
      expect((await blobs.list('')).length).toBe(before === null ? 0 : 1);
    });

    test('blobs: delete: a deleted name is gone, can be deleted again and written again', async () => {
      await blobs.put('ads/1', [bytesOf('one')]);
      await blobs.put('ads/2', [bytesOf('two')]);
      await blobs.delete('ads/1');
      await blobs.delete('ads/1');
      await blobs.delete('never/there');
      expect(await blobs.get('ads/1')).toBeNull();
      expect(await blobs.list('')).toEqual([{ name: 'ads/2', bytes: 3 }]);
      await blobs.put('ads/1', [bytesOf('again')]);
      expect(textOf(await contentOf(blobs, 'ads/1'))).toBe('again');
    });

    test('blobs: list: the names that begin with a prefix, wherever it ends', async () => {
      expect(await blobs.list('')).toEqual([]);
      for (const name of ['ads/0/1-full', 'ads/0/2-on-1', 'ads/01/1-full', 'feed/0/1-full'])
        await blobs.put(name, [bytesOf(name)]);
      const names = async (prefix: string) => (await blobs.list(prefix)).map(({ name }) => name).sort();
      expect(await names('ads/0/')).toEqual(['ads/0/1-full', 'ads/0/2-on-1']);
      expect(await names('ads/0')).toEqual(['ads/0/1-full', 'ads/0/2-on-1', 'ads/01/1-full']);
      expect(await names('fe')).toEqual(['feed/0/1-full']);
      expect(await names('ads/2/')).toEqual([]);
      expect((await names('')).length).toBe(4);
    });

    test('blobs: list: hundreds of names', async () => {
      const names = Array.from({ length: 600 }, (_, i) => `ads/0000004d/${i % 64}/${i}-full`);
      for (const name of names) await blobs.put(name, [bytesOf('x')]);
      const found = (await blobs.list('')).map(({ name }) => name);
      expect(found.sort()).toEqual(names.sort());
      // Each put is brought to the disk.
    }, 60_000);

    test('blobs: get: a reader that leaves early holds nobody up', async () => {
      await blobs.put('a', [patternOf(2_000_000)]);
      for await (const chunk of (await blobs.get('a'))!) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await blobs.delete('a');
      expect(await blobs.get('a')).toBeNull();
    });

    test('blobs: several values at once do not mix', async () => {
      const values = [1, 2, 3, 4].map((seed) => patternOf(500_000 + seed));
      await Promise.all(values.map((value, i) => blobs.put(`a/${i}`, piecesOf(value, 64_000))));
      const found = await Promise.all(values.map((_, i) => contentOf(blobs, `a/${i}`)));
      expect(found.map((value, i) => Buffer.compare(value, values[i]))).toEqual([0, 0, 0, 0]);
    });

    test.for(['', '/a', 'a/', 'a//b', '../a', 'a/../b', '.a', 'A', 'a b', 'a*'])(
      'blobs: put: "%s" is no name',
      async (bad) => {
        await expect(blobs.put(bad, [])).rejects.toThrow(/invariant/);
      },
    );
  });
}

/** All bytes under a name. */
export async function contentOf(blobs: BlobStore, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await blobs.get(name))!) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

export function patternOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >>> 8) + length) & 0xff);
}

function* piecesOf(value: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < value.length; at += size) yield value.subarray(at, at + size);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
