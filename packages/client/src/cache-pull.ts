/**
 * What one pull through the cache works with, kept for the next one: nothing is allocated for a key. All arrays grow by
 * doubling; those by partition are stamped, so that clearing costs nothing.
 */
import { partitionOf, writeInitialRow } from '@millrace/core';
import type { CachedModel } from './cached-model.ts';
import { isUsable } from './cached-partitions.ts';
import { type CachedTable, generationAt, usedAt } from './cached-table.ts';
import { createReadMarks, type Places, type PullRequest, type ReadMarks } from './row-source.ts';

/** Of a partition that rows were asked of and none answered. */
export const unanswered = -1;

export interface CachePull {
  /** By key: its row in the cache, −1: it is to be pulled. */
  rows: Int32Array;
  /** By key: what `since` of its row was. */
  since: Float64Array;
  partitionOf: Uint16Array;
  /** Places of the keys to be pulled, ascending; later those that are pulled again. */
  list: Uint32Array;
  /** Partitions that the pull touches. */
  readonly touched: Uint16Array;
  touchedCount: number;
  /** By partition, where stamps[p] is `stamp`. */
  readonly stamps: Uint32Array;
  readonly told: Float64Array;
  readonly usable: Uint8Array;
  readonly misses: Uint32Array;
  /** Sequence that it answered at; of several, as of a pull in parts, the highest. */
  readonly answered: Float64Array;
  /** 1: it answered at several sequences. */
  readonly split: Uint8Array;
  /** 1: rows of the cache and rows of the answer are of no one sequence. */
  readonly torn: Uint8Array;
  stamp: number;
  /** Of a pull of misses. */
  readonly marks: ReadMarks;
  /** What touchCopies gave: kept, or it would not be computed. */
  mix: number;
}

export function createCachePull(partitions: number): CachePull {
  return {
    rows: new Int32Array(0),
    since: new Float64Array(0),
    partitionOf: new Uint16Array(0),
    list: new Uint32Array(0),
    touched: new Uint16Array(partitions),
    touchedCount: 0,
    stamps: new Uint32Array(partitions),
    told: new Float64Array(partitions),
    usable: new Uint8Array(partitions),
    misses: new Uint32Array(partitions),
    answered: new Float64Array(partitions),
    split: new Uint8Array(partitions),
    torn: new Uint8Array(partitions),
    stamp: 0,
    marks: createReadMarks(),
    mix: 0,
  };
}

/** Makes room for `count` keys and forgets the partitions of the pull before. */
export function beginPull(pull: CachePull, count: number): void {
  pull.touchedCount = 0;
  pull.stamp += 1;
  if (pull.stamp > 0xffff_ffff) {
    pull.stamps.fill(0);
    pull.stamp = 1;
  }
  if (pull.rows.length >= count) return;
  const room = 2 ** Math.ceil(Math.log2(count));
  pull.rows = new Int32Array(room);
  pull.since = new Float64Array(room);
  pull.partitionOf = new Uint16Array(room);
  pull.list = new Uint32Array(room);
}

/**
 * Tells hits from misses: `rows` as lookupRows left them keep what may be read, the places of the others go to `list`.
 * @returns misses.
 */
export function sortHits(
  pull: CachePull,
  { partitions }: CachedModel,
  table: CachedTable,
  request: PullRequest,
  floorOf: (partition: number) => number,
  oldestMs: number,
): number {
  const { rows, since, partitionOf: partitionOfKey, list, stamps, told, usable, misses, stamp } = pull;
  const { keys, count } = request;
  const { generations } = partitions;
  const { since: sinceOf, words } = table;
  let missed = 0;
  for (let i = 0; i < count; i += 1) {
    const p = partitionOf(keys[2 * i], keys[2 * i + 1], told.length);
    partitionOfKey[i] = p;
    if (stamps[p] !== stamp) {
      stamps[p] = stamp;
      pull.touched[pull.touchedCount] = p;
      pull.touchedCount += 1;
      told[p] = partitions.told[p];
      usable[p] = isUsable(partitions, p, floorOf(p), oldestMs) ? 1 : 0;
      misses[p] = 0;
      pull.answered[p] = unanswered;
      pull.split[p] = 0;
      pull.torn[p] = 0;
    }
    const row = rows[i];
    if (
      row >= 0 &&
      usable[p] === 1 &&
      words[4 * row + generationAt] === generations[p] &&
      sinceOf[2 * row] <= told[p]
    ) {
      since[i] = sinceOf[2 * row];
      words[4 * row + usedAt] = 1;
    } else {
      rows[i] = -1;
      list[missed] = i;
      missed += 1;
      misses[p] += 1;
    }
  }
  return missed;
}

/** Notes at which sequences partitions answered. */
export function noteAnswers(pull: CachePull, { partitions, sequences, count }: ReadMarks): void {
  const { answered, split } = pull;
  for (let m = 0; m < count; m += 1) {
    const p = partitions[m];
    if (answered[p] !== unanswered && answered[p] !== sequences[m]) split[p] = 1;
    answered[p] = Math.max(answered[p], sequences[m]);
  }
}

/**
 * Brings each partition that was read in the cache and at a shard to one sequence, that of the answer: a cached row must be as
 * it was then. One that has changed since it was copied is copied again where the cache knows it as of then; else its
 * partition is torn. Where nobody answered for a partition first values stand in for all of its rows.
 * @returns torn partitions.
 */
export function alignHits(
  pull: CachePull,
  { partitions }: CachedModel,
  { count, keys, layout, out }: PullRequest,
  rowNow: (low: number, high: number, generation: number, sequence: number, to: number) => boolean,
): number {
  const { rows, since, partitionOf: partitionOfKey, told, misses, answered, torn } = pull;
  let tears = 0;
  for (let i = 0; i < count; i += 1) {
    const p = partitionOfKey[i];
    if (rows[i] < 0 || misses[p] === 0 || torn[p] === 1) continue;
    const sequence = answered[p];
    if (sequence === unanswered) {
      writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], out, i * layout.dim);
      continue;
    }
    if (since[i] <= sequence && sequence <= told[p]) continue;
    const isKnown = sequence <= partitions.told[p];
    if (isKnown && rowNow(keys[2 * i], keys[2 * i + 1], partitions.generations[p], sequence, i * layout.dim))
      continue;
    torn[p] = 1;
    tears += 1;
  }
  return tears;
}

/** Places of all keys of torn partitions, whose answers so far count for nothing; they are torn no more. */
export function tornPlaces(pull: CachePull, count: number): Places {
  const { list, partitionOf: partitionOfKey, torn, touched, answered, split } = pull;
  let used = 0;
  for (let i = 0; i < count; i += 1) {
    if (torn[partitionOfKey[i]] === 0) continue;
    list[used] = i;
    used += 1;
  }
  for (let t = 0; t < pull.touchedCount; t += 1) {
    const p = touched[t];
    if (torn[p] === 0) continue;
    torn[p] = 0;
    answered[p] = unanswered;
    split[p] = 0;
  }
  return { list, from: 0, count: used };
}
