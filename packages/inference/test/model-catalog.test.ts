import { hashName } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';
import { createManualClock, createMemoryBus, watchCluster } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { storeModel } from '../src/model-catalog.ts';
import { linear } from './small-serving.ts';

/** Two texts `<model>/<table>` of one hash: among 2^17 there is one pair or more, as among birthdays. */
function collision(textOf: (n: number) => string): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let n = 0; n < 2 ** 19; n += 1) {
    const text = textOf(n);
    const hash = hashName(text);
    const other = seen.get(hash);
    if (other !== undefined) return [other, text];
    seen.set(hash, text);
  }
  throw new Error('no two of these names have one hash');
}

function modelOf(...names: readonly string[]): ModelFile {
  const tables = names.map((name) => ({ ...linear.tables[0], name: name.split('/')[1] }));
  const fields = tables.map(({ name }, i) => ({ ...linear.fields[0], name: `f${i}`, table: name }) as const);
  const { item: _item, ...rest } = linear;
  return { ...rest, name: names[0].split('/')[0], tables, fields };
}

async function open() {
  const bus = createMemoryBus();
  const view = await watchCluster(bus, createManualClock(0));
  return { store: (file: ModelFile) => storeModel(bus, view, file.name, file), view };
}

test('model catalog: stores a file once', async () => {
  const { store, view } = await open();
  expect([await store(linear), await store(linear), view.models.get('ads')]).toEqual([true, false, linear]);
});

test('model catalog: a table with the id of a table of another model is refused', async () => {
  const [one, other] = collision((n) => `m${n % 700}/t${Math.floor(n / 700)}`);
  const { store, view } = await open();
  expect(await store(modelOf(one))).toBe(true);
  await expect(store(modelOf(other))).rejects.toMatchObject({
    code: 'MILL_MODEL_INVALID',
    message: `tables: "${other.split('/')[1]}" has the id of ${one} by an accident of hashing; rename it`,
  });
  expect(view.models.size).toBe(1);
});

test('model catalog: two tables of one model with one id are refused', async () => {
  const [one, other] = collision((n) => `ads/t${n}`);
  const { store } = await open();
  await expect(store(modelOf(one, other))).rejects.toMatchObject({ code: 'MILL_MODEL_INVALID' });
  expect(await store(modelOf(one, 'ads/t0'))).toBe(true);
});
