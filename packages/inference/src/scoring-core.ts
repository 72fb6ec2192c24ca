/** The scoring core behind every protocol: keeps the models of the cluster served, scores, logs, takes outcomes. */
import type { RowSource } from '@millrace/client';
import type { EngineName } from '@millrace/model';
import {
  type ClusterStatus,
  decodeHeads,
  encodeEvent,
  eventsSubject,
  headsSubject,
  type Impression,
  joinWindowMsDefault,
  MillraceError,
  type ModelFile,
  type ModelListing,
  modelNameFrom,
  type OutcomeRequest,
  partitionsDefault,
  type RejectedOutcome,
  type ScoreRequest,
  type ScoreResponse,
} from '@millrace/protocol';
import type { Bus, Clock, ClusterView, Logger, LogReader } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import type { BatchingLimits } from './batcher.ts';
import { createImpressionLog } from './impression-log.ts';
import { storeModel } from './model-catalog.ts';
import type { ScoringService } from './scoring-service.ts';
import { type ServedModel, serveModel } from './served-model.ts';

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

  const serve = async (file: ModelFile) => {
    const model = await serveModel(file, options);
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
    throw new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(wanted)}`);
  };

  const score = async (request: ScoreRequest): Promise<ScoreResponse> => {
    const model = modelNamed(request.model);
    const { name } = model.net.file;
    if (!model.ready)
      throw new MillraceError('MILL_NOT_READY', `model "${name}" is catching up with its dense log`);
    const { user = noFeatures, context = noFeatures, items } = request;
    const requestId = request.requestId ?? options.newRequestId();
    const traced = request.log !== false;
    const scored = await model.batcher.submit({ user, context, items, traced }, items.length);
    const { scores, version, degraded, reads } = scored;
    const engine = model.net.engine.name;
    const stalenessMs = scored.stalenessMs === null ? null : Math.round(10 * scored.stalenessMs) / 10;
    if (traced) {
      const timeMs = clock.now();
      const bytes = new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength);
      const impression: Impression = {
        type: 'impression',
        requestId,
        timeMs,
        user,
        context,
        items,
        scores: bytes,
        version,
        engine,
        ...(reads && { reads }),
        ...(degraded && { degraded }),
      };
      // Half the window: a copy that was stored without a word is then still known for one when the next comes.
      impressions.write(name, impression, joinWindowMs(model.net.file) / 2);
    }
    return { requestId, model: name, version, scores: Array.from(scores), stalenessMs, degraded, engine };
  };

  const acceptOutcomes = async (outcomes: readonly OutcomeRequest[]) => {
    const timeMs = clock.now();
    // All models are checked before the first outcome is stored, so a refused request has stored nothing.
    const names = outcomes.map(({ model }) => modelNamed(model).net.file.name);
    const appends = outcomes.map(({ requestId, index, item, value = 1 }, i) => {
      const which = item === undefined ? { index: index ?? 0 } : { item: String(item) };
      const payload = encodeEvent({ type: 'outcome', requestId, timeMs, ...which, value });
      return bus.append('events', eventsSubject(modelNameFrom(names[i])), payload);
    });
    await Promise.all(appends);
    return { accepted: outcomes.length };
  };

  const listing = (file: ModelFile): ModelListing => {
    const model = served.get(file.name);
    return {
      name: file.name,
      partitions: file.partitions ?? partitionsDefault,
      engine: model?.net.engine.name ?? 'none yet',
      version: model?.net.versions.current.version ?? 0,
      ready: isModelReady(view, file, model),
    };
  };

  return {
    score,
    acceptOutcomes,
    reconcile,
    models: () => [...view.models.values()].map(listing),
    async createModel(name, value) {
      const created = await storeModel(bus, view, name, value);
      await view.waitFor(() => view.models.has(name), ownWriteMsMax);
      await reconcile();
      const file = view.models.get(name) as ModelFile;
      return { created, model: listing(file) };
    },
    rejectedOutcomes: (model) =>
      model === undefined ? rejected : rejected.filter((entry) => entry.model === model),
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
      await impressions.close();
    },
  };
}

function joinWindowMs({ learning }: ModelFile): number {
  return learning?.joinWindowMs ?? joinWindowMsDefault;
}

/** A model is ready when its dense part has caught up and every partition has an owner that answers. */
function isModelReady(view: ClusterView, file: ModelFile, model: ServedModel | undefined): boolean {
  if (!model?.ready) return false;
  const map = view.mapOf(file.name);
  if (!map) return false;
  const ready = new Set(
    view.shards().flatMap(({ live, lease }) => {
      const entry = lease.models.find((candidate) => candidate.model === file.name);
      return live && entry && entry.partitions > 0 && entry.ready >= entry.partitions ? [lease.shard] : [];
    }),
  );
  return map.owners.every((owners) => owners.some((owner) => ready.has(map.shards[owner])));
}

function statusOf(options: ScoringCoreOptions, served: ReadonlyMap<string, ServedModel>): ClusterStatus {
  const { view, cluster } = options;
  const node = { scored: 0, batches: 0, queueRows: 0 };
  for (const model of served.values()) {
    node.scored += model.counts.scored;
    node.batches += model.counts.batches;
    node.queueRows += model.batcher.queueRows;
  }
  return {
    cluster,
    models: [...served.values()].map((model) => modelStatus(model, view)),
    shards: view.shards().map(({ lease, live }) => {
      const { shard, host, port, models } = lease;
      const sum = (of: (entry: (typeof models)[number]) => number) =>
        models.reduce((total, entry) => total + of(entry), 0);
      const staleness = models.map((entry) => entry.stalenessMs).filter((ms) => ms !== null);
      return {
        id: shard,
        address: `${host}:${port}`,
        live,
        ready: live && models.every((entry) => entry.ready >= entry.partitions),
        rows: sum((entry) => entry.rows),
        bytes: sum((entry) => entry.bytes),
        sequence: Math.max(0, ...models.map((entry) => entry.sequence)),
        stalenessMs: staleness.length > 0 ? Math.max(...staleness) : null,
      };
    }),
    node: { ...node, meanBatchRows: node.batches === 0 ? 0 : node.scored / node.batches },
  };
}

function modelStatus(model: ServedModel, view: ClusterView): ClusterStatus['models'][number] {
  const { file, versions, engine } = model.net;
  const counters = model.heads?.counters;
  return {
    name: file.name,
    version: versions.current.version,
    engine: engine.name,
    epoch: view.mapOf(file.name)?.epoch ?? 0,
    partitions: file.partitions ?? partitionsDefault,
    stalenessMs: model.counts.stalenessMs,
    learned: counters?.learned ?? 0,
    openImpressions: counters?.openImpressions ?? 0,
    rejected: counters?.rejectedOutcomes ?? 0,
  };
}
