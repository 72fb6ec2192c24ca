/**
 * The models of a chaos run, each with a load of its own: one that counts, whose rows tell how often each example was
 * learned, and one with dense layers, whose weights every inference node and updater has to find again.
 */
import type { LearningSpec, ModelFile } from '@millrace/protocol';
import { countingModel } from '../counting-model.ts';
import type { LocalClusterFixture } from '../local-cluster-fixture.ts';
import { type ChaosLoad, type Ledger, startChaosLoad } from './chaos-load.ts';
import { type Before, type Wholeness, watchWholeness } from './wholeness.ts';

export interface Subject {
  readonly file: ModelFile;
  readonly wholeness: Wholeness;
  readonly load: ChaosLoad;
}

export interface Subjects {
  readonly counting: Subject;
  readonly dense: Subject;
  /** Of both loads, as they are now. */
  figures(): Figures;
  /** What is still missing for either model, null when nothing is. */
  missing(since: readonly Before[], killed: string | null): Promise<string | null>;
  before(): readonly Before[];
  /** Ends both loads and waits for what is under way. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export interface Figures {
  readonly scored: number;
  readonly failures: Ledger['failures'];
  /** When they were sent, ms from the start of their load. */
  readonly degradedAtMs: readonly number[];
  readonly latenciesMs: readonly number[];
}

const partitions = 16;
const batchDelayMs = 20;
/** Of the counting model: most of what can be lost is looked for there. */
const callers = 4;
const callerPauseMs = 10;
const denseCallers = 1;
const denseCallerPauseMs = 50;

export async function startSubjects(
  cluster: LocalClusterFixture,
  options: { readonly shards: number; readonly joinWindowMs: number; readonly clickPatienceMs: number },
): Promise<Subjects> {
  const { shards, joinWindowMs, clickPatienceMs } = options;
  const learning = { joinWindowMs, batchDelayMs };
  const files = [
    { ...countingModel('chaos', learning), partitions },
    denseModel('chaos-dense', learning),
  ] as const;
  for (const file of files) await cluster.client.createModel(file);
  const bus = await cluster.bus();
  const [first, second] = files;
  const watched = [
    await watchWholeness(cluster, bus, first.name, shards),
    await watchWholeness(cluster, bus, second.name, shards),
  ] as const;
  const loadOf = (file: ModelFile, lanes: { readonly callers: number; readonly pauseMs: number }) =>
    startChaosLoad({ urls: cluster.urls, model: file.name, clickPatienceMs, ...lanes });
  const counting: Subject = {
    file: first,
    wholeness: watched[0],
    load: loadOf(first, { callers, pauseMs: callerPauseMs }),
  };
  const dense: Subject = {
    file: second,
    wholeness: watched[1],
    load: loadOf(second, { callers: denseCallers, pauseMs: denseCallerPauseMs }),
  };
  const both = [counting, dense];
  return {
    counting,
    dense,
    figures() {
      const ledgers = both.map(({ load }) => load.ledger);
      const sum = (of: (ledger: Ledger) => number) =>
        ledgers.reduce((total, ledger) => total + of(ledger), 0);
      return {
        scored: sum(({ scored }) => scored.size),
        failures: ledgers.flatMap(({ failures }) => failures),
        degradedAtMs: ledgers.flatMap(({ degraded }) => [...degraded.values()]),
        latenciesMs: ledgers.flatMap(({ latenciesMs }) => latenciesMs),
      };
    },
    async missing(since, killed) {
      for (const [i, { wholeness }] of both.entries()) {
        const missing = await wholeness.missing(since[i] as Before, killed);
        if (missing !== null) return missing;
      }
      return null;
    },
    before: () => both.map(({ wholeness }) => wholeness.before()),
    async stop() {
      await Promise.all(both.map(({ load }) => load.stop()));
    },
    async close() {
      for (const { wholeness } of both) await wholeness.close();
    },
  };
}

function denseModel(name: string, learning: LearningSpec): ModelFile {
  const optimizer = { type: 'adagrad', learningRate: 0.05 } as const;
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 4,
    tables: [{ name: 'items', wide: { optimizer }, embedding: { dim: 4, optimizer } }],
    fields: [{ name: 'item', type: 'sparse', scope: 'item', table: 'items' }],
    net: { wide: true, layers: [{ units: 8 }] },
    loss: 'logloss',
    seed: 1,
    learning,
  };
}
