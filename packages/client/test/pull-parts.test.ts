import { partitionOf, tableLayouts } from '@millrace/core';
import { expect, test } from 'vitest';
import {
  cutByShard,
  joinPlaces,
  keysPerFrameMax,
  noPlaces,
  onlyShardOf,
  type Places,
  placeAt,
} from '../src/pull-parts.ts';
import type { Choice } from '../src/routing.ts';
import { createReadMarks, type PullRequest } from '../src/row-source.ts';

const partitions = 4;
const routeOf = (choice: readonly number[]): Choice => ({
  shards: ['a', 'b'],
  choice: Int16Array.from(choice),
});

/** A pull of keys (n, 0), n below count. */
function requestOf(count: number, dim = 1): PullRequest {
  const optimizer = { type: 'sgd', learningRate: 1 } as const;
  const [layout] = tableLayouts({
    name: 'ads',
    label: 'y',
    partitions,
    tables: [{ name: 'ids', embedding: { dim, optimizer } }],
    fields: [],
    net: 'fm',
    loss: 'logloss',
    seed: 1,
  });
  const keys = Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
  const marks = createReadMarks();
  return { model: 'ads', layout, keys, count, out: new Float32Array(0), marks, onAbsent: 'fail' };
}

const all = (count: number): Places => ({ list: null, from: 0, count });
const listed = (places: Places) => Array.from({ length: places.count }, (_, i) => placeAt(places, i));
const partitionAt = (place: number) => partitionOf(place, 0, partitions);

test('pull parts: the one shard of a route is known, several and none are not', () => {
  expect([[1, 1, 1, 1], [0, 1, 0, 1], [-1, -1, -1, -1], []].map((c) => onlyShardOf(routeOf(c)))).toEqual([
    1, -1, -1, -1,
  ]);
});

test('pull parts: where one shard has all, parts are runs, and none is listed', () => {
  const count = 2 * keysPerFrameMax + 5;
  const { parts, absent } = cutByShard(requestOf(count), routeOf([1, 1, 1, 1]), 1, all(count));
  expect(parts).toEqual([
    { shard: 1, places: { list: null, from: 0, count: keysPerFrameMax } },
    { shard: 1, places: { list: null, from: keysPerFrameMax, count: keysPerFrameMax } },
    { shard: 1, places: { list: null, from: 2 * keysPerFrameMax, count: 5 } },
  ]);
  expect(absent).toEqual(noPlaces);
});

test('pull parts: keys go to the shard of their partition, in ascending places; the rest is absent', () => {
  const route = routeOf([0, 1, -1, 1]);
  const { parts, absent } = cutByShard(requestOf(100), route, -1, all(100));
  const places = Array.from({ length: 100 }, (_, i) => i);
  expect(parts.map(({ shard }) => shard)).toEqual([0, 1]);
  expect(listed(parts[0].places)).toEqual(places.filter((place) => partitionAt(place) === 0));
  expect(listed(parts[1].places)).toEqual(places.filter((place) => [1, 3].includes(partitionAt(place))));
  expect(listed(absent)).toEqual(places.filter((place) => partitionAt(place) === 2));
});

test('pull parts: what is left of a pull is cut as the whole is', () => {
  const left: Places = { list: Uint32Array.of(99, 3, 8, 20, 21, 98), from: 1, count: 4 };
  const byShards = cutByShard(requestOf(100), routeOf([0, 0, 1, 1]), -1, left);
  const wanted = (shard: number) => [3, 8, 20, 21].filter((place) => partitionAt(place) >> 1 === shard);
  expect(byShards.parts.map(({ shard, places }) => [shard, listed(places)])).toEqual(
    [0, 1].map((shard) => [shard, wanted(shard)]).filter(([, places]) => (places as number[]).length > 0),
  );
  const one = cutByShard(requestOf(100), routeOf([0, 0, 0, 0]), 0, left);
  expect(one.parts.map(({ places }) => listed(places))).toEqual([[3, 8, 20, 21]]);
});

test('pull parts: wide rows make smaller parts, so that an answer has about 4 MiB', () => {
  const { parts } = cutByShard(requestOf(3_000, 1_024), routeOf([0, 0, 0, 0]), 0, all(3_000));
  expect(parts.map(({ places }) => places.count)).toEqual([1_024, 1_024, 952]);
});

test('pull parts: places that are apart are joined in ascending order', () => {
  const apart: Places[] = [
    { list: Uint32Array.of(9, 4, 6), from: 1, count: 2 },
    noPlaces,
    { list: null, from: 0, count: 3 },
  ];
  expect(listed(joinPlaces(apart))).toEqual([0, 1, 2, 4, 6]);
  expect(joinPlaces([noPlaces, noPlaces]).count).toBe(0);
  expect(joinPlaces([noPlaces, apart[2]])).toBe(apart[2]);
});
