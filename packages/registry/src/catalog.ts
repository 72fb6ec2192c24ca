/**
 * What may become of a catalog, as functions from one to the next; the registry writes what they give by compare-and-set.
 *
 *   wanted = (policy ∪ load ∪ what labels pointed at before − unload) ∪ what labels point at
 *
 * A label's former version stays loaded, so that a rollback finds it warm.
 */
import {
  isVersionLabel,
  type LabelMove,
  labelMovesKept,
  liveLabel,
  MillraceError,
  type VersionCatalog,
  type VersionLabel,
  type VersionPolicy,
  versionLabelsMax,
  versionNoteCharsMax,
  versionsMax,
} from '@millrace/protocol';

/** Of a model without versions: the newest one will be loaded once there is one. */
export function emptyCatalog(model: string): VersionCatalog {
  return {
    model,
    changes: 0,
    newest: 0,
    versions: [],
    labels: {},
    policy: { type: 'latest', count: 1 },
    load: [],
    unload: [],
    moves: [],
  };
}

/** Versions that every node is to have loaded, ascending. */
export function wantedVersions({
  versions,
  labels,
  policy,
  load,
  unload,
}: VersionCatalog): readonly number[] {
  const targets = Object.values(labels);
  const wanted = new Set([...versionsOfPolicy(versions, policy), ...load]);
  for (const { previous } of targets) if (previous !== null) wanted.add(previous);
  for (const version of unload) wanted.delete(version);
  for (const { version } of targets) wanted.add(version);
  return versions.filter((version) => wanted.has(version));
}

/** Labels that point at a version, in order of name. */
export function labelsOf({ labels }: VersionCatalog, version: number): readonly string[] {
  return Object.keys(labels)
    .filter((label) => labels[label].version === version)
    .sort();
}

/** @throws MILL_VERSION_UNKNOWN naming what there is. */
export function requireListed({ model, versions, labels }: VersionCatalog, version: number): void {
  if (versions.includes(version)) return;
  throw versionUnknown(model, `version ${version}`, { versions, labels: Object.keys(labels) });
}

export function versionUnknown(
  model: string,
  wanted: string,
  found: { readonly versions: readonly number[]; readonly labels: readonly string[] },
): MillraceError {
  const versions = [liveLabel, ...found.versions];
  const labels = [...found.labels].sort();
  return new MillraceError(
    'MILL_VERSION_UNKNOWN',
    `model "${model}" has no ${wanted}; there are versions ${versions.join(', ')} and ${labels.length === 0 ? 'no labels' : `labels ${labels.join(', ')}`}`,
    { details: { versions, labels } },
  );
}

/** Hands out the next number. @throws MILL_VERSION_INVALID when there are too many versions. */
export function withNumberTaken(catalog: VersionCatalog): VersionCatalog {
  refuseTooMany(catalog);
  return { ...catalog, newest: catalog.newest + 1 };
}

/** @throws MILL_VERSION_INVALID when others that were made meanwhile have filled the catalog. */
export function withVersion(catalog: VersionCatalog, version: number): VersionCatalog {
  refuseTooMany(catalog);
  return { ...catalog, versions: [...catalog.versions, version].sort((a, b) => a - b) };
}

export interface LabelChange {
  readonly label: string;
  readonly timeMs: number;
  /** Why; '' : nothing was said. */
  readonly reason: string;
  /** Where the label must point now for the change to be made; null: nowhere. Absent: wherever it points. */
  readonly from?: number | null;
}

/** @throws MILL_VERSION_UNKNOWN, MILL_VERSION_INVALID */
export function withLabel(
  catalog: VersionCatalog,
  change: LabelChange & { readonly version: number },
): VersionCatalog {
  const { label, version } = change;
  if (!isVersionLabel(label))
    throw invalid(
      `label: wanted a letter, then up to 39 letters, digits, _ and -, and not "${liveLabel}", found ${JSON.stringify(label)}`,
    );
  requireListed(catalog, version);
  const found = catalog.labels[label];
  requireFrom(catalog, change);
  if (found === undefined && Object.keys(catalog.labels).length >= versionLabelsMax)
    throw invalid(`cannot set label "${label}": "${catalog.model}" has ${versionLabelsMax}, the limit`);
  if (found?.version === version) return catalog;
  const target: VersionLabel = { version, previous: found?.version ?? null };
  return {
    ...catalog,
    labels: { ...catalog.labels, [label]: target },
    unload: without(catalog.unload, version),
    moves: moved(catalog, change, version),
  };
}

/** @throws MILL_VERSION_UNKNOWN when the label is not set. */
export function withoutLabel(catalog: VersionCatalog, change: LabelChange): VersionCatalog {
  targetOf(catalog, change.label);
  requireFrom(catalog, change);
  const { [change.label]: _gone, ...labels } = catalog.labels;
  return { ...catalog, labels, moves: moved(catalog, change, null) };
}

/**
 * Moves a label back to where it pointed before; the two change places.
 * @throws MILL_VERSION_UNKNOWN when it is not set, MILL_VERSION_INVALID when it pointed nowhere before.
 */
export function withRollback(catalog: VersionCatalog, change: LabelChange): VersionCatalog {
  const { previous } = targetOf(catalog, change.label);
  if (previous === null)
    throw invalid(
      `cannot roll label "${change.label}" of "${catalog.model}" back: it pointed nowhere before`,
    );
  return withLabel(catalog, { ...change, version: previous });
}

/**
 * @param keep  versions that stay loaded whatever it says, until it is set again; those that are gone are passed over.
 * @throws MILL_VERSION_UNKNOWN, MILL_VERSION_INVALID
 */
export function withPolicy(
  catalog: VersionCatalog,
  policy: VersionPolicy,
  keep: readonly number[] = [],
): VersionCatalog {
  if (policy.type === 'latest' && !(policy.count >= 0 && policy.count <= versionsMax))
    throw invalid(`policy.count: wanted 0 to ${versionsMax}, found ${policy.count}`);
  if (policy.type === 'specific') for (const version of policy.versions) requireListed(catalog, version);
  return withPolicyAlone({ ...catalog, policy }, keep);
}

/** It stays loaded when the policy moves on, too. @throws MILL_VERSION_UNKNOWN */
export function withLoad(catalog: VersionCatalog, version: number): VersionCatalog {
  const { load, unload } = catalog;
  requireListed(catalog, version);
  if (load.includes(version) && !unload.includes(version)) return catalog;
  return { ...catalog, unload: without(unload, version), load: [...without(load, version), version] };
}

/** @throws MILL_VERSION_UNKNOWN, MILL_VERSION_IN_USE while a label points at it. */
export function withUnload(catalog: VersionCatalog, version: number): VersionCatalog {
  requireListed(catalog, version);
  refuseLabelled(catalog, version, 'unload');
  const next = { ...catalog, load: without(catalog.load, version) };
  if (!wantedVersions(next).includes(version)) return next;
  return { ...next, unload: [...next.unload, version] };
}

/**
 * Without every loaded version that no label points at.
 * @param keep  versions that stay.
 * @throws MILL_VERSION_IN_USE when labels point at all of them, or all are to stay, MILL_UNSUPPORTED when nothing but the live line is loaded.
 */
export function withUnlabelledUnloaded(
  catalog: VersionCatalog,
  keep: readonly number[] = [],
): VersionCatalog {
  const wanted = wantedVersions(catalog);
  if (wanted.length === 0)
    throw new MillraceError(
      'MILL_UNSUPPORTED',
      `cannot unload model "${catalog.model}": its live line is always served, and no other version is loaded; stop sending it requests instead`,
    );
  const idle = wanted.filter((version) => labelsOf(catalog, version).length === 0 && !keep.includes(version));
  if (idle.length === 0)
    throw inUse(
      `cannot unload "${catalog.model}": labels point at every version that is loaded, or arms of experiments use it; move or unset them, or stop these first`,
    );
  return idle.reduce(withUnload, catalog);
}

/** What was loaded or unloaded by hand is forgotten: the policy says again. @param keep  versions that stay loaded all the same. */
export function withPolicyAlone(catalog: VersionCatalog, keep: readonly number[] = []): VersionCatalog {
  return { ...catalog, load: keep.filter((version) => catalog.versions.includes(version)), unload: [] };
}

/** @throws MILL_VERSION_UNKNOWN, MILL_VERSION_IN_USE while it is labelled or loaded. */
export function withoutVersion(catalog: VersionCatalog, version: number): VersionCatalog {
  requireListed(catalog, version);
  refuseLabelled(catalog, version, 'remove');
  if (wantedVersions(catalog).includes(version))
    throw inUse(`cannot remove version ${version} of "${catalog.model}": it is loaded; unload it first`);
  const { policy } = catalog;
  return {
    ...catalog,
    versions: without(catalog.versions, version),
    labels: Object.fromEntries(
      Object.entries(catalog.labels).map(([label, target]) => [
        label,
        target.previous === version ? { ...target, previous: null } : target,
      ]),
    ),
    policy: policy.type === 'specific' ? { ...policy, versions: without(policy.versions, version) } : policy,
    load: without(catalog.load, version),
    unload: without(catalog.unload, version),
  };
}

function refuseTooMany({ model, versions }: VersionCatalog): void {
  if (versions.length >= versionsMax)
    throw invalid(`cannot make a version of "${model}": it has ${versionsMax}, the limit; remove one first`);
}

function versionsOfPolicy(versions: readonly number[], policy: VersionPolicy): readonly number[] {
  switch (policy.type) {
    case 'all':
      return versions;
    case 'latest':
      return policy.count === 0 ? [] : versions.slice(-policy.count);
    case 'specific':
      return policy.versions;
  }
}

function targetOf({ model, versions, labels }: VersionCatalog, label: string): VersionLabel {
  if (Object.hasOwn(labels, label)) return labels[label];
  throw versionUnknown(model, `label ${JSON.stringify(label)}`, { versions, labels: Object.keys(labels) });
}

function requireFrom({ model, labels }: VersionCatalog, { label, from }: LabelChange): void {
  const now = labels[label]?.version ?? null;
  if (from === undefined || from === now) return;
  throw invalid(
    `label "${label}" of "${model}": wanted it at ${from ?? 'nothing'}, found it at ${now ?? 'nothing'}; somebody else has moved it`,
  );
}

function moved(
  { labels, moves }: VersionCatalog,
  { label, timeMs, reason }: LabelChange,
  to: number | null,
): readonly LabelMove[] {
  if (reason.length > versionNoteCharsMax)
    throw invalid(`reason: wanted at most ${versionNoteCharsMax} characters, found ${reason.length}`);
  const move: LabelMove = { label, from: labels[label]?.version ?? null, to, timeMs, reason };
  return [...moves, move].slice(-labelMovesKept);
}

function refuseLabelled(catalog: VersionCatalog, version: number, verb: string): void {
  const labels = labelsOf(catalog, version);
  if (labels.length === 0) return;
  throw inUse(
    `cannot ${verb} version ${version} of "${catalog.model}": ${labels.map((label) => `"${label}"`).join(', ')} points at it; move or unset that first`,
  );
}

function without(versions: readonly number[], version: number): readonly number[] {
  return versions.filter((other) => other !== version);
}

function invalid(message: string): MillraceError {
  return new MillraceError('MILL_VERSION_INVALID', message);
}

function inUse(message: string): MillraceError {
  return new MillraceError('MILL_VERSION_IN_USE', message);
}
