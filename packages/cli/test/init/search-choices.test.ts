import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import type { ModelParts } from '../../src/init/build-model.ts';
import { searchChoices } from '../../src/init/search-choices.ts';

const parts: ModelParts = {
  name: 'm',
  label: 'label',
  timestamp: null,
  item: null,
  partitions: 16,
  columns: ['a', 'b'].map((column) => ({
    use: { kind: 'value', column, distinct: 5, why: '' },
    forms: [],
    gain: 0,
  })),
  scopes: new Map(),
  startLogit: 0,
};
const pairs = [{ columns: ['a', 'b'] as const, gain: 0.1 }];

function lambdaOf(file: ModelFile): number {
  const optimizer = file.tables.find(({ name }) => name === 'weights')?.wide?.optimizer;
  return optimizer?.type === 'newton' ? (optimizer.lambda ?? 1) : Number.NaN;
}

/** A loss with one lowest point, at that precision; crosses lower it by `ofCrosses`. */
function lossAt(best: number, ofCrosses: number) {
  return async (file: ModelFile) => ({
    auc: 0.5,
    logloss: 0.6 + 0.01 * Math.abs(Math.log(lambdaOf(file) / best)) - (file.crosses ? ofCrosses : 0),
  });
}

async function search(run: (file: ModelFile) => Promise<{ auc: number; logloss: number }>, trialsMax = 50) {
  return searchChoices(parts, pairs, { run, rate: 0.5, trialsMax, onTrial: () => undefined });
}

test('init: search: climbs to the best precision, up and down, and refines it', async () => {
  expect((await search(lossAt(64, 0))).choices.lambda).toBe(64);
  expect((await search(lossAt(0.1, 0))).choices.lambda).toBe(0.1);
  expect((await search(lossAt(9, 0))).choices.lambda).toBe(8);
});

test('init: search: crosses are kept where they earn their rows only', async () => {
  expect((await search(lossAt(4, 0.02))).choices.crosses).toEqual([['a', 'b']]);
  expect((await search(lossAt(4, 0.0001))).choices.crosses).toEqual([]);
});

test('init: search: no more trials than allowed, and no model twice', async () => {
  const files: string[] = [];
  const counted = async (file: ModelFile) => {
    files.push(JSON.stringify(file));
    return lossAt(4, 0)(file);
  };
  expect((await search(counted, 3)).trials).toHaveLength(3);
  files.length = 0;
  await search(counted);
  expect(new Set(files).size).toBe(files.length);
});

test('init: search: a candidate that diverged is never kept', async () => {
  const { choices } = await search(async (file) => {
    const { auc, logloss } = await lossAt(1, 0)(file);
    return { auc, logloss: lambdaOf(file) < 4 ? Number.NaN : logloss };
  });
  expect(choices.lambda).toBe(4);
});
