/**
 * Changes of versions as the faces ask for them. Each is written to the registry, for every node; it is answered once this one
 * acts on it, so that whoever asks the same node next finds it done.
 */
import { type ExperimentsView, type TargetsInUse, targetsInUse } from '@millrace/experiments';
import {
  MillraceError,
  type SetLabelRequest,
  type TakeVersionRequest,
  type TakeVersionResponse,
  type VersionCatalog,
  type VersionListing,
  type VersionPolicy,
  type VersionRecord,
  type VersionsResponse,
} from '@millrace/protocol';
import type { VersionRegistry, VersionsView } from '@millrace/registry';
import type { Bus, Clock } from '@millrace/runtime';
import { liveLineOf } from './live-line.ts';
import { untilSeen } from './own-write.ts';
import type { ServedModel } from './served-model.ts';

/** Every method throws MILL_MODEL_UNKNOWN and MILL_LOG_UNAVAILABLE, and what the registry's method of its name throws. */
export interface VersionControl {
  list(model: string): VersionsResponse;
  record(model: string, version: number): Promise<VersionRecord>;
  /** @throws MILL_NOT_READY until the live line has caught up. */
  take(model: string, request: TakeVersionRequest): Promise<TakeVersionResponse>;
  setLabel(model: string, label: string, request: SetLabelRequest): Promise<VersionsResponse>;
  unsetLabel(model: string, label: string, reason?: string): Promise<VersionsResponse>;
  rollBackLabel(model: string, label: string, reason?: string): Promise<VersionsResponse>;
  setPolicy(model: string, policy: VersionPolicy): Promise<VersionsResponse>;
  /** Resolves once it is loaded here. @throws MILL_NOT_READY when it could not be. */
  load(model: string, version: number): Promise<VersionsResponse>;
  unload(model: string, version: number): Promise<VersionsResponse>;
  unloadUnlabelled(model: string): Promise<VersionsResponse>;
  loadByPolicy(model: string): Promise<VersionsResponse>;
  remove(model: string, version: number): Promise<VersionsResponse>;
}

export interface VersionControlOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly code: () => string;
  readonly registry: () => Promise<VersionRegistry>;
  readonly view: () => Promise<VersionsView>;
  readonly modelNamed: (model: string) => ServedModel;
  readonly readyModel: (model: string) => ServedModel;
  /** What they score with is not taken from under them. */
  readonly experiments: () => Promise<ExperimentsView>;
}

export function createVersionControl(options: VersionControlOptions): VersionControl {
  const { bus, clock, modelNamed } = options;
  const list = (name: string): VersionsResponse => {
    const { versions } = modelNamed(name);
    const { policy, labels, moves } = versions.catalog;
    const listed = versions.list().flatMap((served): VersionListing[] => {
      const record = versions.recordOf(served.version);
      if (record === null) return [];
      const { format: _format, model: _model, file: _file, ...rest } = record;
      return [{ ...rest, ...served }];
    });
    return { model: name, policy, labels, moves, versions: listed };
  };
  /** Makes a change and waits until this node has seen it and acted on it. */
  const changed = async (
    name: string,
    change: (registry: VersionRegistry) => Promise<VersionCatalog>,
  ): Promise<VersionsResponse> => {
    const { versions } = modelNamed(name);
    const catalog = await change(await options.registry());
    const view = await options.view();
    await untilSeen(view, clock, name, () => view.catalogOf(name).changes >= catalog.changes);
    await versions.reconcile();
    return list(name);
  };
  const inUse = async (name: string): Promise<TargetsInUse> =>
    targetsInUse((await options.experiments()).catalogOf(name));
  /** Versions that stay loaded, as experiments score with them. */
  const kept = async (name: string) => [...(await inUse(name)).versions.keys()];

  return {
    list,
    async record(name, version) {
      modelNamed(name);
      const {
        labels: _labels,
        wanted: _wanted,
        ...record
      } = await (await options.registry()).versionOf(name, version);
      return record;
    },
    async take(name, request) {
      const model = options.readyModel(name);
      const registry = await options.registry();
      const { version } = await registry.takeVersion(await liveLineOf(bus, model), {
        ...request,
        code: options.code(),
      });
      return { ...(await changed(name, () => registry.catalogOf(name))), version };
    },
    setLabel: (name, label, { version, ...why }) =>
      changed(name, (registry) => registry.setLabel(name, label, version, why)),
    async unsetLabel(name, label, reason = '') {
      const who = (await inUse(name)).labels.get(label);
      if (who !== undefined) throw usedBy(who, `unset label "${label}"`, name);
      return changed(name, (registry) => registry.unsetLabel(name, label, { reason }));
    },
    rollBackLabel: (name, label, reason = '') =>
      changed(name, (registry) => registry.rollBackLabel(name, label, { reason })),
    async setPolicy(name, policy) {
      const keep = await kept(name);
      return changed(name, (registry) => registry.setPolicy(name, policy, keep));
    },
    async load(name, version) {
      const answer = await changed(name, (registry) => registry.load(name, version));
      const { state, reason } = answer.versions.find((listing) => listing.version === version) ?? {
        state: 'LOADING',
        reason: '',
      };
      if (state === 'READY') return answer;
      throw new MillraceError(
        'MILL_NOT_READY',
        `version ${version} of "${name}" is not loaded: ${reason || state}`,
      );
    },
    async unload(name, version) {
      const who = (await inUse(name)).versions.get(version);
      if (who !== undefined) throw usedBy(who, `unload version ${version}`, name);
      return changed(name, (registry) => registry.unload(name, version));
    },
    async unloadUnlabelled(name) {
      const keep = await kept(name);
      return changed(name, (registry) => registry.unloadUnlabelled(name, keep));
    },
    async loadByPolicy(name) {
      const keep = await kept(name);
      return changed(name, (registry) => registry.loadByPolicy(name, keep));
    },
    remove: (name, version) => changed(name, (registry) => registry.remove(name, version)),
  };
}

function usedBy(who: string, what: string, model: string): MillraceError {
  return new MillraceError(
    'MILL_VERSION_IN_USE',
    `cannot ${what} of "${model}": ${who} scores with it; stop the experiment, or give the arm no units, first`,
  );
}
