/**
 * Cuts a pull into parts: the keys of one shard that travel in one frame. Keys are named by their place in the pull; where
 * one shard has them all, as a run of places, which costs nothing a key.
 */
import { partitionOf } from '@millrace/core';
import { invariant, pullKeysMax } from '@millrace/protocol';
import type { Choice } from './routing.ts';
import type { Places, PullRequest } from './row-source.ts';

export type { Places } from './row-source.ts';

export interface Part {
  /** Place in the route's shards. */
  readonly shard: number;
  readonly places: Places;
}

/** Keys in one frame at most: larger pulls are cut, so that no answer blocks a connection for long. */
export const keysPerFrameMax = 16_384;
invariant(keysPerFrameMax <= pullKeysMax, 'a cut pull fits a frame');
/** Bytes of rows in one answer, about, for the same reason. */
const answerBytes = 4 * 1024 * 1024;

export const noPlaces: Places = { list: null, from: 0, count: 0 };

let shardOfKey = new Int16Array(1_024);

/** The one shard that a route chooses for every partition; −1 when there are several, or a partition has none. */
export function onlyShardOf({ choice }: Choice): number {
  return choice.length > 0 && choice.every((shard) => shard === choice[0]) ? choice[0] : -1;
}

/**
 * @param only  onlyShardOf(route).
 * @returns the parts, and the keys of partitions that no shard can be asked for.
 */
export function cutByShard(
  request: PullRequest,
  route: Choice,
  only: number,
  places: Places,
): { readonly parts: readonly Part[]; readonly absent: Places } {
  const perFrame = Math.min(keysPerFrameMax, Math.max(1, Math.floor(answerBytes / (4 * request.layout.dim))));
  const parts: Part[] = [];
  const addParts = (shard: number, { list, from, count }: Places) => {
    for (let cut = 0; cut < count; cut += perFrame) {
      parts.push({ shard, places: { list, from: from + cut, count: Math.min(perFrame, count - cut) } });
    }
  };
  if (only >= 0) {
    addParts(only, places);
    return { parts, absent: noPlaces };
  }
  const shards = route.shards.length;
  const { list, ends } = sortByShard(request.keys, route, places);
  for (let shard = 0; shard < shards; shard += 1) {
    const from = shard === 0 ? 0 : ends[shard - 1];
    addParts(shard, { list, from, count: ends[shard] - from });
  }
  const from = shards === 0 ? 0 : ends[shards - 1];
  return { parts, absent: { list, from, count: places.count - from } };
}

/** A counting sort that keeps the order of places: shard s has list[ends[s − 1] … ends[s]), those that none has come last. */
function sortByShard(
  keys: Uint32Array,
  { choice, shards }: Choice,
  { list: places, from, count }: Places,
): { list: Uint32Array; ends: Uint32Array } {
  if (count > shardOfKey.length) shardOfKey = new Int16Array(2 ** Math.ceil(Math.log2(count)));
  const shardOf = shardOfKey;
  const ends = new Uint32Array(shards.length + 1);
  for (let i = 0; i < count; i += 1) {
    const place = places === null ? from + i : places[from + i];
    const chosen = choice[partitionOf(keys[2 * place], keys[2 * place + 1], choice.length)];
    const shard = chosen < 0 ? shards.length : chosen;
    shardOf[i] = shard;
    ends[shard] += 1;
  }
  let end = 0;
  for (let shard = 0; shard <= shards.length; shard += 1) {
    const keysHere = ends[shard];
    ends[shard] = end;
    end += keysHere;
  }
  const list = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    const at = ends[shardOf[i]];
    ends[shardOf[i]] = at + 1;
    list[at] = places === null ? from + i : places[from + i];
  }
  return { list, ends };
}

/** All of some places that are apart from each other, ascending. */
export function joinPlaces(apart: readonly Places[]): Places {
  const some = apart.filter(({ count }) => count > 0);
  if (some.length === 0) return noPlaces;
  if (some.length === 1) return some[0];
  const list = new Uint32Array(some.reduce((sum, { count }) => sum + count, 0));
  let at = 0;
  for (const places of some) {
    for (let i = 0; i < places.count; i += 1) list[at + i] = placeAt(places, i);
    at += places.count;
  }
  return { list: list.sort(), from: 0, count: list.length };
}

/** Place of the i-th of some keys. */
export function placeAt({ list, from }: Places, i: number): number {
  return list === null ? from + i : list[from + i];
}
