/**
 * The registry of versions: makes them, lists them, moves labels, says what nodes load. Every change of a catalog is a
 * compare-and-set, so any number of processes may use it at once.
 *
 *   make   number handed out → weights stored → record written → listed in the catalog
 *
 * So whatever a catalog lists is whole, and a maker that dies half way leaves a number that is never used.
 */
import {
  type DataRange,
  decodeVersionCatalog,
  decodeVersionRecord,
  encodeVersionCatalog,
  encodeVersionRecord,
  isMillraceError,
  jsonFrom,
  MillraceError,
  type ModelFile,
  type VersionCatalog,
  type VersionKind,
  type VersionMetrics,
  type VersionPolicy,
  type VersionRecord,
  type VersionSequences,
  versionBlobName,
  versionKey,
  versionNoteCharsMax,
} from '@millrace/protocol';
import type { Bus, Clock, Kv } from '@millrace/runtime';
import {
  emptyCatalog,
  type LabelChange,
  labelsOf,
  requireListed,
  wantedVersions,
  withLabel,
  withLoad,
  withNumberTaken,
  withoutLabel,
  withoutVersion,
  withPolicy,
  withPolicyAlone,
  withRollback,
  withUnlabelledUnloaded,
  withUnload,
  withVersion,
} from './catalog.ts';
import { versionFileFrom } from './version-file.ts';
import { getWeights, putWeights, sealOf } from './version-weights.ts';

/** A version with what its model's catalog says of it. */
export interface ModelVersion extends VersionRecord {
  readonly labels: readonly string[];
  /** Nodes have it loaded, or are about to. */
  readonly wanted: boolean;
}

/** The live line at one moment. */
export interface LiveLine {
  readonly file: ModelFile;
  /** float32[parameters + 3 · moments]; copied before the first await. */
  readonly weights: Float32Array;
  readonly sequences: VersionSequences;
  readonly data: DataRange;
  readonly metrics: VersionMetrics | null;
}

export interface VersionOptions {
  /** Release and commit of what makes it. */
  readonly code: string;
  readonly note?: string;
  /** Set to the new version once it is listed. */
  readonly labels?: readonly string[];
}

export interface NewVersion extends VersionOptions {
  readonly model: string;
  readonly kind: Exclude<VersionKind, 'taken'>;
  /** Version that it is made of; null: the live line, or nothing here. A derived one has its parent's sequences and data. */
  readonly parent: number | null;
  /** Default: the model's own. */
  readonly file?: unknown;
  /** float32, as the net of the file wants them; copied before the first await. */
  readonly weights: Float32Array;
  readonly metrics?: VersionMetrics | null;
  /** Where there is no parent to have them of. Default: none known. */
  readonly sequences?: VersionSequences;
  readonly data?: DataRange;
}

/** What is said of a label's move. */
export type LabelReason = Partial<Pick<LabelChange, 'reason' | 'from'>>;

/** Every method throws MILL_LOG_UNAVAILABLE, and MILL_OVERLOADED where others change the catalog faster than it can. */
export interface VersionRegistry {
  /** Ascending. */
  versions(model: string): Promise<readonly ModelVersion[]>;
  catalogOf(model: string): Promise<VersionCatalog>;
  /** @throws MILL_VERSION_UNKNOWN */
  versionOf(model: string, version: number): Promise<ModelVersion>;
  /** Freezes the live line. @throws MILL_VERSION_INVALID, MILL_STORE_UNAVAILABLE */
  takeVersion(line: LiveLine, options: VersionOptions): Promise<ModelVersion>;
  /** @throws MILL_MODEL_UNKNOWN, MILL_MODEL_INVALID, MILL_VERSION_INVALID, MILL_VERSION_UNKNOWN (the parent), MILL_STORE_UNAVAILABLE */
  addVersion(version: NewVersion): Promise<ModelVersion>;
  /** The caller's to keep. @throws MILL_VERSION_UNKNOWN, MILL_VERSION_DAMAGED, MILL_STORE_UNAVAILABLE */
  loadWeights(model: string, version: number): Promise<Float32Array>;
  /** Of a record that is at hand. */
  weightsOf(record: VersionRecord): Promise<Float32Array>;
  /** @throws MILL_VERSION_UNKNOWN, MILL_VERSION_INVALID: the name, or `from` is not where it points. */
  setLabel(model: string, label: string, version: number, why?: LabelReason): Promise<VersionCatalog>;
  /** @throws MILL_VERSION_UNKNOWN */
  unsetLabel(model: string, label: string, why?: LabelReason): Promise<VersionCatalog>;
  /** Back to where it pointed before. @throws MILL_VERSION_UNKNOWN, MILL_VERSION_INVALID */
  rollBackLabel(model: string, label: string, why?: LabelReason): Promise<VersionCatalog>;
  /**
   * What was loaded or unloaded by hand is forgotten.
   * @param keep  versions that stay loaded all the same. Default: none.
   * @throws MILL_VERSION_UNKNOWN, MILL_VERSION_INVALID
   */
  setPolicy(model: string, policy: VersionPolicy, keep?: readonly number[]): Promise<VersionCatalog>;
  /** @throws MILL_VERSION_UNKNOWN */
  load(model: string, version: number): Promise<VersionCatalog>;
  /** @throws MILL_VERSION_UNKNOWN, MILL_VERSION_IN_USE */
  unload(model: string, version: number): Promise<VersionCatalog>;
  /** Every loaded version that no label points at. @throws MILL_VERSION_IN_USE, MILL_UNSUPPORTED when there is none. */
  unloadUnlabelled(model: string, keep?: readonly number[]): Promise<VersionCatalog>;
  /** Forgets what was loaded and unloaded by hand, so that the policy says again. */
  loadByPolicy(model: string, keep?: readonly number[]): Promise<VersionCatalog>;
  /** Forgets a version and its weights. @throws MILL_VERSION_UNKNOWN, MILL_VERSION_IN_USE */
  remove(model: string, version: number): Promise<VersionCatalog>;
}

interface StoredCatalog {
  readonly catalog: VersionCatalog;
  /** 0: there is none. */
  readonly revision: number;
}

/** Pure: it may be called again. */
type CatalogChange = (catalog: VersionCatalog) => VersionCatalog;

/** Tries of a compare-and-set: losing so often means that something writes without end. */
const triesMax = 50;

/** @throws MILL_LOG_UNAVAILABLE, MILL_STORE_UNAVAILABLE */
export async function openVersionRegistry(bus: Bus, clock: Pick<Clock, 'now'>): Promise<VersionRegistry> {
  const kv = await bus.kv('versions');

  const catalogOf = async (model: string) => (await readCatalog(kv, model)).catalog;
  const recordOf = async (model: string, version: number): Promise<VersionRecord> => {
    const entry = await kv.get(versionKey(model, version));
    if (entry === null)
      throw new MillraceError('MILL_VERSION_DAMAGED', `version ${version} of "${model}" has no record`);
    return decodeVersionRecord(entry.value);
  };
  /** Catalogs as this registry last left them. */
  const left = new Map<string, StoredCatalog>();
  /** @returns null when others have changed it meanwhile. */
  const replace = async (stored: StoredCatalog, made: VersionCatalog): Promise<VersionCatalog | null> => {
    const catalog = { ...made, changes: stored.catalog.changes + 1 };
    const revision = await kv.putIf(made.model, encodeVersionCatalog(catalog), stored.revision);
    if (revision === null) return null;
    left.set(made.model, { catalog, revision });
    return catalog;
  };
  /**
   * A change of the catalog as this registry left it spares a question. Others may have changed it since: the compare-and-set says
   * so, and what is refused, or is so already, is judged by what is there now.
   */
  const changeLeft = async (model: string, next: CatalogChange): Promise<VersionCatalog | null> => {
    const stored = left.get(model);
    if (stored === undefined) return null;
    left.delete(model);
    let made: VersionCatalog;
    try {
      made = next(stored.catalog);
    } catch (error) {
      if (isMillraceError(error)) return null;
      throw error;
    }
    return made === stored.catalog ? null : replace(stored, made);
  };
  const change = async (model: string, next: CatalogChange): Promise<VersionCatalog> => {
    const changed = await changeLeft(model, next);
    if (changed !== null) return changed;
    for (let tries = 0; tries < triesMax; tries += 1) {
      const stored = await readCatalog(kv, model);
      const made = next(stored.catalog);
      if (made === stored.catalog) return made;
      const now = await replace(stored, made);
      if (now !== null) return now;
    }
    throw new MillraceError('MILL_OVERLOADED', `the versions of "${model}" change too fast to change them`);
  };
  const labelled = (
    model: string,
    label: string,
    { reason = '', from }: LabelReason,
    next: (catalog: VersionCatalog, change: LabelChange) => VersionCatalog,
  ) => {
    const move = { label, reason, timeMs: clock.now(), ...(from !== undefined && { from }) };
    return change(model, (catalog) => next(catalog, move));
  };
  const versionOf = async (model: string, version: number) => {
    const catalog = await catalogOf(model);
    requireListed(catalog, version);
    return withCatalog(catalog, await recordOf(model, version));
  };

  /** @param weights  this function's own. */
  const make = async (
    part: Omit<VersionRecord, 'format' | 'version' | 'weights' | 'code' | 'createdMs' | 'note'>,
    weights: Float32Array,
    { code, note = '', labels = [] }: VersionOptions,
  ): Promise<ModelVersion> => {
    if (note.length > versionNoteCharsMax)
      throw new MillraceError(
        'MILL_VERSION_INVALID',
        `note: wanted at most ${versionNoteCharsMax} characters, found ${note.length}`,
      );
    const { model } = part;
    const listed = (before: VersionCatalog, version: number) => {
      const timeMs = clock.now();
      return labels.reduce(
        (next, label) => withLabel(next, { label, version, timeMs, reason: note }),
        withVersion(before, version),
      );
    };
    const { newest: version } = await change(model, (before) => {
      const taken = withNumberTaken(before);
      // What is going to be refused is refused before weights are stored for it.
      listed(taken, taken.newest);
      return taken;
    });
    await putWeights(await bus.blobs('versions'), model, version, weights);
    const made = { code, createdMs: clock.now(), note };
    const record: VersionRecord = { format: 1, version, ...part, weights: sealOf(weights), ...made };
    await kv.putIf(versionKey(model, version), encodeVersionRecord(record), 0);
    const catalog = await change(model, (before) => listed(before, version));
    return withCatalog(catalog, record);
  };

  return {
    catalogOf,
    versionOf,
    async versions(model) {
      const catalog = await catalogOf(model);
      const records = await Promise.all(catalog.versions.map((version) => recordOf(model, version)));
      return records.map((record) => withCatalog(catalog, record));
    },
    async takeVersion({ file, weights, sequences, data, metrics }, options) {
      const own = weights.slice();
      const checked = versionFileFrom(file, file, own);
      const part = { model: file.name, parent: null, kind: 'taken', file: checked } as const;
      return make({ ...part, sequences, data, metrics }, own, options);
    },
    async addVersion({ model, kind, parent, weights, metrics = null, ...given }) {
      const own = weights.slice();
      const entry = await (await bus.kv('models')).get(model);
      if (entry === null)
        throw new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(model)}`);
      const modelFile = jsonFrom(entry.value) as ModelFile;
      const file = versionFileFrom(modelFile, given.file ?? modelFile, own);
      const from = parent === null ? null : await versionOf(model, parent);
      const sequences = given.sequences ?? from?.sequences ?? { dense: 0, gradients: [], events: 0 };
      const data = given.data ?? from?.data ?? { firstEventMs: null, lastEventMs: null, examples: 0 };
      return make({ model, kind, parent, file, sequences, data, metrics }, own, given);
    },
    async loadWeights(model, version) {
      requireListed(await catalogOf(model), version);
      return getWeights(await bus.blobs('versions'), await recordOf(model, version));
    },
    weightsOf: async (record) => getWeights(await bus.blobs('versions'), record),
    setLabel: (model, label, version, why = {}) =>
      labelled(model, label, why, (catalog, move) => withLabel(catalog, { ...move, version })),
    unsetLabel: (model, label, why = {}) => labelled(model, label, why, withoutLabel),
    rollBackLabel: (model, label, why = {}) => labelled(model, label, why, withRollback),
    setPolicy: (model, policy, keep) => change(model, (catalog) => withPolicy(catalog, policy, keep)),
    load: (model, version) => change(model, (catalog) => withLoad(catalog, version)),
    unload: (model, version) => change(model, (catalog) => withUnload(catalog, version)),
    unloadUnlabelled: (model, keep) => change(model, (catalog) => withUnlabelledUnloaded(catalog, keep)),
    loadByPolicy: (model, keep) => change(model, (catalog) => withPolicyAlone(catalog, keep)),
    async remove(model, version) {
      const catalog = await change(model, (before) => withoutVersion(before, version));
      await kv.delete(versionKey(model, version));
      await (await bus.blobs('versions')).delete(versionBlobName(model, version));
      return catalog;
    },
  };
}

function withCatalog(catalog: VersionCatalog, record: VersionRecord): ModelVersion {
  const { version } = record;
  return {
    ...record,
    labels: labelsOf(catalog, version),
    wanted: wantedVersions(catalog).includes(version),
  };
}

async function readCatalog(kv: Kv, model: string): Promise<StoredCatalog> {
  const entry = await kv.get(model);
  if (entry === null) return { catalog: emptyCatalog(model), revision: 0 };
  return { catalog: decodeVersionCatalog(entry.value), revision: entry.revision };
}
