/** A scoring service that answers at once and remembers what it was asked, and a listening server in front of it. */
import { featuresOf } from '@millrace/model';
import {
  type ExperimentReport,
  type Measures,
  MillraceError,
  type ModelFile,
  type ModelListing,
  type OutcomeRequest,
  type RankRequest,
  type ScoreRequest,
  type ScoreResponse,
  type VersionsResponse,
} from '@millrace/protocol';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import type { ExperimentControl } from '../../src/experiment-control.ts';
import { type HttpOptions, startHttp } from '../../src/http/start-http.ts';
import type { ScoreAsked, ScoringService } from '../../src/scoring-service.ts';
import { createServedCounts } from '../../src/served-counts.ts';
import type { VersionControl } from '../../src/version-control.ts';

export const demoListing: ModelListing = {
  name: 'demo',
  partitions: 64,
  engine: 'wasm',
  version: 7,
  ready: true,
};

/** A model with a field of every kind and scope. */
export const demoFile: ModelFile = {
  name: 'demo',
  label: 'clicked',
  item: 'item',
  tables: [{ name: 'ids', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'seen', type: 'sequence', scope: 'user', table: 'ids' },
    { name: 'hour', type: 'dense', table: 'ids' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'genres', type: 'multi', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', table: 'ids' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

export interface Stub extends ScoringService {
  ready: boolean;
  /** Changes of versions that were asked for: the method, then what it was given. */
  readonly versionCalls: readonly (readonly unknown[])[];
  readonly scored: ScoreRequest[];
  readonly ranked: RankRequest[];
  readonly outcomes: OutcomeRequest[];
  readonly created: { readonly name: string; readonly file: unknown }[];
}

/** Parts of the stub that a test replaces. */
export type StubParts = Partial<
  Pick<ScoringService, 'score' | 'acceptOutcomes' | 'createModel' | 'status' | 'models' | 'overdue'>
>;

/** A request with its items as objects, however they came. */
export function withObjects<Asked extends ScoreAsked>(request: Asked) {
  return { ...request, items: featuresOf(request.items) };
}

export function answerTo(request: ScoreAsked): ScoreResponse {
  return {
    requestId: request.requestId ?? 'made-by-server',
    model: request.model ?? 'demo',
    version: 7,
    scores: Array.from({ length: request.items.length }, (_item, index) => 1 / (index + 2)),
    stalenessMs: 12.5,
    degraded: false,
    engine: 'wasm',
  };
}

/** Tells of one experiment, and remembers changes among the calls. */
function stubExperiments(calls: unknown[][]): ExperimentControl {
  const report = (model: string, name: string): ExperimentReport => ({
    name,
    model,
    layer: 'main',
    key: 'user.user',
    salt: 'main',
    control: 'a',
    confidence: 0.95,
    guards: { logloss: 0.1, calibration: null, nan: 0, errors: null, p99: null },
    note: '',
    startedMs: 1,
    endedMs: null,
    kept: null,
    arms: [],
    sampleRatio: { arms: [], units: 0, pValue: null, mismatch: false, verdict: 'not judged' },
    comparisons: [],
    changes: [{ timeMs: 1, by: 'operator', shares: { a: 0.5 }, reason: 'started' }],
    verdict: 'Nothing came of b yet.',
  });
  const called = async (...call: readonly unknown[]) => {
    calls.push([...call]);
    return report(String(call[1]), 'button');
  };
  return {
    list: async (model) => [report(model, 'button')],
    report: async (model, name) => report(model, name),
    start: (...call) => called('start', ...call),
    setShares: (...call) => called('setShares', ...call),
    stop: (...call) => called('stop', ...call),
  };
}

export function stubService(parts: StubParts = {}): Stub {
  const versionCalls: unknown[][] = [];
  const stub: Stub = {
    ready: true,
    versionCalls,
    versions: stubVersions(versionCalls),
    experiments: stubExperiments(versionCalls),
    scored: [],
    ranked: [],
    outcomes: [],
    created: [],
    async score(request) {
      stub.scored.push(withObjects(request));
      return answerTo(request);
    },
    async rank(request) {
      stub.ranked.push(withObjects(request));
      const { scores, ...answer } = answerTo(request);
      const ranking = scores.map((score, index) => ({ index, score, propensity: 1 }));
      return { ...answer, ranking, policy: request.exploration?.type ?? 'epsilon-greedy' };
    },
    async acceptOutcomes(outcomes) {
      stub.outcomes.push(...outcomes);
      return { accepted: outcomes.length };
    },
    models: () => [demoListing],
    fileOf(name) {
      if (name === demoFile.name) return demoFile;
      throw new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)}`);
    },
    async createModel(name, file) {
      stub.created.push({ name, file });
      return { created: stub.created.length === 1, model: { ...demoListing, name } };
    },
    rejectedOutcomes: (model) => [
      {
        model: model ?? 'any',
        code: 'MILL_IMPRESSION_UNKNOWN',
        requestId: 'r1',
        reason: 'no impression',
        timeMs: 1_700_000_000_000,
      },
    ],
    servedBy: () => ({
      ...createServedCounts(),
      scored: 5,
      batches: 2,
      lastMs: 1_700_000_000_000,
      answered: 3,
      waitMs: 1.5,
      pullMs: 2,
      forwardMs: 3,
      answerMs: 0.25,
      failed: 1,
      failedMs: 4,
    }),
    measures: (model) => [measured(model)],
    status: () => ({
      cluster: 'test',
      models: [
        {
          name: 'demo',
          version: 7,
          engine: 'wasm',
          epoch: 1,
          partitions: 64,
          replicas: 2,
          moving: 1,
          moves: [{ partition: 3, former: ['shard-2'], owners: [{ shard: 'shard-1', ready: false }] }],
          stalenessMs: null,
          learned: 5,
          openImpressions: 2,
          rejected: 1,
          measures: measured('demo'),
        },
      ],
      shards: [
        {
          id: 'shard-1',
          address: '127.0.0.1:7001',
          zone: '',
          live: true,
          draining: false,
          ready: true,
          owned: 64,
          readyPartitions: 64,
          rows: 10,
          bytes: 640,
          sequence: 99,
          behind: 0,
          stalenessMs: 3.5,
        },
      ],
      node: { scored: 3, batches: 2, meanBatchRows: 1.5, queueRows: 0 },
    }),
    ...parts,
  };
  return stub;
}

const noVersions: VersionsResponse = {
  model: 'demo',
  policy: { type: 'all' },
  labels: {},
  moves: [],
  versions: [],
};

function stubVersions(calls: unknown[][]): VersionControl {
  const noted =
    (method: keyof VersionControl) =>
    async (...given: unknown[]): Promise<VersionsResponse> => {
      calls.push([method, ...given]);
      return noVersions;
    };
  return {
    list: () => noVersions,
    record: (model, version) =>
      Promise.reject(new MillraceError('MILL_VERSION_UNKNOWN', `model "${model}" has no version ${version}`)),
    async take(...given) {
      return { ...(await noted('take')(...given)), version: 1 };
    },
    setLabel: noted('setLabel'),
    unsetLabel: noted('unsetLabel'),
    rollBackLabel: noted('rollBackLabel'),
    setPolicy: noted('setPolicy'),
    load: noted('load'),
    unload: noted('unload'),
    unloadUnlabelled: noted('unloadUnlabelled'),
    loadByPolicy: noted('loadByPolicy'),
    remove: noted('remove'),
  };
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface Listening {
  readonly url: string;
  readonly routes: readonly string[];
  readonly port: number;
  readonly service: Stub;
  readonly registry: Registry;
  readonly log: LogLine[];
  close(): Promise<void>;
}

export type ListenOptions = { parts?: StubParts } & Partial<
  Pick<HttpOptions, 'connectionsMax' | 'requestTimeoutMs' | 'access' | 'clock' | 'corsOrigins' | 'accessLog'>
>;

/** Listens on a free port of loopback until the test ends. */
export async function listen(options: ListenOptions = {}): Promise<Listening> {
  const listening = await openServer(options);
  onTestFinished(() => listening.close());
  return listening;
}

/** Listens until it is closed; for several tests that only have requests refused. */
export async function openServer(options: ListenOptions = {}): Promise<Listening> {
  const { parts = {}, connectionsMax = 100, requestTimeoutMs = 5_000, ...rest } = options;
  const service = stubService(parts);
  const registry = new Registry();
  const log: LogLine[] = [];
  const lineOf = (level: LogLine['level']) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  const logger = { info: lineOf('info'), warn: lineOf('warn'), error: lineOf('error') };
  const limits = { connectionsMax, requestTimeoutMs };
  const face = await startHttp({ service, logger, registry, port: 0, ...limits, ...rest });
  return {
    url: face.url,
    routes: face.routes,
    port: Number(new URL(face.url).port),
    service,
    registry,
    log,
    close: () => face.close(),
  };
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A promise that the test resolves. */
export function gate(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A record of measures with something in every part. */
function measured(model: string): Measures {
  const quality = {
    count: 3,
    positives: 1,
    auc: 0.75,
    logloss: 0.5,
    normalizedEntropy: 0.9,
    calibration: null,
  };
  return {
    model,
    timeMs: 1_700_000_000_000,
    arms: [
      {
        arm: '',
        quality: { minute: quality, hour: quality, start: quality },
        curve: [{ count: 3, predicted: 0.3, observed: 0.4 }],
      },
    ],
    fields: [{ field: 'user', coverage: 1, newKeys: 0.1, drift: null }],
    scoreDrift: null,
    gradientNorms: { logits: 1, embeddings: null, dense: null },
    alerts: ['user'],
  };
}
