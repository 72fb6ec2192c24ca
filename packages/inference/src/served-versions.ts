/**
 * The versions of one model on this node: loads what its catalog wants, sends requests where they are addressed, lets go of the rest.
 *
 *   wanted ─▶ weights read and checked ─▶ net opened ─▶ warmed up ─▶ in the routes ─▶ out of them ─▶ drained, given back
 *
 * Routes are one value, replaced by one assignment: a request is sent to one line, and every line has batches of its own. A
 * label goes on pointing at what it pointed at here until its new version can answer. What cannot be loaded is tried again
 * now and then; meanwhile everything else goes on.
 */
import {
  liveLabel,
  MillraceError,
  reasonFrom,
  type ServedVersion,
  type VersionAddress,
  type VersionCatalog,
  type VersionRecord,
} from '@millrace/protocol';
import { labelsOf, type VersionsView, versionUnknown, wantedVersions } from '@millrace/registry';
import type { Clock, Logger } from '@millrace/runtime';
import type { Batcher } from './batcher.ts';
import type { Scored, ScoreInput } from './scored.ts';

/** A line as requests see it. */
export interface ServedLine {
  /** Null: the live line. */
  readonly number: number | null;
  readonly engine: string;
  readonly batcher: Batcher<ScoreInput, Scored>;
  /** Sequence of the dense log that its weights are of. */
  readonly denseSequence: number;
}

export interface VersionLine extends ServedLine {
  readonly number: number;
  close(): Promise<void>;
}

export interface Route {
  readonly line: ServedLine;
  /** Label that led here; null: none. */
  readonly label: string | null;
}

export interface ServedVersions {
  /** @throws MILL_VERSION_UNKNOWN naming what there is, MILL_NOT_READY while it is being loaded or cannot be. */
  route(address: VersionAddress): Route;
  /** Those that the catalog lists, and how each stands here. */
  list(): readonly ServedVersion[];
  readonly catalog: VersionCatalog;
  /** Null: there is none. */
  recordOf(version: number): VersionRecord | null;
  /** True once everything that was wanted at the start is loaded, or has failed to be. */
  readonly settled: boolean;
  /** Lines of versions that answer, for sums over all of them. */
  readonly lines: Iterable<VersionLine>;
  /** Resolves once what the catalog wants now is loaded, or has failed to be. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

export interface ServedVersionsOptions {
  readonly model: string;
  readonly view: VersionsView;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly live: ServedLine;
  /** A version, warmed up. */
  readonly open: (record: VersionRecord) => Promise<VersionLine>;
  readonly onFailed: (error: Error) => void;
}

/** What requests without an address follow once it is set. */
const defaultLabel = 'stable';
/** A store that was out of reach is back by then, or is asked again. */
const retryMs = 10_000;

interface Routes {
  readonly byNumber: ReadonlyMap<number, VersionLine>;
  /** Null: set, and nothing here can answer for it yet. */
  readonly byLabel: ReadonlyMap<string, VersionLine | null>;
  readonly unaddressed: Route;
}

export function serveVersions(options: ServedVersionsOptions): ServedVersions {
  const { model, view, clock, logger, live } = options;
  const loaded = new Map<number, VersionLine>();
  const failed = new Map<number, string>();
  const toLive: Route = { line: live, label: null };
  let routes: Routes = { byNumber: new Map(), byLabel: new Map(), unaddressed: toLive };
  let work: Promise<void> = Promise.resolve();
  let settled = wantedVersions(view.catalogOf(model)).length === 0;
  let closed = false;
  let retry = { cancel() {} };

  const publish = () => {
    const { labels } = view.catalogOf(model);
    const byLabel = new Map<string, VersionLine | null>();
    for (const [label, { version, previous }] of Object.entries(labels)) {
      const served = routes.byLabel.get(label)?.number ?? previous;
      byLabel.set(label, loaded.get(version) ?? (served === null ? null : (loaded.get(served) ?? null)));
    }
    const line = byLabel.get(defaultLabel) ?? null;
    const unaddressed = line === null ? toLive : { line, label: defaultLabel };
    routes = { byNumber: new Map(loaded), byLabel, unaddressed };
  };

  const load = async (version: number) => {
    try {
      const record = view.recordOf(model, version);
      if (record === null)
        throw new MillraceError('MILL_VERSION_DAMAGED', `version ${version} of "${model}" has no record`);
      loaded.set(version, await options.open(record));
      failed.delete(version);
      logger.info({ model, version }, 'version loaded');
    } catch (error) {
      failed.set(version, reasonFrom(error));
      logger.error({ model, version, reason: reasonFrom(error) }, 'version not loaded');
    }
  };

  const letGo = async (version: number, line: VersionLine) => {
    loaded.delete(version);
    publish();
    await line.close();
    logger.info({ model, version }, 'version unloaded');
  };

  const step = async () => {
    if (closed) return;
    for (const version of byUrgency(view.catalogOf(model))) {
      if (closed) return;
      // The catalog may have changed while others were loaded.
      if (loaded.has(version) || !wantedVersions(view.catalogOf(model)).includes(version)) continue;
      await load(version);
      publish();
    }
    const wanted = new Set(wantedVersions(view.catalogOf(model)));
    const pointedAt = new Set([...routes.byLabel.values()].map((line) => line?.number));
    for (const [version, line] of [...loaded])
      if (!wanted.has(version) && !pointedAt.has(version)) await letGo(version, line);
    for (const version of failed.keys()) if (!wanted.has(version)) failed.delete(version);
    settled = true;
    retry.cancel();
    if (failed.size > 0 && !closed) retry = clock.setTimer(retryMs, () => void reconcile());
  };

  const reconcile = () => {
    work = work.then(step).catch(options.onFailed);
    return work;
  };
  const stopListening = view.onChange((changed) => {
    if (changed !== model) return;
    // Among versions that are loaded a label moves at once; it waits for no other version's loading.
    publish();
    void reconcile();
  });
  publish();
  void reconcile();

  const named = () => {
    const { versions, labels } = view.catalogOf(model);
    return { versions, labels: Object.keys(labels) };
  };
  const byNumber = (version: number): Route => {
    const line = routes.byNumber.get(version);
    if (line !== undefined) return { line, label: null };
    const catalog = view.catalogOf(model);
    if (!catalog.versions.includes(version)) throw versionUnknown(model, `version ${version}`, named());
    const state = stateOf(version, catalog);
    if (state.state !== 'UNLOADED') throw notReady(model, version, state.reason);
    throw new MillraceError(
      'MILL_VERSION_UNKNOWN',
      `version ${version} of "${model}" is not loaded; those that are: ${[liveLabel, ...loaded.keys()].join(', ')}; load it, or change the policy`,
    );
  };
  const byLabel = (label: string): Route => {
    if (label === liveLabel) return { line: live, label };
    const line = routes.byLabel.get(label);
    if (line === undefined) throw versionUnknown(model, `label ${JSON.stringify(label)}`, named());
    if (line !== null) return { line, label };
    const { version } = view.catalogOf(model).labels[label];
    throw notReady(model, version, failed.get(version) ?? '');
  };
  const stateOf = (version: number, catalog: VersionCatalog): Pick<ServedVersion, 'state' | 'reason'> => {
    if (loaded.has(version)) return { state: 'READY', reason: '' };
    const reason = failed.get(version);
    if (reason !== undefined) return { state: 'FAILED', reason };
    return { state: wantedVersions(catalog).includes(version) ? 'LOADING' : 'UNLOADED', reason: '' };
  };

  return {
    route({ version, label }) {
      if (label !== undefined) return byLabel(label);
      if (version === undefined) return routes.unaddressed;
      return version === liveLabel ? { line: live, label: null } : byNumber(version);
    },
    list() {
      const catalog = view.catalogOf(model);
      return catalog.versions.map((version) => ({
        version,
        labels: labelsOf(catalog, version),
        ...stateOf(version, catalog),
      }));
    },
    get catalog() {
      return view.catalogOf(model);
    },
    recordOf: (version) => view.recordOf(model, version),
    get settled() {
      return settled;
    },
    get lines() {
      return loaded.values();
    },
    reconcile,
    async close() {
      closed = true;
      stopListening();
      retry.cancel();
      await work;
      for (const line of loaded.values()) await line.close();
    },
  };
}

/** Wanted versions, those with labels first. */
function byUrgency(catalog: VersionCatalog): readonly number[] {
  const wanted = wantedVersions(catalog);
  const labelled = new Set(Object.values(catalog.labels).map(({ version }) => version));
  return [...wanted.filter((v) => labelled.has(v)), ...wanted.filter((v) => !labelled.has(v)).reverse()];
}

function notReady(model: string, version: number, reason: string): MillraceError {
  return new MillraceError(
    'MILL_NOT_READY',
    reason === ''
      ? `version ${version} of "${model}" is being loaded`
      : `version ${version} of "${model}" could not be loaded yet: ${reason}`,
  );
}
