/**
 * Versions of a model: frozen dense weights that are served over live rows. Bucket mill-versions, JSON:
 *
 *   <model>            VersionCatalog   which versions there are, what labels point at, what nodes load; compare-and-set
 *   <model>.<version>  VersionRecord    where one comes from; written once, before the catalog names it
 *
 * Object store mill-versions, `<model>/<version>`: float32 little-endian, the dense weights of the record's file (the net's
 * parameters, then count, mean and M2 of each field with running moments), sealed by the SHA-256 in the record.
 *
 * Numbers ascend and are never used again. A number that the catalog has handed out and does not list is of a version that
 * was never finished, or is gone.
 */
import { versionLabelsMax, versionsMax } from './limits.ts';
import type { Quality } from './measures.ts';
import type { ModelFile } from './model-file.ts';
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, isCount, isMap, readRecord, recordInvalid } from './record-checks.ts';

/** taken: the live line as it was; derived: made of its parent (pruned, quantised, distilled); imported: made elsewhere. */
export const versionKinds = ['taken', 'derived', 'imported'] as const;
export type VersionKind = (typeof versionKinds)[number];

/** What names the line that the updater goes on training; it is always served and is no label that could be moved. */
export const liveLabel = 'live';

const labelPattern = /^[A-Za-z][A-Za-z0-9_-]{0,39}$/;

/** True when `text` can be a label: a letter, then up to 39 letters, digits, `_` and `-`; and not `live`. */
export function isVersionLabel(text: string): boolean {
  return labelPattern.test(text) && text !== liveLabel;
}

/** Positions in the logs that the weights were learned up to; a derived version has those of its parent. */
export interface VersionSequences {
  /** Sequence of the dense log that the weights are the fold of; 0: none was applied. */
  readonly dense: number;
  /** Newest block of each partition as its updater told last; empty: not told. */
  readonly gradients: readonly number[];
  /** Newest event that was learned from; 0: not told. */
  readonly events: number;
}

/** Events that the weights learned from. */
export interface DataRange {
  /** Time of the oldest event that the log still has, and of the newest that was learned, Unix ms; null: not known. */
  readonly firstEventMs: number | null;
  readonly lastEventMs: number | null;
  /** Examples learned since the model was created. */
  readonly examples: number;
}

/** How well the line did when it was taken, as its updater told: by window (measures.ts). */
export type VersionMetrics = Readonly<Record<'minute' | 'hour' | 'start', Quality>>;

export interface VersionRecord {
  /** Of this layout. */
  readonly format: 1;
  readonly model: string;
  /** 1, 2, 3, … */
  readonly version: number;
  /** Version that it was made of; null: the live line, or nothing here. */
  readonly parent: number | null;
  readonly kind: VersionKind;
  /** Tables and features are the model's; the net may differ. */
  readonly file: ModelFile;
  readonly weights: { readonly floats: number; readonly sha256: string };
  readonly sequences: VersionSequences;
  readonly data: DataRange;
  /** Null: nobody measured. */
  readonly metrics: VersionMetrics | null;
  /** Release and commit of what made it. */
  readonly code: string;
  readonly createdMs: number;
  readonly note: string;
}

/** Which versions nodes load beside those that have labels; `live` is always served. */
export type VersionPolicy =
  | { readonly type: 'latest'; readonly count: number }
  | { readonly type: 'all' }
  | { readonly type: 'specific'; readonly versions: readonly number[] };

export interface VersionLabel {
  readonly version: number;
  /** Where it pointed before, kept loaded so that a rollback is one move; null: nowhere, or that version is gone. */
  readonly previous: number | null;
}

/** One move of a label. */
export interface LabelMove {
  readonly label: string;
  /** Null: it was not set, or is not any more. */
  readonly from: number | null;
  readonly to: number | null;
  readonly timeMs: number;
  /** Why, in words; a guard says what it saw. */
  readonly reason: string;
}

export interface VersionCatalog {
  readonly model: string;
  /** How often it was changed, so that a reader knows whether it has seen a change. */
  readonly changes: number;
  /** The highest number handed out so far. */
  readonly newest: number;
  /** Ascending. */
  readonly versions: readonly number[];
  readonly labels: Readonly<Record<string, VersionLabel>>;
  readonly policy: VersionPolicy;
  /** Loaded, or not loaded, whatever the policy says. */
  readonly load: readonly number[];
  readonly unload: readonly number[];
  /** The newest label moves, oldest first. */
  readonly moves: readonly LabelMove[];
}

/** Key of a record in the bucket. */
export function versionKey(model: string, version: number): string {
  return `${model}.${version}`;
}

/** Name of the weights in the object store. */
export function versionBlobName(model: string, version: number): string {
  return `${model}/${version}`;
}

export function encodeVersionRecord(record: VersionRecord): Uint8Array {
  return jsonBytes(record);
}

/** Reads and checks a record; the model file in it is the reader's to check. Throws MILL_RECORD_INVALID. */
export function decodeVersionRecord(bytes: Uint8Array): VersionRecord {
  const what = 'record of a version';
  const value = readRecord(what, () => jsonFrom(bytes));
  const record = checkedRecord<Omit<VersionRecord, 'metrics'>>(what, value, {
    format: 'count',
    model: 'text',
    version: 'count',
    parent: 'number or null',
    kind: 'text',
    file: 'map',
    weights: 'map',
    sequences: 'map',
    data: 'map',
    code: 'text',
    createdMs: 'number',
    note: 'text',
  }) as VersionRecord;
  if (record.format !== 1) throw recordInvalid(what, 'format 1', String(record.format));
  if (!versionKinds.includes(record.kind))
    throw recordInvalid(what, `kind: ${versionKinds.join(', ')}`, record.kind);
  checkedRecord<VersionRecord['weights']>(what, record.weights, { floats: 'count', sha256: 'text' });
  checkedRecord<VersionSequences>(what, record.sequences, {
    dense: 'count',
    gradients: 'counts',
    events: 'count',
  });
  checkedRecord<DataRange>(what, record.data, {
    firstEventMs: 'number or null',
    lastEventMs: 'number or null',
    examples: 'count',
  });
  const { metrics } = record;
  if (
    metrics !== null &&
    (!isMap(metrics) || !['minute', 'hour', 'start'].every((name) => isMap(metrics[name as 'hour'])))
  )
    throw recordInvalid(what, 'metrics: maps by window, or null', 'another value');
  return record;
}

export function encodeVersionCatalog(catalog: VersionCatalog): Uint8Array {
  return jsonBytes(catalog);
}

/** Reads and checks a catalog. Throws MILL_RECORD_INVALID. */
export function decodeVersionCatalog(bytes: Uint8Array): VersionCatalog {
  const what = 'catalog of versions';
  const value = readRecord(what, () => jsonFrom(bytes));
  const catalog = checkedRecord<VersionCatalog>(what, value, {
    model: 'text',
    changes: 'count',
    newest: 'count',
    versions: 'counts',
    labels: 'map',
    policy: 'map',
    load: 'counts',
    unload: 'counts',
    moves: 'list',
  });
  if (catalog.versions.length > versionsMax)
    throw recordInvalid(what, `at most ${versionsMax} versions`, String(catalog.versions.length));
  const labels = Object.entries(catalog.labels);
  if (labels.length > versionLabelsMax)
    throw recordInvalid(what, `at most ${versionLabelsMax} labels`, String(labels.length));
  for (const [label, target] of labels) {
    if (!isVersionLabel(label)) throw recordInvalid(what, 'labels', 'another text');
    checkedRecord<VersionLabel>(what, target, { version: 'count', previous: 'number or null' });
  }
  for (const move of catalog.moves)
    checkedRecord<LabelMove>(what, move, {
      label: 'text',
      from: 'number or null',
      to: 'number or null',
      timeMs: 'number',
      reason: 'text',
    });
  const { policy } = catalog;
  const sound =
    policy.type === 'all' ||
    (policy.type === 'latest' && isCount(policy.count)) ||
    (policy.type === 'specific' && Array.isArray(policy.versions) && policy.versions.every(isCount));
  if (!sound) throw recordInvalid(what, 'policy: latest, all or specific', 'another');
  return catalog;
}
