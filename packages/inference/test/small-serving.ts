/** Small models, stub rows and a scoring core around them, for the tests of serving. */
import { addReadMark, type PullRequest, type RowSource } from '@millrace/client';
import { fingerprintOf, hashText } from '@millrace/core';
import { compileFeatures, compileNet } from '@millrace/model';
import {
  decodeEvent,
  denseSubject,
  type Event,
  encodeDenseBlock,
  eventsSubject,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import {
  type Bus,
  type ClusterView,
  createLogger,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import { onTestFinished } from 'vitest';
import { createScoringCore, type ScoringCore, type ScoringCoreOptions } from '../src/scoring-core.ts';

/** logit = w[ad] + w[who]. */
export const linear: ModelFile = {
  name: 'ads',
  label: 'clicked',
  item: 'ad',
  partitions: 2,
  tables: [{ name: 'ids', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', table: 'ids' },
  ],
  bias: false,
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

/** logit = w[ad] + (x·w1 + b1)·w2 + b2; its four dense weights step by SGD at rate 1. */
export const layered: ModelFile = {
  ...linear,
  name: 'deep',
  fields: [linear.fields[0], { name: 'x', type: 'dense', scope: 'item' }],
  net: {
    wide: true,
    layers: [{ units: 1, activation: 'linear' }],
    optimizer: { type: 'sgd', learningRate: 1 },
  },
};

export const quietLogger = createLogger({ service: 'test', level: 'silent' });
export const turn = () => new Promise((resolve) => setImmediate(resolve));

export interface StubRows extends RowSource {
  /** Wide weight by the text of an ad, as the hash of `linear`'s field names it; 0 for all others. */
  readonly weights: Map<string, number>;
  readonly asked: PullRequest[];
  degraded: boolean;
  /** Sequence that partition 0 is said to have been read at. */
  sequence: number;
  /** When set, pulls wait for it. */
  gate: Promise<void> | null;
  failure: Error | null;
}

export function stubRows(): StubRows {
  const { keyFields } = compileFeatures(linear, compileNet(linear), 1_000);
  const { seedLow, seedHigh } = keyFields[0];
  const words = new Uint32Array(2);
  const stub: StubRows = {
    weights: new Map(),
    asked: [],
    degraded: false,
    sequence: 0,
    gate: null,
    failure: null,
    async pull(request) {
      stub.asked.push(request);
      await stub.gate;
      if (stub.failure) throw stub.failure;
      const { keys, count, layout, out, marks } = request;
      out.fill(0, 0, count * layout.dim);
      for (const [text, weight] of stub.weights) {
        hashText(text, seedLow, seedHigh, words, 0);
        for (let i = 0; i < count; i += 1) {
          if (keys[2 * i] === words[0] && keys[2 * i + 1] === words[1]) out[i * layout.dim] = weight;
        }
      }
      addReadMark(marks, 0, stub.sequence);
      return { degraded: stub.degraded };
    },
  };
  return stub;
}

export interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  readonly rows: StubRows;
  readonly core: ScoringCore;
  readonly failures: Error[];
  /** Events of a model so far. */
  events(model?: string): Promise<readonly Event[]>;
}

/** A core with the given models created. */
export async function openStage(
  files: readonly ModelFile[] = [linear],
  change: Partial<ScoringCoreOptions> & { readonly over?: (bus: MemoryBus) => Bus } = {},
): Promise<Stage> {
  const { over = (bus) => bus, ...options } = change;
  const bus = createMemoryBus();
  const clock = createManualClock(10_000);
  const view = await watchCluster(bus, clock);
  const rows = stubRows();
  const failures: Error[] = [];
  let made = 0;
  const core = createScoringCore({
    bus: over(bus),
    view,
    clock,
    logger: quietLogger,
    cluster: 'demo',
    rows,
    archive: null,
    engine: 'plain',
    limits: { rowsMax: 100, delayUs: 0, queueRowsMax: 1_000, lanes: 2 },
    swapEveryMs: 0,
    stepPauseMs: 0,
    newRequestId: () => {
      made += 1;
      return `made-${made}`;
    },
    onFailed: (error) => failures.push(error),
    ...options,
  });
  onTestFinished(async () => {
    await core.close();
    await view.close();
  });
  for (const file of files) await core.createModel(file.name, file);
  return {
    bus,
    clock,
    view,
    rows,
    core,
    failures,
    async events(model = 'ads') {
      const events: Event[] = [];
      const reader = await bus.read('events', {
        subject: eventsSubject(modelNameFrom(model)),
        from: 1,
        onMessage: ({ payload }) => void events.push(decodeEvent(payload)),
        onError: (error) => {
          throw error;
        },
      });
      await reader.close();
      return events;
    },
  };
}

/** Appends a dense block to the log of `layered`; resolves to its sequence, which is the version that it makes. */
export function appendDense(bus: Bus, sequence: number, gradients: readonly number[]): Promise<number> {
  const block = encodeDenseBlock({
    producer: 'p',
    sequence,
    previous: sequence - 1,
    model: layered.name,
    fingerprint: fingerprintOf(layered),
    timeMs: 0,
    gradients: Float32Array.from(gradients),
  });
  return bus.append('dense', denseSubject(modelNameFrom(layered.name)), block);
}

export const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
