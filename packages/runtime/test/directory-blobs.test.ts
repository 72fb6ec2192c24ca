import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDirectoryBlobs } from '../src/directory-blobs.ts';
import { blobConformance, contentOf, patternOf } from './blob-conformance.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'mill-blobs-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

blobConformance('directory blobs', async () => ({
  // A directory that is not there yet.
  blobs: createDirectoryBlobs(join(root, 'made', 'here')),
  end: async () => undefined,
}));

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

test('directory blobs: another store over the same directory finds what was put', async () => {
  await createDirectoryBlobs(root).put('ads/1-full', [patternOf(10)]);
  expect(await contentOf(createDirectoryBlobs(root), 'ads/1-full')).toEqual(patternOf(10));
  expect(await filesIn(root)).toEqual(['1-full']);
});

test('directory blobs: a put that fails leaves no file behind', async () => {
  const blobs = createDirectoryBlobs(root);
  function* chunks() {
    yield patternOf(10);
    throw new Error('no more');
  }
  await expect(blobs.put('ads/1-full', chunks())).rejects.toThrow('no more');
  expect(await filesIn(root)).toEqual([]);
});

test('directory blobs: what a dead writer left half-written is no value, and goes at the next opening', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  const { pid } = child;
  await once(child, 'exit');
  await mkdir(join(root, 'ads'));
  const leftover = `.writing-${hostname()}-${pid}-7`;
  // The writer itself is alive, as is this process's parent; a temporary file of another host is its own to judge.
  const alive = `.writing-${hostname()}-${process.ppid}-1`;
  const elsewhere = '.writing-elsewhere-1-1';
  for (const name of [leftover, alive, elsewhere]) await writeFile(join(root, 'ads', name), 'half');
  const blobs = createDirectoryBlobs(root);
  expect(await blobs.list('')).toEqual([]);
  expect((await filesIn(root)).sort()).toEqual([elsewhere, alive].sort());
});

test('directory blobs: an opening does not disturb what this process is writing', async () => {
  const first = createDirectoryBlobs(root);
  async function* chunks() {
    yield patternOf(5);
    await createDirectoryBlobs(root).list('');
    yield patternOf(6);
  }
  await first.put('ads/1-full', chunks());
  expect((await contentOf(first, 'ads/1-full')).length).toBe(11);
});

test('directory blobs: a name whose place is taken by a folder, and one below a file, are reported', async () => {
  const blobs = createDirectoryBlobs(root);
  await blobs.put('ads/1/x', [patternOf(1)]);
  for (const name of ['ads/1', 'ads/1/x/y'])
    await expect(blobs.put(name, [patternOf(1)])).rejects.toMatchObject({ code: 'MILL_STORE_UNAVAILABLE' });
  expect(await filesIn(root)).toEqual(['x']);
});

test('directory blobs: a directory that is a file is out of reach for every call', async () => {
  const path = join(root, 'file');
  await writeFile(path, 'x');
  const blobs = createDirectoryBlobs(path);
  const calls = [
    () => blobs.put('a', []),
    () => blobs.get('a'),
    () => blobs.delete('a'),
    () => blobs.list(''),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'MILL_STORE_UNAVAILABLE' });
});

test('directory blobs: a value deleted between its opening and its first byte is reported', async () => {
  const blobs = createDirectoryBlobs(root);
  await blobs.put('a', [patternOf(5)]);
  const chunks = (await blobs.get('a'))!;
  await blobs.delete('a');
  await expect(chunks[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'MILL_STORE_UNAVAILABLE',
  });
});

test('directory blobs: a file cut short gives what is left: whoever reads it checks it', async () => {
  const blobs = createDirectoryBlobs(root);
  await blobs.put('a', [patternOf(500_000)]);
  await truncate(join(root, 'a'), 300_000);
  expect((await contentOf(blobs, 'a')).length).toBe(300_000);
});

/** Puts a short value, then a long one over it, and prints how that ended. */
const fillingUp = (module: string, directory: string) => `
  import { createDirectoryBlobs } from ${JSON.stringify(module)};
  const blobs = createDirectoryBlobs(${JSON.stringify(directory)});
  await blobs.put('ads/1', [new Uint8Array(1_000)]);
  await blobs.put('ads/1', Array.from({ length: 64 }, () => new Uint8Array(65_536))).catch(({ code }) => console.log(code));
`;

test('directory blobs: without room the old value stays, no file is left behind, and it is said', async () => {
  const script = join(root, 'fill.mts');
  const store = join(root, 'store');
  await writeFile(script, fillingUp(join(import.meta.dirname, '../src/directory-blobs.ts'), store));
  // A limit on the length of files is what a process can be given without a disk of its own. 2,000 blocks are 1 or 2 MB.
  const node = [process.execPath, '--conditions=source', '--import', import.meta.resolve('tsx'), script];
  const child = spawn('sh', ['-c', 'ulimit -f 2000; exec "$@"', 'sh', ...node], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  await once(child, 'close');
  expect(printed.trim()).toBe('MILL_STORE_UNAVAILABLE');
  expect(await createDirectoryBlobs(store).list('')).toEqual([{ name: 'ads/1', bytes: 1_000 }]);
  expect(await filesIn(store)).toEqual(['1']);
}, 30_000);
