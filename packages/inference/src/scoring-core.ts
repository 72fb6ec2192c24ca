/** The scoring core behind every protocol: keeps the models of the cluster served, scores, logs, takes outcomes. */
import type { CopyFormat, RowSource } from '@millrace/client';
import { type ExperimentsView, modelsApart, openExperiments, watchExperiments } from '@millrace/experiments';
import { type EngineName, featuresOf, importsNet, type OpenNet } from '@millrace/model';
import {
  answeredScores,
  decodeHeads,
  headsSubject,
  joinWindowMsDefault,
  MillraceError,
  type ModelFile,
  type ModelListing,
  modelNameFrom,
  partitionsDefault,
  type RankResponse,
  type RejectedOutcome,
  reasonFrom,
  type ScoreResponse,
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
import { createArmCounter } from './arm-counts.ts';
import { createArmRouting, type WayScored } from './arm-routing.ts';
import type { BatchingLimits } from './batcher.ts';
import { isModelReady, statusOf } from './cluster-status.ts';
import { createExperimentControl } from './experiment-control.ts';
import { createImpressionLog } from './impression-log.ts';
import { impressionOf, type Shown } from './impression-of.ts';
import { refuseUnopened, storeModel } from './model-catalog.ts';
import { ownWriteMsMax } from './own-write.ts';
import { drawFor, rankedItems, rankingPlanFrom, shownPart } from './ranking.ts';
import { release } from './release.ts';
import type { ScoreInput } from './scored.ts';
import {
  type Caller,
  noEngine,
  type RankAsked,
  type ScoreAsked,
  type ScoringService,
} from './scoring-service.ts';
import { type ServedTotals, totalsOf } from './served-counts.ts';
import { type ServedModel, serveModel } from './served-model.ts';
import { createShadowScoring } from './shadow-scoring.ts';
import { createVersionControl } from './version-control.ts';

export interface ScoringCoreOptions {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: string;
  /** Where rows come from; it stays open. */
  readonly rows: RowSource;
  /** How `rows` keeps copies, which impressions tell where it rounds them. Default: float32, which does not. */
  readonly rowFormat?: CopyFormat;
  /** Where snapshots of dense weights are; null: nowhere. */
  readonly archive: Archive | null;
  readonly engine: 'auto' | EngineName;
  /** Whether this thread has its hands full (busy-loop.ts). Default: it is not asked. */
  readonly isBusy?: () => boolean;
  readonly limits: BatchingLimits;
  /** How long a request that has just come has lain unread, ms. Default: not at all. */
  readonly unreadMs?: () => number;
  /** Takes what other threads have done by now, each time that a request comes. Default: that comes with the event loop. */
  readonly hear?: () => void;
  readonly swapEveryMs: number;
  /** Between two steps of opening a version, ms; 0: a turn of the event loop. */
  readonly stepPauseMs?: number;
  readonly newRequestId: () => string;
  /** Release and commit that versions taken here tell of; asked at each. Default: the release. */
  readonly code?: () => string;
  /** How this node calls itself to whoever guards arms. Default: as its cluster. */
  readonly node?: string;
  readonly onFailed: (error: Error) => void;
  /** Told of each model once its engine is chosen. */
  readonly onOpened?: (net: OpenNet) => void;
  /** Reads the file of an imported net; without it no model with one is served. @throws MILL_FILE_INVALID */
  readonly readNet?: (file: string) => Promise<Uint8Array>;
}

interface Opened {
  readonly registry: VersionRegistry;
  readonly versions: VersionsView;
  readonly experiments: ExperimentsView;
}

export interface ScoringCore extends ScoringService {
  /** Serves what the cluster has now; called again after changes. Calls are queued. */
  reconcile(): Promise<void>;
  readonly lostImpressions: number;
  /** Requests whose scores were no numbers; whoever asked got those of earlier weights, or an error. */
  readonly notFinite: number;
  /** Of all models. */
  readonly totals: ServedTotals;
  close(): Promise<void>;
}

const rejectedKept = 100;
const noFeatures = {};

export function createScoringCore(options: ScoringCoreOptions): ScoringCore {
  const { bus, view, clock, logger, hear, rowFormat = 'float32' } = options;
  const served = new Map<string, ServedModel>();
  const heads: LogReader[] = [];
  const unserved = new Set<string>();
  const impressions = createImpressionLog(bus, logger, clock);
  const counter = createArmCounter(bus, clock, options.node ?? options.cluster);
  let experiments: ExperimentsView | null = null;
  const routing = createArmRouting({
    clock,
    counter,
    experiments: () => experiments,
    readyModel: (name) => readyModel(name),
  });
  const shadows = createShadowScoring({ routing, counter, queueRowsMax: options.limits.rowsMax });
  let rejected: RejectedOutcome[] = [];
  let reconciling: Promise<void> = Promise.resolve();
  let closed = false;

  const openWatches = async (): Promise<Opened> => {
    const registry = await openVersionRegistry(bus, clock);
    const versions = await watchVersions(bus, logger);
    experiments = await watchExperiments(bus, logger).catch(async (error: unknown) => {
      await versions.close();
      throw error;
    });
    return { registry, versions, experiments };
  };
  let opening: Promise<Opened> | null = null;
  /** Opened at the first use. */
  const openVersions = () => {
    opening ??= openWatches().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };

  /** What serves a model; null for an imported net that cannot be had here, which is no reason not to serve the others. */
  const opened = async (file: ModelFile): Promise<ServedModel | null> => {
    const onNotFinite = (requests: number) => counter.failed(file.name, [], 'notFinite', requests);
    try {
      return await serveModel(file, { ...options, ...(await openVersions()), onNotFinite });
    } catch (error) {
      if (!importsNet(file)) throw error;
      if (!unserved.has(file.name))
        logger.error({ model: file.name, reason: reasonFrom(error) }, 'imported net not opened');
      unserved.add(file.name);
      return null;
    }
  };

  const serve = async (file: ModelFile) => {
    const model = await opened(file);
    if (model === null) return;
    unserved.delete(file.name);
    served.set(file.name, model);
    trials.watch(file.name);
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

  const logImpression = (
    scored: WayScored,
    request: ScoreAsked & { readonly requestId: string },
    shown: Shown,
  ) => {
    const { file } = scored.model.net;
    const impression = impressionOf(scored, request, shown, { timeMs: clock.now(), rowFormat });
    // Half the window: a copy that was stored without a word is then still known for one when the next comes.
    impressions.write(file.name, impression, joinWindowMs(file) / 2);
  };

  /** The impression waits for what a shadow makes of it, and nobody else does. */
  const logWithShadow = (
    scored: WayScored,
    request: ScoreAsked & { readonly requestId: string },
    input: ScoreInput,
    shown: Shown,
  ) => {
    const shadow = shadows.score(scored, input, shown.places ?? null);
    if (shadow === null) logImpression(scored, request, shown);
    else
      void shadow.then((made) =>
        logImpression(scored, request, made === null ? shown : { ...shown, shadow: made }),
      );
  };

  const score = async (request: ScoreAsked, caller?: Caller): Promise<ScoreResponse> => {
    hear?.();
    const asked = readyModel(request.model);
    const { user = noFeatures, context = noFeatures, items } = request;
    const requestId = request.requestId ?? options.newRequestId();
    const traced = request.log !== false;
    const way = routing.wayOf(asked, request, { user, context, requestId });
    const input = { user, context, items, traced, caller };
    const scored = await routing.score(way, input);
    const { scores } = scored.scored;
    // A node that was paused finds requests whose callers have long gone to another one: logged, they would count again.
    if (traced && caller?.gone !== true) {
      const bytes = new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength);
      logWithShadow(scored, { ...request, requestId }, input, { items: featuresOf(items), scores: bytes });
    }
    return { ...answerOf(scored, requestId), scores: answeredScores(scores) };
  };

  const rank = async (request: RankAsked, caller?: Caller): Promise<RankResponse> => {
    hear?.();
    const asked = readyModel(request.model);
    const { user = noFeatures, context = noFeatures, items } = request;
    const requestId = request.requestId ?? options.newRequestId();
    const way = routing.wayOf(asked, request, { user, context, requestId });
    const exploration = request.exploration ?? way.assignment?.exploration ?? undefined;
    const plan = rankingPlanFrom({ ...request, ...(exploration && { exploration }) }, way.model.net.file);
    const input = { user, context, items, traced: true, ranked: true, caller };
    const scored = await routing.score(way, input);
    const drawn = drawFor(plan, scored.scored, scored.model.net.file, requestId);
    const policy = plan.exploration.type;
    const { scores, logits } = scored.scored;
    const shown = shownPart(drawn, { items: featuresOf(items), scores, logits, policy });
    if (caller?.gone !== true) logWithShadow(scored, { ...request, requestId }, input, shown);
    return { ...answerOf(scored, requestId), ranking: rankedItems(drawn, scores), policy };
  };

  const acceptOutcomes = createAcceptOutcomes({
    bus,
    clock,
    fileOf: (model) => modelNamed(model).net.file,
    alsoOf: (model) => (experiments === null ? [] : modelsApart(experiments.catalogOf(model), clock.now())),
  });

  const listing = (file: ModelFile): ModelListing => {
    const model = served.get(file.name);
    const versions = model?.versions.list() ?? [];
    return {
      name: file.name,
      partitions: file.partitions ?? partitionsDefault,
      engine: model?.net.engine.name ?? noEngine,
      version: model?.net.versions.current.version ?? 0,
      ready: isModelReady(view, file, model),
      ...(versions.length > 0 && { versions }),
    };
  };

  const versions = createVersionControl({
    bus,
    clock,
    code: options.code ?? (() => release),
    registry: async () => (await openVersions()).registry,
    view: async () => (await openVersions()).versions,
    modelNamed,
    readyModel,
    experiments: async () => (await openVersions()).experiments,
  });
  const trials = createExperimentControl({
    bus,
    clock,
    logger,
    registry: () => openExperiments(bus, clock),
    view: async () => (await openVersions()).experiments,
    versions,
    modelNamed,
  });

  return {
    score,
    rank,
    acceptOutcomes,
    reconcile,
    versions,
    experiments: trials,
    models: () => [...view.models.values()].map(listing),
    fileOf(name) {
      const file = view.models.get(name);
      if (file) return file;
      throw modelUnknown(name);
    },
    async createModel(name, value) {
      await refuseUnopened(value, options.readNet);
      const created = await storeModel(bus, view, name, value);
      await view.waitFor(() => view.models.has(name), ownWriteMsMax);
      await reconcile();
      const file = view.models.get(name) as ModelFile;
      return { created, model: listing(file) };
    },
    rejectedOutcomes: (model) =>
      model === undefined ? rejected : rejected.filter((entry) => entry.model === model),
    servedBy: (model) => modelNamed(model).counts,
    measures: (model) => modelNamed(model).measures.records,
    status: () => statusOf(options, served),
    // One loop of one process serves all models: where one's requests wait, those of the others will.
    overdue(priority) {
      hear?.();
      for (const model of served.values()) {
        let retryAfterMs = model.batcher.overdue(priority);
        for (const { batcher } of model.versions.lines) retryAfterMs ??= batcher.overdue(priority);
        if (retryAfterMs !== null) return retryAfterMs;
      }
      return null;
    },
    get ready() {
      return [...view.models.values()].every((file) => isModelReady(view, file, served.get(file.name)));
    },
    get lostImpressions() {
      return impressions.lost;
    },
    get notFinite() {
      return counter.notFinite;
    },
    get totals() {
      return totalsOf([...served.values()].map(({ counts }) => counts));
    },
    async close() {
      closed = true;
      await reconciling.catch(() => {});
      for (const reader of heads) await reader.close();
      for (const model of served.values()) await model.close();
      counter.close();
      await trials.close();
      const opened = await opening?.catch(() => null);
      await opened?.experiments.close();
      await opened?.versions.close();
      await shadows.settled();
      await impressions.close();
    },
  };
}

/** What every answer says of how it came about. */
function answerOf({ model, route: { line, label }, assignment, scored }: WayScored, requestId: string) {
  const { version, degraded, stalenessMs } = scored;
  return {
    requestId,
    model: model.net.file.name,
    version,
    ...(line.number !== null && { modelVersion: line.number }),
    ...(label !== null && { label }),
    ...(assignment !== null && assignment.arm !== '' && { arm: assignment.arm }),
    stalenessMs: stalenessMs === null ? null : Math.round(10 * stalenessMs) / 10,
    degraded,
    engine: line.engine,
  };
}

function modelUnknown(name: string): MillraceError {
  return new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)}`);
}

function joinWindowMs({ learning }: ModelFile): number {
  return learning?.joinWindowMs ?? joinWindowMsDefault;
}
