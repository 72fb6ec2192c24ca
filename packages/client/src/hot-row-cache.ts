/**
 * A cache of rows between a batch and its pulls: what it has of a batch's keys is copied, the rest is pulled and kept. It is
 * a row source like the one behind it, and its reads obey the same rules:
 *
 * - One table's rows of one partition are as they were at one sequence, which is the one that is marked. Cached rows are good
 *   up to what the cache was told; where some keys of a partition are pulled, the answer's sequence decides, and cached rows
 *   that are not known as of then are pulled too, together with the others of their partition.
 * - What was read once is not read older: the floor is the pull client's.
 * - No row is used whose partition reached the heads told longer than `stalenessMsMax` ago.
 *
 *   keys ── lookup ──▶ hits: copied ─────────────────────┐
 *                  └─▶ misses: pulled ──▶ aligned ──▶ rows, marks
 *                                └─▶ torn: pulled again, whole partitions
 *
 * Nobody answered for a partition: first values stand in for all its rows of the batch, hits too, since a log of reads has no
 * form for a partition of which only some rows were read.
 */
import { findRow, lookupRows } from '@millrace/core';
import type { Bus, Clock, ClusterView, Logger } from '@millrace/runtime';
import {
  alignHits,
  beginPull,
  type CachePull,
  createCachePull,
  noteAnswers,
  sortHits,
  tornPlaces,
} from './cache-pull.ts';
import { type CachedModel, openCachedModel } from './cached-model.ts';
import { noteAnswer } from './cached-partitions.ts';
import {
  type CachedTable,
  type CopyFormat,
  cachedTableBytes,
  isOf,
  putCopy,
  readCopies,
  readCopy,
  touchCopies,
} from './cached-table.ts';
import type { ReadFloor } from './read-floor.ts';
import {
  addReadMark,
  type Places,
  type PullOutcome,
  type PullRequest,
  type RowSource,
} from './row-source.ts';

export interface HotRowCacheOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly view: ClusterView;
  /** Where misses are pulled. */
  readonly rows: RowSource;
  /** Of `rows`. */
  readonly floor: ReadFloor;
  /** Rows kept of each table of each model, ≥ 1. */
  readonly rowsMax: number;
  /** Rows are used while they are this old at most, ms. */
  readonly stalenessMsMax: number;
  /** How rows are kept. Default float32; others are shorter and say a little less (core/quantize). */
  readonly format?: CopyFormat;
}

export interface HotRowCounts {
  hits: number;
  misses: number;
  /** Partitions of a batch that were pulled again, since rows of the cache and of the answer were of no one sequence. */
  torn: number;
}

export interface HotRowCache extends RowSource {
  readonly counts: Readonly<HotRowCounts>;
  /** Partitions whose rows were dropped, for a gap or a notice that did not come. */
  readonly drops: number;
  /** Copies that notices have renewed. */
  readonly renewed: number;
  readonly rows: number;
  readonly bytes: number;
  /** Age of the least fresh partition that rows are read of, ms; 0 when there is none. */
  readonly stalenessMs: number;
  close(): Promise<void>;
}

export function createHotRowCache(options: HotRowCacheOptions): HotRowCache {
  return new OwnHotRowCache(options);
}

/** Places 0, 1, 2, …: where copies of hits go. */
let inOrder = new Uint32Array(0);

class OwnHotRowCache implements HotRowCache {
  readonly counts: HotRowCounts = { hits: 0, misses: 0, torn: 0 };
  readonly #options: HotRowCacheOptions;
  readonly #models = new Map<string, CachedModel>();
  /** By partitions of the model, those that no pull is working with. */
  readonly #free = new Map<number, CachePull[]>();

  constructor(options: HotRowCacheOptions) {
    this.#options = options;
  }

  get drops(): number {
    return this.#sum(({ partitions }) => partitions.drops);
  }

  get renewed(): number {
    return this.#sum(({ renewed }) => renewed);
  }

  get rows(): number {
    return this.#sum(({ tables }) => tables.reduce((sum, { rows }) => sum + rows.count, 0));
  }

  get bytes(): number {
    return this.#sum(({ tables }) => tables.reduce((sum, table) => sum + cachedTableBytes(table), 0));
  }

  get stalenessMs(): number {
    const { clock, stalenessMsMax } = this.#options;
    const nowMs = clock.monotonicMs();
    let oldestMs = nowMs;
    for (const { partitions } of this.#models.values()) {
      for (const reachedMs of partitions.reachedMs)
        if (reachedMs >= nowMs - stalenessMsMax) oldestMs = Math.min(oldestMs, reachedMs);
    }
    return nowMs - oldestMs;
  }

  async pull(request: PullRequest): Promise<PullOutcome> {
    const model = this.#modelOf(request.model);
    if (request.count === 0) return { degraded: false };
    if (model === null || request.places) return this.#options.rows.pull(request);
    const partitions = model.partitions.told.length;
    const pull = this.#free.get(partitions)?.pop() ?? createCachePull(partitions);
    try {
      return await this.#pullWith(pull, model, request);
    } finally {
      const free = this.#free.get(partitions);
      if (free) free.push(pull);
      else this.#free.set(partitions, [pull]);
    }
  }

  async close(): Promise<void> {
    for (const model of this.#models.values()) await model.close();
    this.#models.clear();
  }

  async #pullWith(pull: CachePull, model: CachedModel, request: PullRequest): Promise<PullOutcome> {
    const table = model.tableOf(request.layout);
    const missed = this.#copyHits(pull, model, table, request);
    if (missed === 0) return { degraded: false };
    const rowNow = (low: number, high: number, generation: number, sequence: number, to: number) =>
      copyAsOf(table, low, high, generation, sequence, request, to);
    let places: Places = { list: pull.list, from: 0, count: missed };
    let degraded = await this.#pullPlaces(pull, request, places);
    const tears = alignHits(pull, model, request, rowNow);
    this.#keep(pull, model, table, request, places);
    markPulled(pull, request);
    if (tears > 0) {
      this.counts.torn += tears;
      places = tornPlaces(pull, request.count);
      const isDegraded = await this.#pullPlaces(pull, request, places);
      degraded ||= isDegraded;
      this.#keep(pull, model, table, request, places);
      markPulled(pull, request);
    }
    return { degraded };
  }

  /** Copies what may be read, and marks the partitions of which nothing else is wanted. @returns misses. */
  #copyHits(pull: CachePull, model: CachedModel, table: CachedTable, request: PullRequest): number {
    const { clock, floor, stalenessMsMax } = this.#options;
    const { keys, count, out, marks } = request;
    beginPull(pull, count);
    if (inOrder.length < count) inOrder = Uint32Array.from({ length: 2 * count }, (_, i) => i);
    lookupRows(table.rows, keys, count, pull.rows);
    pull.mix = touchCopies(table, pull.rows, count);
    const floorOf = (partition: number) => floor.of(request.model, partition);
    const missed = sortHits(pull, model, table, request, floorOf, clock.monotonicMs() - stalenessMsMax);
    if (missed < count) readCopies(table, pull.rows, inOrder, count, out);
    for (let t = 0; t < pull.touchedCount; t += 1) {
      const p = pull.touched[t];
      if (pull.misses[p] > 0) continue;
      addReadMark(marks, p, pull.told[p]);
      floor.raise(request.model, p, pull.told[p]);
    }
    this.counts.hits += count - missed;
    this.counts.misses += missed;
    return missed;
  }

  async #pullPlaces(pull: CachePull, request: PullRequest, places: Places): Promise<boolean> {
    pull.marks.count = 0;
    const { degraded } = await this.#options.rows.pull({ ...request, places, marks: pull.marks });
    noteAnswers(pull, pull.marks);
    return degraded;
  }

  /** Keeps what was pulled of partitions that answered at one sequence. */
  #keep(pull: CachePull, model: CachedModel, table: CachedTable, request: PullRequest, places: Places): void {
    const { keys, out, layout } = request;
    const nowMs = this.#options.clock.monotonicMs();
    const { partitionOf: partitionOfKey, answered, usable } = pull;
    // From here on: which partitions' answers may be kept.
    usable.fill(0);
    for (let m = 0; m < pull.marks.count; m += 1) {
      const p = pull.marks.partitions[m];
      usable[p] = pull.split[p] === 0 && noteAnswer(model.partitions, p, answered[p], nowMs) ? 1 : 0;
    }
    const list = places.list as Uint32Array;
    for (let i = 0; i < places.count; i += 1) {
      const place = list[i];
      const p = partitionOfKey[place];
      if (usable[p] === 0) continue;
      const { generations } = model.partitions;
      putCopy(
        table,
        keys[2 * place],
        keys[2 * place + 1],
        out,
        place * layout.dim,
        answered[p],
        generations[p],
      );
    }
  }

  #modelOf(name: string): CachedModel | null {
    const known = this.#models.get(name);
    if (known) return known;
    const { bus, clock, logger, view, rowsMax, format = 'float32' } = this.#options;
    const file = view.models.get(name);
    if (file === undefined) return null;
    const model = openCachedModel({ bus, clock, logger, file, rowsMax, format });
    this.#models.set(name, model);
    return model;
  }

  #sum(figure: (model: CachedModel) => number): number {
    let sum = 0;
    for (const model of this.#models.values()) sum += figure(model);
    return sum;
  }
}

/** Hands on the marks of the last pull, but those of torn partitions, which are pulled again. */
function markPulled({ marks, torn }: CachePull, request: PullRequest): void {
  for (let m = 0; m < marks.count; m += 1) {
    const p = marks.partitions[m];
    if (torn[p] === 0) addReadMark(request.marks, p, marks.sequences[m]);
  }
}

/** Copies a row as it was at `sequence`, where the cache knows that; what it knows now it has known since then. */
function copyAsOf(
  table: CachedTable,
  low: number,
  high: number,
  generation: number,
  sequence: number,
  { out }: PullRequest,
  to: number,
): boolean {
  const row = findRow(table.rows, low, high);
  if (row < 0 || !isOf(table, row, generation) || table.since[2 * row] > sequence) return false;
  readCopy(table, row, out, to);
  return true;
}
