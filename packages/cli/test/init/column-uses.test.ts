import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bucketsFor, type ColumnUse, columnUses } from '../../src/init/column-uses.ts';
import { profileLog } from '../../src/init/log-profile.ts';
import { csvOf, draw, labelAt, whole } from './generated-log.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-uses-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const options = {
  format: undefined,
  strict: true,
  label: undefined,
  timestamp: undefined,
  sampleMax: 1_000,
  onProgress: () => undefined,
};

async function usesOf(name: string, content: string): Promise<Map<string, ColumnUse>> {
  const path = join(folder, name);
  await writeFile(path, content);
  return new Map(columnUses(await profileLog(path, options)).map((use) => [use.column, use]));
}

const genres = ['drama', 'comedy', 'horror', 'war', 'noir', 'crime'];
const tagsAt = (i: number) =>
  genres.filter((_, g) => draw(i, 20 + g) < 0.4).join('|') || genres[whole(i, 30, genres.length)];

function row(i: number): Record<string, unknown> {
  const label = labelAt(i, -0.5);
  return {
    timestamp: 1_700_000_000 + 60 * i,
    label,
    request_id: `r${i}`,
    counter: 5_000 + i,
    seen_at: 1_700_000_000_000 + 60_000 * i,
    always: 'x',
    empty: '',
    outcome_kind: label === 1 ? 'buy' : 'leave',
    click_time: label === 1 ? 1_700_000_100 + 60 * i : '',
    user_id: whole(i, 1, 100),
    country: ['de', 'fr', 'at'][whole(i, 2, 3)],
    city: ['New York', 'Los Angeles', 'Rome'][whole(i, 3, 3)],
    tags: tagsAt(i),
    hour: whole(i, 4, 24),
    price: Math.exp(6 * draw(i, 5)).toFixed(2),
    temperature: (20 + 5 * (draw(i, 6) - draw(i, 7))).toFixed(3),
    outlier: i === 500 ? 1e9 : draw(i, 8).toFixed(4),
    flag: whole(i, 9, 2),
    almost: i === 17 ? 'NA' : whole(i, 10, 5_000),
  };
}

test('init: columns: what no model should read is left out, and why', async () => {
  const uses = await usesOf('left-out.csv', csvOf(1_200, row));
  const reasons = [...uses.values()].flatMap((use) =>
    use.kind === 'left-out' ? [[use.column, use.why]] : [],
  );
  expect(Object.fromEntries(reasons)).toEqual({
    request_id: expect.stringContaining('nearly every value is new'),
    counter: expect.stringContaining('counts up'),
    seen_at: expect.stringContaining('counts up'),
    always: expect.stringContaining('always the same'),
    empty: expect.stringContaining('always empty'),
    outcome_kind: expect.stringContaining('tells the label'),
    click_time: expect.stringContaining('written after the outcome'),
  });
});

test('init: columns: ids, names and lists are told from quantities', async () => {
  const uses = await usesOf('kinds.csv', csvOf(1_200, row));
  expect(uses.get('user_id')).toMatchObject({ kind: 'value', distinct: 100 });
  expect(uses.get('country')).toMatchObject({ kind: 'value', distinct: 3 });
  // A blank inside of a name does not make a list of it.
  expect(uses.get('city')).toMatchObject({ kind: 'value' });
  expect(uses.get('tags')).toMatchObject({ kind: 'list', separator: '|' });
  // One text among numbers: a dense field could not read that record.
  expect(uses.get('almost')).toMatchObject({
    kind: 'value',
    why: expect.stringContaining('1 are no numbers'),
  });
});

test('init: columns: a number has the forms that its spread allows', async () => {
  const uses = await usesOf('numbers.csv', csvOf(1_200, row));
  const formsOf = (name: string) => {
    const use = uses.get(name);
    if (use?.kind !== 'number') throw new Error(`${name} is ${use?.kind}`);
    return use.forms.map((form) => (form.kind === 'weighted' ? form.transform.type : form.kind));
  };
  expect(formsOf('hour')).toEqual(['value', 'bucket', 'standardize']);
  expect(formsOf('temperature')).toEqual(['bucket', 'standardize']);
  expect(formsOf('price')).toEqual(['bucket', 'log1p']);
  // One value of a billion would move the logit by thousands of times what its weight was learned for.
  expect(formsOf('outlier')).toEqual(['bucket', 'log1p']);
  expect(formsOf('flag')).toEqual(['value', 'none']);
});

test('init: columns: JSON lines may lack columns and hold arrays and objects', async () => {
  const lines = Array.from({ length: 200 }, (_, i) => {
    const tags = genres.slice(0, 1 + whole(i, 1, 5));
    const late = i < 100 ? {} : { late: whole(i, 2, 4) };
    return JSON.stringify({ click: i % 2 === 0, tags, nested: { a: 1 }, ...late, n: whole(i, 3, 50) / 7 });
  });
  const uses = await usesOf('lines.jsonl', `${lines.join('\n')}\n`);
  expect(uses.get('tags')).toMatchObject({ kind: 'list', separator: null });
  expect(uses.get('nested')).toMatchObject({ kind: 'left-out', why: expect.stringContaining('objects') });
  expect(uses.get('late')).toMatchObject({ kind: 'number', distinct: 4 });
  expect(uses.get('n')).toMatchObject({ kind: 'number' });
});

test('init: columns: more events make more intervals, within limits', () => {
  expect([1, 200, 4_096, 30_000, 10_000_000].map(bucketsFor)).toEqual([4, 4, 8, 22, 40]);
});
