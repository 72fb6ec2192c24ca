/**
 * A cache on a memory bus, before shard ends that a test moves by hand: partitions folded by production code, one of them
 * behind the other, changes told by the shard's own notices, and every version of every row kept for comparison.
 */
import {
  applyGradients,
  createPartitionState,
  findRow,
  fingerprintOf,
  type PartitionState,
  partitionOf,
  type TableLayout,
  tableLayouts,
  writeInitialRow,
} from '@millrace/core';
import {
  encodeGradientBlock,
  encodeHeads,
  encodePutBlock,
  headsSubject,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import {
  type ClusterView,
  createLogger,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import { createRowUpdates, type RowUpdates } from '@millrace/shard';
import type { CopyFormat } from '../src/cached-table.ts';
import { createHotRowCache, type HotRowCache } from '../src/hot-row-cache.ts';
import { createReadFloor, type ReadFloor } from '../src/read-floor.ts';
import { addReadMark, createReadMarks, type PullRequest } from '../src/row-source.ts';

export const partitions = 3;
const optimizer = { type: 'sgd', learningRate: 1 } as const;
const initializer = { type: 'uniform', scale: 1 } as const;
export const file: ModelFile = {
  name: 'ads',
  label: 'y',
  partitions,
  tables: [
    { name: 'ids', wide: { optimizer }, embedding: { dim: 3, optimizer, initializer } },
    {
      name: 'brief',
      embedding: { dim: 1, optimizer, initializer },
      expiry: { type: 'age', afterMs: 20_000 },
    },
  ],
  fields: [{ name: 'ad', type: 'sparse', table: 'ids' }],
  net: 'fm',
  loss: 'logloss',
  seed: 3,
};
export const layouts = tableLayouts(file);
export const stalenessMsMax = 100;
const name = modelNameFrom('ads');

/** Words of key `n` of the few that there are. */
export function keyOf(n: number): readonly [number, number] {
  return [Math.imul(n + 1, 0x9e3779b1) >>> 0, n * 77];
}

interface Answer {
  readonly request: PullRequest;
  readonly answer: (options: AnswerOptions) => void;
}

interface AnswerOptions {
  /** A partition that gives no answer. */
  readonly silent?: number;
  /** Answered with the rows as they were when it was asked, unless newer ones were read since: it was long on its way. */
  readonly isOld?: boolean;
  /** Answered with the rows as they were at this sequence, by a replica that is behind. */
  readonly asOf?: number;
}

export interface CacheStage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly cache: HotRowCache;
  readonly floor: ReadFloor;
  readonly states: readonly PartitionState[];
  readonly updates: RowUpdates;
  /** Pulls that wait for an answer, in order. */
  readonly asked: Answer[];
  /** Appends a block that steps keys of a table, or puts them whole; applies it. */
  block(partition: number, table: number, keys: readonly number[], kind?: 'step' | 'put'): void;
  /** The next notices are lost; those after them come so much later. */
  lose(count: number, lateMs?: number): void;
  /** Tells heads as they are. */
  tellHeads(): void;
  /** Heads that were told, and when. */
  readonly told: { readonly heads: readonly number[]; readonly atMs: number }[];
  /** Answers the pull that has waited longest. */
  answer(options?: AnswerOptions): void;
  request(table: number, keys: readonly number[]): PullRequest;
  /** A key's row of the fold at a sequence. */
  rowAt(table: number, key: number, sequence: number): readonly number[];
}

export function openCacheStage(
  options: { readonly rowsMax?: number; readonly format?: CopyFormat } = {},
): CacheStage {
  const memory = createMemoryBus();
  const clock = createManualClock(0);
  let lost = 0;
  let lateMs = 0;
  const bus: MemoryBus = Object.assign(Object.create(memory) as MemoryBus, {
    notify(subject: string, payload: Uint8Array) {
      const isOfRows = subject === 'mill.rows.ads';
      if (isOfRows && lost > 0) lost -= 1;
      else if (isOfRows && lateMs > 0) clock.setTimer(lateMs, () => memory.notify(subject, payload));
      else memory.notify(subject, payload);
    },
    onNotice: memory.onNotice.bind(memory),
  });
  const floor = createReadFloor();
  const asked: Answer[] = [];
  const source = {
    async pull(request: PullRequest) {
      return new Promise<{ degraded: boolean }>((resolve) => {
        const early = { ...request, out: request.out.slice(), marks: createReadMarks() };
        writeAnswer(early, states);
        const answer = ({ silent, isOld, asOf }: AnswerOptions) => {
          if (asOf !== undefined) {
            writeAsOf(request, asOf);
            floor.set('ads', wordsOf(request), request.marks.count);
            resolve({ degraded: false });
            return;
          }
          const wasRead = isOld && floor.admits('ads', wordsOf(early), early.marks.count);
          const degraded = wasRead ? copyAnswer(early, request) : writeAnswer(request, states, silent);
          floor.set('ads', wordsOf(request), request.marks.count);
          resolve({ degraded });
        };
        asked.push({ request, answer });
      });
    },
  };
  const fingerprint = fingerprintOf(file);
  const states = Array.from({ length: partitions }, (_, partition) =>
    createPartitionState({ model: 'ads', fingerprint, partition, layouts }),
  );
  const updates = createRowUpdates({ bus, clock, model: 'ads', fingerprint, tells: () => true });
  const cache = createHotRowCache({
    bus,
    clock,
    logger: createLogger({ service: 'test', level: 'silent' }),
    view: { models: new Map([['ads', file]]) } as unknown as ClusterView,
    rows: source,
    floor,
    rowsMax: options.rowsMax ?? 1_000,
    format: options.format ?? 'float32',
    stalenessMsMax,
  });
  let sequence = 0;
  const producers = new Array<number>(partitions).fill(0);
  const versions = new Map<string, { readonly sequence: number; readonly row: readonly number[] }[]>();
  const told: { heads: readonly number[]; atMs: number }[] = [];
  const keysMet = new Set<number>();
  const noteVersions = (partition: number) => {
    for (const key of keysMet) {
      if (partitionOf(...keyOf(key), partitions) !== partition) continue;
      for (const [table, layout] of layouts.entries()) {
        const list = versions.get(`${table} ${key}`) ?? [];
        versions.set(`${table} ${key}`, list);
        list.push({
          sequence: states[partition].sequence,
          row: currentRow(states[partition], layout, table, key),
        });
      }
    }
  };

  const rowAt = (table: number, key: number, at: number): readonly number[] => {
    const known = (versions.get(`${table} ${key}`) ?? []).filter((version) => version.sequence <= at).at(-1);
    return known?.row ?? firstRow(layouts[table], key);
  };
  const writeAsOf = ({ layout, keys, places, count, out, marks }: PullRequest, at: number) => {
    const table = layouts.findIndex(({ tableId }) => tableId === layout.tableId);
    for (let i = 0; i < (places?.count ?? count); i += 1) {
      const place = places?.list ? places.list[places.from + i] : i;
      const [low, high] = [keys[2 * place], keys[2 * place + 1]];
      const key = [...keysMet].find((met) => keyOf(met)[0] === low && keyOf(met)[1] === high) as number;
      out.set(rowAt(table, key, at), place * layout.dim);
      addReadMark(marks, partitionOf(low, high, partitions), at);
    }
  };

  return {
    bus,
    clock,
    cache,
    floor,
    states,
    updates,
    asked,
    told,
    block(partition, table, keys, kind = 'step') {
      const mine = [...new Set(keys)].filter((key) => partitionOf(...keyOf(key), partitions) === partition);
      for (const key of mine) keysMet.add(key);
      // Sequences of one partition are not contiguous.
      sequence += 1 + (sequence % 3);
      producers[partition] += 1;
      const { dim } = layouts[table];
      const words = Uint32Array.from(mine.flatMap((key) => [...keyOf(key)]));
      const floats = Float32Array.from({ length: mine.length * dim }, (_, i) =>
        Math.fround(0.37 * (i + 1) + sequence),
      );
      const mark = { producer: 'p', sequence: producers[partition], previous: producers[partition] - 1 };
      const common = { ...mark, model: 'ads', fingerprint, partition, timeMs: 0 };
      const rows = { table, dim, count: mine.length, keys: words };
      const payload =
        kind === 'step'
          ? encodeGradientBlock({
              ...common,
              eventTimeMs: 1_000 + 1_000 * sequence,
              sections: [{ ...rows, gradients: floats, curvature: null }],
            })
          : encodePutBlock({
              ...common,
              sections: [{ ...rows, weights: floats, stateFloats: 0, state: new Float32Array(0) }],
            });
      updates.begin(states[partition]);
      const outcome = applyGradients(states[partition], { sequence, payload }, 'report');
      updates.end(states[partition], outcome);
      if (outcome.kind !== 'applied') throw new Error(`a block of the test was not applied: ${outcome.kind}`);
      noteVersions(partition);
    },
    lose(count, late = 0) {
      lost = count;
      lateMs = late;
    },
    tellHeads() {
      const heads = states.map((state) => state.sequence);
      told.push({ heads, atMs: clock.monotonicMs() });
      bus.notify(
        headsSubject(name),
        encodeHeads({ model: 'ads', timeMs: 0, partitions: heads, dense: 0, counters }),
      );
    },
    answer(options = {}) {
      asked.shift()?.answer(options);
    },
    request(table, keys) {
      const distinct = [...new Set(keys)];
      const out = new Float32Array(distinct.length * layouts[table].dim).fill(Number.NaN);
      return {
        model: 'ads',
        layout: layouts[table],
        keys: Uint32Array.from(distinct.flatMap((key) => [...keyOf(key)])),
        count: distinct.length,
        out,
        marks: createReadMarks(),
        onAbsent: 'default',
      };
    },
    rowAt,
  };
}

const counters = {
  batches: 0,
  learned: 0,
  positives: 0,
  openImpressions: 0,
  rejectedOutcomes: 0,
  invalidEvents: 0,
  duplicateOutcomes: 0,
  earlyOutcomes: 0,
  lateOutcomes: 0,
  ignoredOutcomes: 0,
  duplicateImpressions: 0,
  droppedImpressions: 0,
  sampledOut: 0,
  rejections: [],
};

export function firstRow(layout: TableLayout, key: number): readonly number[] {
  const row = new Float32Array(layout.dim);
  writeInitialRow(layout, ...keyOf(key), row, 0);
  return Array.from(row);
}

function currentRow(
  state: PartitionState,
  layout: TableLayout,
  table: number,
  key: number,
): readonly number[] {
  const rows = state.tables[table];
  const row = findRow(rows, ...keyOf(key));
  if (row < 0) return firstRow(layout, key);
  return Array.from(rows.weights.subarray(row * layout.dim, (row + 1) * layout.dim));
}

/** As a pull client writes what shards answer. True when a partition kept silent. */
function writeAnswer(
  { layout, keys, places, out, marks, count }: PullRequest,
  states: readonly PartitionState[],
  silent?: number,
): boolean {
  const table = layouts.findIndex(({ tableId }) => tableId === layout.tableId);
  const met = new Set<number>();
  const wanted = places?.count ?? count;
  let degraded = false;
  for (let i = 0; i < wanted; i += 1) {
    const place = places?.list ? places.list[places.from + i] : i;
    const [low, high] = [keys[2 * place], keys[2 * place + 1]];
    const p = partitionOf(low, high, partitions);
    const rows = states[p].tables[table];
    const row = p === silent ? -1 : findRow(rows, low, high);
    if (row < 0) writeInitialRow(layout, low, high, out, place * layout.dim);
    else out.set(rows.weights.subarray(row * layout.dim, (row + 1) * layout.dim), place * layout.dim);
    if (p === silent) degraded = true;
    else met.add(p);
  }
  for (const p of [...met].sort()) addReadMark(marks, p, states[p].sequence);
  return degraded;
}

/** Marks as a rows frame has them. */
function wordsOf({ marks }: PullRequest): Uint32Array {
  const words = Array.from({ length: marks.count }, (_, m) => [
    marks.partitions[m],
    0,
    marks.sequences[m],
    0,
  ]);
  return Uint32Array.from(words.flat());
}

/** Hands over an answer that was written elsewhere; nothing in it stands in for rows. */
function copyAnswer(from: PullRequest, { places, count, layout, out, marks }: PullRequest): boolean {
  for (let i = 0; i < (places?.count ?? count); i += 1) {
    const at = (places?.list ? places.list[places.from + i] : i) * layout.dim;
    out.set(from.out.subarray(at, at + layout.dim), at);
  }
  for (let m = 0; m < from.marks.count; m += 1)
    addReadMark(marks, from.marks.partitions[m], from.marks.sequences[m]);
  return false;
}
