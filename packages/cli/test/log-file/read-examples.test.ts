import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { isMillraceError, type ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LogFormat, logFormats } from '../../src/log-file/log-format.ts';
import { type Example, type ReadExamplesOptions, readExamples } from '../../src/log-file/read-examples.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-examples-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const model: ModelFile = {
  name: 'm',
  label: 'label',
  timestamp: 'time',
  tables: [{ name: 't', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 't' },
    { name: 'genres', type: 'multi', scope: 'item', table: 't' },
    { name: 'price', type: 'dense' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};
const { timestamp: _, ...timeless } = model;
const listModel: ModelFile = {
  ...timeless,
  fields: [
    { name: 'user', type: 'multi', scope: 'user', table: 't' },
    { name: 'item', type: 'multi', scope: 'item', table: 't' },
    { name: 'item^price', type: 'dense', scope: 'item', table: 't' },
  ],
};

async function readAll(path: string, used = model, options: ReadExamplesOptions = {}) {
  const reading = readExamples(used, path, options);
  const examples: Example[] = [];
  for await (const batch of reading) examples.push(...batch);
  return { examples, lines: examples.map(({ line }) => line), report: reading.report() };
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isMillraceError(error, 'MILL_FILE_INVALID'))
    throw new Error(`wanted MILL_FILE_INVALID, got ${String(error)}`);
  return error.message;
}

const header = 'label,time,user,genres,price\n';

test('read-examples: gives requests, labels, times and lines', async () => {
  const path = await written('good.csv', `${header}1,100,u1,a|b,9.5\n0,101,u2,,\n`);
  const progress: number[] = [];
  const { examples, report } = await readAll(path, model, { onProgress: (read) => progress.push(read) });
  expect(examples).toEqual([
    {
      line: 2,
      request: { model: 'm', user: { user: 'u1' }, context: { price: 9.5 }, items: [{ genres: 'a|b' }] },
      label: 1,
      timeMs: 100_000,
    },
    {
      line: 3,
      request: { model: 'm', user: { user: 'u2' }, context: { price: null }, items: [{ genres: null }] },
      label: 0,
      timeMs: 101_000,
    },
  ]);
  expect(report).toMatchObject({ records: 2, skippedTotal: 0, skipped: {}, isMostlySkipped: false });
  expect(report.notes).toEqual({ emptyCells: { genres: 1, price: 1 } });
  expect(progress.at(-1)).toBe(progress[0]);
});

const damaged = Buffer.concat([
  Buffer.from(`${header}1,100,u1,a,1\n`),
  Buffer.from('1,100,u1\n'), // 3
  Buffer.from('2,100,u1,a,1\n'), // 4
  Buffer.from('1,yesterday,u1,a,1\n'), // 5
  Buffer.from('1,100,u1,a,cheap\n'), // 6
  Buffer.from('1,100,"u1,a,1\n'), // 7
  Buffer.from([49, 44, 0xff, 10]), // 8
  Buffer.from(',100,u1,a,1\n'), // 9
  Buffer.from(Array.from({ length: 10 }, (_, i) => `0,${110 + i},u${i},a,1\n`).join('')), // 10 to 19
  Buffer.from('0,50,u1,a,1\n0,118.5,u2,a,1\n0,119,u3,a,1\n'), // 20 to 22
]);

test('read-examples: counts each kind of damage by its lines', async () => {
  const { lines, report } = await readAll(await written('damaged.csv', damaged));
  expect(lines).toEqual([2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]);
  expect(report).toMatchObject({
    records: 14,
    skippedTotal: 7,
    skipped: {
      ragged: { count: 1, lines: [3] },
      quotes: { count: 1, lines: [7] },
      encoding: { count: 1, lines: [8] },
      label: { count: 2, lines: [4, 9], first: 'column "label": wanted 0 or 1, found "2"' },
      timestamp: { count: 1, lines: [5] },
      feature: { count: 1, lines: [6] },
    },
    notes: { timeBackwards: { count: 2, line: 20, stepMsMax: 69_000 } },
    isMostlySkipped: false,
  });
});

test('read-examples: strict ends at the first that would be skipped', async () => {
  const path = await written('strict.csv', damaged);
  expect(await messageOf(readAll(path, model, { strict: true }))).toContain(
    'line 3: wanted 5 cells as in the header, found 3: "1,100,u1"',
  );
});

test('read-examples: says when more than half was skipped, and ends when all was', async () => {
  const most = await written('most.csv', `${header}1,1,u,a,1\n2,1,u,a,1\n3,1,u,a,1\n`);
  expect((await readAll(most)).report).toMatchObject({ records: 1, skippedTotal: 2, isMostlySkipped: true });
  const half = await written('half.csv', `${header}1,1,u,a,1\n2,1,u,a,1\n`);
  expect((await readAll(half)).report.isMostlySkipped).toBe(false);
  const all = await written('all.csv', `${header}5,1,u,a,1\n5,1,u,a,1\n`);
  expect(await messageOf(readAll(all))).toContain(
    'wanted at least one record, found none, 2 skipped: 2 × line 2, column "label": wanted 0 or 1, found "5"',
  );
});

test('read-examples: a column that the header does not have is an error at once', async () => {
  const path = await written('misspelt.csv', 'label,time,usr,genres,price\n1,1,u,a,1\n');
  expect(await messageOf(readAll(path))).toContain(
    'column "user": wanted that column (or null in it), found only label, time, usr, genres, price',
  );
});

test('read-examples: where records name their columns, one absent is a missing feature', async () => {
  const path = await written(
    'sparse.jsonl',
    '{"label":1,"time":1,"user":"u"}\n{"label":0,"time":2,"genres":["a"],"price":2}\n',
  );
  const { examples, report } = await readAll(path);
  expect(examples.map(({ request }) => request.items[0])).toEqual([{ genres: null }, { genres: ['a'] }]);
  expect(report.notes.emptyCells).toEqual({ user: 1, genres: 1, price: 1 });
});

test('read-examples: a column that none of the first 1,000 records has is an error before any is handed out', async () => {
  const line = '{"label":1,"time":1,"user":"u","genres":"a"}\n';
  const late = '{"label":1,"time":1,"user":"u","genres":"a","price":1}\n';
  const last = await written('last.jsonl', line.repeat(999) + late + line.repeat(3_000));
  expect((await readAll(last)).examples.length).toBe(4_000);
  const path = await written('late.jsonl', line.repeat(1_000) + late);
  let handed = 0;
  const take = async () => {
    for await (const batch of readExamples(model, path)) handed += batch.length;
  };
  expect(await messageOf(take())).toContain(
    'column "price": wanted that column (or null in it), found only label',
  );
  expect(handed).toBe(0);
  const short = await written('short.jsonl', line);
  expect(await messageOf(readAll(short))).toContain('column "price"');
});

test('read-examples: values of text formats reach the columns that the model names, others are told', async () => {
  const path = await written(
    'a.vw',
    '1 |user u1 |item i1 price:9.5 width:3\n-1 2 |user u2 |item i2 price:1\n',
  );
  const { examples, report } = await readAll(path, listModel);
  expect(examples.map(({ label, request }) => [label, request.user, request.items[0]])).toEqual([
    [1, { user: ['u1'] }, { item: ['i1'], 'item^price': 9.5 }],
    [0, { user: ['u2'] }, { item: ['i2', 'price'], 'item^price': 1 }],
  ]);
  expect(report.notes.unreadValues).toEqual({ count: 2, line: 1, columns: ['item^width', 'importance'] });
});

/** What a reading gives, whatever it is: examples and report, or the error's text. */
async function outcomeOf(used: ModelFile, format: LogFormat, content: Uint8Array): Promise<unknown> {
  const path = await written('any', content);
  return readAll(path, used, { format }).then(
    ({ examples, report }) => ({ examples, report }),
    (error: unknown) => {
      if (isMillraceError(error, 'MILL_FILE_INVALID')) return error.message;
      throw error;
    },
  );
}

const alphabet = [
  '1',
  '0',
  '-',
  '|',
  ':',
  '"',
  ',',
  '\n',
  '\r',
  ' ',
  '{',
  '}',
  '[',
  '#',
  "'",
  '^',
  '\\',
  '€',
  'e',
];
const words = [
  'label',
  '"label":1',
  '{"label":1}',
  'user',
  '|user u',
  'qid:',
  '__proto__',
  '1 |',
  '1 3:1',
  header,
];
const anyContent = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }),
  fc
    .array(fc.constantFrom(...alphabet, ...words), { minLength: 1, maxLength: 40 })
    .map((parts) => Buffer.from(parts.join(''))),
  // Good lines with a byte changed somewhere.
  fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })).map(([at, byte]) => {
    const bytes = Buffer.from(damaged);
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

test.each(logFormats)(
  'read-examples: no %s file ends in another error than MILL_FILE_INVALID (fuzz)',
  async (format) => {
    await fc.assert(
      fc.asyncProperty(anyContent, fc.constantFrom(model, listModel), async (content, used) => {
        await outcomeOf(used, format, content);
      }),
      { numRuns: 150 },
    );
  },
);

test('read-examples: no damage of gzip ends in another error than MILL_FILE_INVALID (fuzz)', async () => {
  const whole = gzipSync(damaged);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), async (at, byte) => {
      const bytes = Buffer.from(whole);
      bytes[at] = byte;
      const path = await written('any.csv.gz', bytes);
      await readAll(path).catch((error: unknown) => {
        if (!isMillraceError(error, 'MILL_FILE_INVALID')) throw error;
      });
    }),
    { numRuns: 60 },
  );
});

/** Bytes on the heap that something still refers to. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return getHeapStatistics().used_heap_size;
}

test('read-examples: a million distinct values and 200,000 bad lines take no memory', async () => {
  const rows = 1_000_000;
  const parts = [header];
  for (let i = 0; i < rows; i++)
    parts.push(`${i % 5 === 0 ? `bad-${i}` : 1},${i},user-with-a-long-name-${i},genre-${i},1\n`);
  const path = await written('distinct.csv', parts.join(''));
  parts.length = 0;
  const reading = readExamples(model, path);
  let read = 0;
  let bytesEarly = 0;
  let bytesLate = 0;
  for await (const batch of reading) {
    read += batch.length;
    if (bytesEarly === 0 && read > 100_000) bytesEarly = heapBytes();
    if (bytesLate === 0 && read > 790_000) bytesLate = heapBytes();
  }
  expect(read).toBe(800_000);
  expect(reading.report().skipped.label).toMatchObject({ count: 200_000, lines: { length: 10 } });
  // Held between the two: 700,000 values of 20 characters would be 20 MB.
  expect(bytesLate - bytesEarly).toBeLessThan(4_000_000);
}, 60_000);
