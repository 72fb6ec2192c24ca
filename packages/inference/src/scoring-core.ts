/** The scoring core behind every protocol: keeps the models of the cluster served, scores, logs, takes outcomes. */
import type { RowSource } from '@millrace/client';
import type { EngineName } from '@millrace/model';
import {
  decodeHeads,
  headsSubject,
  type Impression,
  joinWindowMsDefault,
  MillraceError,
  type ModelFile,
  type ModelListing,
  modelNameFrom,
  partitionsDefault,
  type RankRequest,
  type RankResponse,
  type RejectedOutcome,
  type ScoreRequest,
  type ScoreResponse,
  type VersionAddress,
} from '@millrace/protocol';
import {
  openVersionRegistry,
  type VersionRegistry,
  type VersionsView,
  watchVersions,
} from '@millrace/registry';
import type { Bus, Clock, ClusterView, Logger, LogReader } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { createAcceptOutcomes } from './accept-outcomes.ts';
import type { BatchingLimits } from './batcher.ts';
import { isModelReady, statusOf } from './cluster-status.ts';
import { createImpressionLog } from './impression-log.ts';
import { storeModel } from './model-catalog.ts';
import { drawFor, rankedItems, rankingPlanFrom, shownPart } from './ranking.ts';
import { refusedPart } from './refused-part.ts';
import { release } from './release.ts';
import type { Scored } from './scored.ts';
import type { Caller, ScoringService } from './scoring-service.ts';
import { type ServedModel, serveModel } from './served-model.ts';
import type { Route } from './served-versions.ts';
import { createVersionControl } from './version-control.ts';

export interface ScoringCoreOptions {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: string;
  /** Where rows come from; it stays open. */
  readonly rows: RowSource;
  /** Where snapshots of dense weights are; null: nowhere. */
  readonly archive: Archive | null;
  readonly engine: 'auto' | EngineName;
  readonly limits: BatchingLimits;
  readonly swapEveryMs: number;
  readonly newRequestId: () => string;
  /** Release and commit that versions taken here tell of; asked at each. Default: the release. */
  readonly code?: () => string;
  readonly onFailed: (error: Error) => void;
}

export interface ScoringCore extends ScoringService {
  /** Serves what the cluster has now; called again after changes. Calls are queued. */
  reconcile(): Promise<void>;
  readonly lostImpressions: number;
  close(): Promise<void>;
}

const rejectedKept = 100;
/** How long a write to the key-value store may take to come back through its watch. */
const ownWriteMsMax = 5_000;
const noFeatures = {};

export function createScoringCore(options: ScoringCoreOptions): ScoringCore {
  const { bus, view, clock, logger } = options;
  const served = new Map<string, ServedModel>();
  const heads: LogReader[] = [];
  const impressions = createImpressionLog(bus, logger, clock);
  let rejected: RejectedOutcome[] = [];
  let reconciling: Promise<void> = Promise.resolve();
  let closed = false;

  let opening: Promise<{ readonly registry: VersionRegistry; readonly versions: VersionsView }> | null = null;
  /** Opened at the first use. */
  const openVersions = () => {
    opening ??= (async () => {
      const registry = await openVersionRegistry(bus, clock);
      return { registry, versions: await watchVersions(bus, logger) };
    })();
    opening.catch(() => {
      opening = null;
    });
    return opening;
  };

  const serve = async (file: ModelFile) => {
    const model = await serveModel(file, { ...options, ...(await openVersions()) });
    served.set(file.name, model);
    heads.push(
      bus.onNotice(headsSubject(modelNameFrom(file.name)), (payload) => {
        const told = decodeHeads(payload);
        model.noteHeads(told);
        const news = told.counters.rejections.map((rejection) => ({ model: file.name, ...rejection }));
        if (news.length > 0) rejected = [...news.reverse(), ...rejected].slice(0, rejectedKept);
      }),
    );
  };

  const reconcile = () => {
    reconciling = reconciling.then(async () => {
      for (const file of view.models.values()) {
        if (!closed && !served.has(file.name)) await serve(file);
      }
    });
    return reconciling;
  };

  const modelNamed = (name: string | undefined): ServedModel => {
    const wanted = name ?? (view.models.size === 1 ? [...view.models.keys()][0] : undefined);
    if (wanted === undefined) {
      throw new MillraceError(
        'MILL_MODEL_UNKNOWN',
        `the request names no model, and there are ${view.models.size}: name one in "model"`,
      );
    }
    const model = served.get(wanted);
    if (model) return model;
    if (view.models.has(wanted))
      throw new MillraceError('MILL_NOT_READY', `model "${wanted}" is being loaded`);
    throw modelUnknown(wanted);
  };

  const readyModel = (name: string | undefined): ServedModel => {
    const model = modelNamed(name);
    if (model.ready) return model;
    throw new MillraceError(
      'MILL_NOT_READY',
      `model "${model.net.file.name}" is catching up with its dense log`,
    );
  };

  /** @param shown  the items in the order shown, and what goes with them. */
  const logImpression = (
    model: ServedModel,
    { line }: Route,
    { user = noFeatures, context = noFeatures, requestId }: ScoreRequest & { readonly requestId: string },
    { version, degraded, reads }: Scored,
    shown: Pick<Impression, 'items' | 'scores'> & Partial<Impression>,
  ) => {
    const { name, learning } = model.net.file;
    const { negativeRate = 1 } = learning ?? {};
    const impression: Impression = {
      type: 'impression',
      requestId,
      timeMs: clock.now(),
      user,
      context,
      ...shown,
      version,
      ...(line.number !== null && { modelVersion: line.number }),
      engine: line.engine,
      ...(reads && { reads }),
      ...(degraded && { degraded }),
      ...(negativeRate < 1 && { negativeRate }),
    };
    // Half the window: a copy that was stored without a word is then still known for one when the next comes.
    impressions.write(name, impression, joinWindowMs(model.net.file) / 2);
  };

  const score = async (request: ScoreRequest, caller?: Caller): Promise<ScoreResponse> => {
    const model = readyModel(request.model);
    const { user = noFeatures, context = noFeatures, items } = request;
    const requestId = request.requestId ?? options.newRequestId();
    const traced = request.log !== false;
    const route = routeOf(model, request);
    const scored = await route.line.batcher.submit({ user, context, items, traced, caller }, items.length);
    const { scores } = scored;
    // A node that was paused finds requests whose callers have long gone to another one: logged, they would count again.
    if (traced && caller?.gone !== true) {
      const bytes = new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength);
      logImpression(model, route, { ...request, requestId }, scored, { items, scores: bytes });
    }
    return { ...answerOf(model, route, requestId, scored), scores: Array.from(scores) };
  };

  const rank = async (request: RankRequest, caller?: Caller): Promise<RankResponse> => {
    const model = readyModel(request.model);
    const { user = noFeatures, context = noFeatures, items } = request;
    const plan = rankingPlanFrom(request, model.net.file);
    const requestId = request.requestId ?? options.newRequestId();
    const input = { user, context, items, traced: true, ranked: true, caller };
    const route = routeOf(model, request);
    const scored = await route.line.batcher.submit(input, items.length);
    const drawn = drawFor(plan, scored, model.net.file, requestId);
    const policy = plan.exploration.type;
    if (caller?.gone !== true) {
      const shown = shownPart(drawn, { items, scores: scored.scores, policy });
      logImpression(model, route, { ...request, requestId }, scored, shown);
    }
    const ranking = rankedItems(drawn, scored.scores);
    return { ...answerOf(model, route, requestId, scored), ranking, policy };
  };

  const acceptOutcomes = createAcceptOutcomes({ bus, clock, fileOf: (model) => modelNamed(model).net.file });

  const listing = (file: ModelFile): ModelListing => {
    const model = served.get(file.name);
    const versions = model?.versions.list() ?? [];
    return {
      name: file.name,
      partitions: file.partitions ?? partitionsDefault,
      engine: model?.net.engine.name ?? 'none yet',
      version: model?.net.versions.current.version ?? 0,
      ready: isModelReady(view, file, model),
      ...(versions.length > 0 && { versions }),
    };
  };

  return {
    score,
    rank,
    acceptOutcomes,
    reconcile,
    versions: createVersionControl({
      bus,
      clock,
      code: options.code ?? (() => release),
      registry: async () => (await openVersions()).registry,
      view: async () => (await openVersions()).versions,
      modelNamed,
      readyModel,
    }),
    models: () => [...view.models.values()].map(listing),
    fileOf(name) {
      const file = view.models.get(name);
      if (file) return file;
      throw modelUnknown(name);
    },
    async createModel(name, value) {
      const created = await storeModel(bus, view, name, value);
      await view.waitFor(() => view.models.has(name), ownWriteMsMax);
      await reconcile();
      const file = view.models.get(name) as ModelFile;
      return { created, model: listing(file) };
    },
    rejectedOutcomes: (model) =>
      model === undefined ? rejected : rejected.filter((entry) => entry.model === model),
    measures: (model) => modelNamed(model).measures.records,
    status: () => statusOf(options, served),
    get ready() {
      return [...view.models.values()].every((file) => isModelReady(view, file, served.get(file.name)));
    },
    get lostImpressions() {
      return impressions.lost;
    },
    async close() {
      closed = true;
      await reconciling.catch(() => {});
      for (const reader of heads) await reader.close();
      for (const model of served.values()) await model.close();
      const opened = await opening?.catch(() => null);
      await opened?.versions.close();
      await impressions.close();
    },
  };
}

/** What every answer says of how it came about. */
function answerOf(
  model: ServedModel,
  { line, label }: Route,
  requestId: string,
  { version, degraded, stalenessMs }: Scored,
) {
  return {
    requestId,
    model: model.net.file.name,
    version,
    ...(line.number !== null && { modelVersion: line.number }),
    ...(label !== null && { label }),
    stalenessMs: stalenessMs === null ? null : Math.round(10 * stalenessMs) / 10,
    degraded,
    engine: line.engine,
  };
}

/** @throws MILL_VERSION_UNKNOWN, MILL_NOT_READY, MILL_BAD_REQUEST when both a version and a label are named. */
function routeOf(model: ServedModel, { version, label }: VersionAddress): Route {
  if (version !== undefined && label !== undefined)
    throw refusedPart('label', 'a version or a label', 'both');
  return model.versions.route({
    ...(version !== undefined && { version }),
    ...(label !== undefined && { label }),
  });
}

function modelUnknown(name: string): MillraceError {
  return new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)}`);
}

function joinWindowMs({ learning }: ModelFile): number {
  return learning?.joinWindowMs ?? joinWindowMsDefault;
}
