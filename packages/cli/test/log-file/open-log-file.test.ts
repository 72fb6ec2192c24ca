import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isMillraceError } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LogRecord } from '../../src/log-file/log-record.ts';
import { createLogTally } from '../../src/log-file/log-tally.ts';
import { type LogFileOptions, openLogFile } from '../../src/log-file/open-log-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-log-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function recordsOf(path: string, options?: LogFileOptions): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of await openLogFile(path, options)) records.push(record);
  return records;
}

async function codeAndMessage(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isMillraceError(error)) throw new Error(`wanted a MillraceError, got ${String(error)}`);
  return `${error.code} ${error.message}`;
}

/** Larger than several chunks, with a character of three bytes that falls across a chunk's edge somewhere. */
const manyRows = 40_000;
const longCsv = `user,note\n${Array.from({ length: manyRows }, (_, i) => `u${i},€€€€€€`).join('\n')}\n`;

test('open-log-file: reads a file of many chunks whole and in order, and tells its progress', async () => {
  const log = await openLogFile(await written('long.csv', longCsv));
  expect(log.bytesTotal).toBe(Buffer.byteLength(longCsv));
  expect(log.bytesRead).toBe(0);
  let rows = 0;
  let batches = 0;
  let wrong = 0;
  let bytesBefore = 0;
  for await (const batch of log.batches()) {
    for (const { values, line } of batch) {
      if (values.user !== `u${rows}` || values.note !== '€€€€€€' || line !== rows + 2) wrong++;
      rows++;
    }
    batches++;
    expect(log.bytesRead).toBeGreaterThanOrEqual(bytesBefore);
    bytesBefore = log.bytesRead;
  }
  expect({ rows, wrong }).toEqual({ rows: manyRows, wrong: 0 });
  expect(batches).toBeGreaterThan(2);
  expect(log.bytesRead).toBe(log.bytesTotal);
});

test('open-log-file: reads gzip by the ending .gz, and counts compressed bytes', async () => {
  const path = await written('long.csv.gz', gzipSync(longCsv));
  const log = await openLogFile(path);
  let rows = 0;
  for await (const batch of log.batches()) rows += batch.length;
  expect(rows).toBe(manyRows);
  expect(log.bytesRead).toBe(log.bytesTotal);
  expect(log.bytesTotal).toBeLessThan(longCsv.length / 4);
});

test('open-log-file: reads JSON Lines by the ending, and any format that is said', async () => {
  const expected = [{ a: '1' }];
  const jsonl = '{"a":"1"}';
  for (const name of ['a.jsonl', 'a.ndjson', 'A.JSONL']) {
    const records = await recordsOf(await written(name, jsonl));
    expect(records.map((record) => record.values)).toEqual(expected);
  }
  const csv = await recordsOf(await written('a.log', 'a\n1\n'), { format: 'csv' });
  expect(csv.map((record) => record.values)).toEqual(expected);
});

test('open-log-file: can be read a second time', async () => {
  const log = await openLogFile(await written('twice.csv', 'a\n1\n2\n'));
  for (let reading = 0; reading < 2; reading++) {
    const values: unknown[] = [];
    for await (const record of log) values.push(record.values.a);
    expect(values).toEqual(['1', '2']);
  }
});

test('open-log-file: a reader may stop early', async () => {
  const log = await openLogFile(await written('early.csv', longCsv));
  for await (const record of log) {
    expect(record.values.user).toBe('u0');
    break;
  }
  log.close();
  expect(log.bytesRead).toBeLessThan(log.bytesTotal);
});

test('open-log-file: refuses a missing file, a folder, an empty file and an unknown ending', async () => {
  expect(await codeAndMessage(openLogFile(join(folder, 'none.csv')))).toMatch(
    /^MILL_FILE_INVALID .*none\.csv": wanted a readable file, found none$/,
  );
  expect(await codeAndMessage(openLogFile(folder, { format: 'csv' }))).toContain(
    'wanted a file, found a folder',
  );
  expect(await codeAndMessage(openLogFile(await written('empty.csv', '')))).toContain('found an empty file');
  expect(await codeAndMessage(openLogFile(await written('log.parquet', 'x')))).toContain(
    'ends in .csv, .jsonl',
  );
});

test('open-log-file: refuses a file without a record', async () => {
  const wanted = 'wanted at least one record, found none';
  expect(await codeAndMessage(recordsOf(await written('header.csv', 'a,b\n')))).toContain(wanted);
  expect(await codeAndMessage(recordsOf(await written('blank.jsonl', '\n\n')))).toContain(wanted);
});

test('open-log-file: refuses damaged gzip', async () => {
  const cut = gzipSync(longCsv).subarray(0, 500);
  expect(await codeAndMessage(recordsOf(await written('cut.csv.gz', cut)))).toMatch(
    /^MILL_FILE_INVALID .*cut\.csv\.gz": wanted a readable file/,
  );
});

test('open-log-file: names the line of a bad row in a later chunk', async () => {
  const path = await written('ragged.csv', `${longCsv}only-one\n`);
  expect(await codeAndMessage(recordsOf(path))).toContain(`line ${manyRows + 2}: wanted 2 cells`);
});

test('open-log-file: passes over a line that does not end, instead of holding it', async () => {
  const path = await written('open.csv', `a,b\n1,"${'x'.repeat(5 * 1024 * 1024)}`);
  expect(await codeAndMessage(recordsOf(path))).toContain(
    'line 2: wanted lines of at most 4194304 bytes, found a longer one',
  );
  const tally = createLogTally(path, 'lenient');
  expect(await codeAndMessage(recordsOf(path, { tally }))).toContain(
    'wanted at least one record, found none, 1 skipped: 1 × line 2, wanted lines of at most',
  );
});

test.each([
  ['a.vw', '1 |user u1\n', { label: 1, user: ['u1'] }],
  ['a.libsvm', '1 3:1\n', { label: 1, features: ['3'] }],
  ['a.svm', '1 3:1\n', { label: 1, features: ['3'] }],
  ['a.svmlight', '1 3:1\n', { label: 1, features: ['3'] }],
  ['a.libfm', '1 3:1\n', { label: 1, features: ['3'] }],
  ['a.ffm', '1 user:3:1\n', { label: 1, user: ['3'] }],
])('open-log-file: reads %s by its ending, and gzipped', async (name, content, values) => {
  const [plain] = await recordsOf(await written(name, content));
  expect(plain.values).toMatchObject(values);
  const [gzipped] = await recordsOf(await written(`${name}.gz`, gzipSync(content)));
  expect(gzipped.values).toMatchObject(values);
});

test('open-log-file: skips what a lenient tally counts, in any chunk', async () => {
  const bad = Buffer.concat([Buffer.from('u,1,2\n'), Buffer.from([0xff, 0x2c, 0x31, 10])]);
  const path = await written('bad.csv', Buffer.concat([Buffer.from(longCsv), bad, Buffer.from('u,1\n')]));
  const tally = createLogTally(path, 'lenient');
  expect((await recordsOf(path, { tally })).length).toBe(manyRows + 1);
  const { skipped } = tally.report();
  expect(skipped.ragged?.lines).toEqual([manyRows + 2]);
  expect(skipped.encoding?.lines).toEqual([manyRows + 3]);
});
