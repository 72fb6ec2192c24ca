/**
 * The first block of a snapshot says what follows it. Envelope "MSH1" (protocol/envelope.ts) without a body, metadata a map:
 *
 *   model        name                 fold      partition number, or "dense"
 *   fingerprint  of the model file    sequence  log sequence that the state is the fold of
 *   base         sequence of the snapshot that this one changes; null: it stands alone
 *   producers    [[name, last applied sequence], …], all of them, also in a delta
 *   counts       { applied, duplicates, rejected, … }, whole, also in a delta
 *   tables       [[name, dim, state floats, rows in here, rows of the state], …] of a partition; where a table admits or
 *                expires, behind these: [keys that went, words of its admission, hash at which its sweep goes on, most
 *                rows since that passed 0]
 *   eventTimeMs  newest event time of the log, Unix ms; only where a table expires
 *   floats       [weights, optimizer state] of a dense fold
 *   requires     names of what a reader must understand beyond this list; one that does not know a name refuses the snapshot:
 *                "admission" and "expiry" where a table has such
 *
 * Later releases add properties; readers pass over those they do not know, but for the names in `requires`.
 */
import {
  isMillraceError,
  MillraceError,
  openEnvelope,
  reasonFrom,
  type Sequence,
  sealEnvelope,
} from '@millrace/protocol';
import type { FoldId, SnapshotName } from './snapshot-name.ts';

const magic = 'MSH1';
/** What this release understands beyond the list above. */
const understood: ReadonlySet<unknown> = new Set(['admission', 'expiry']);

export interface TableHeader {
  readonly name: string;
  readonly dim: number;
  readonly stateFloats: number;
  /** Rows that the snapshot holds: all, or those that changed since the base. */
  readonly rows: number;
  /** Rows that the table has once the snapshot is in it. */
  readonly rowsAfter: number;
  /** Keys that went since the base and are named. */
  readonly gone: number;
  /** Words of what its admission remembers. */
  readonly admissionWords: number;
  readonly sweep: { readonly at: number; readonly rows: number };
}

export interface SnapshotHeader extends FoldId, SnapshotName {
  readonly producers: readonly (readonly [string, Sequence])[];
  readonly counts: Readonly<Record<string, number>>;
  /** Of a partition; empty for a dense fold. */
  readonly tables: readonly TableHeader[];
  /** Of a dense fold: floats of the weights and of the optimizer state; both 0 for a partition. */
  readonly floats: readonly [weights: number, state: number];
  /** 0: not known. */
  readonly eventTimeMs: number;
  readonly requires: readonly string[];
}

/** One block, the caller's to keep. */
export function encodeHeader(header: SnapshotHeader): Uint8Array {
  const { model, fingerprint, fold, sequence, base, producers, counts, floats } = header;
  const { eventTimeMs, requires } = header;
  const tables = header.tables.map((table) => {
    const { name, dim, stateFloats, rows, rowsAfter, gone, admissionWords, sweep } = table;
    const form = [name, dim, stateFloats, rows, rowsAfter];
    return requires.length === 0 ? form : [...form, gone, admissionWords, sweep.at, sweep.rows];
  });
  const time = requires.includes('expiry') ? { eventTimeMs } : {};
  const metadata = { model, fingerprint, fold, sequence, base, producers, counts, tables, floats, ...time };
  return sealEnvelope(magic, { ...metadata, requires }, []);
}

/** Reads a header. Throws MILL_SNAPSHOT_INVALID. */
export function decodeHeader(block: Uint8Array): SnapshotHeader {
  const { metadata, body } = openBlock(magic, block);
  if (!isMap(metadata) || body.length > 0) throw invalid('a header of one map');
  const { model, fingerprint, fold, sequence, base, producers, counts, tables, floats, requires } = metadata;
  const { eventTimeMs = 0 } = metadata;
  if (typeof model !== 'string' || !isCount(fingerprint) || !(fold === 'dense' || isCount(fold)))
    throw invalid('model, fingerprint and fold');
  if (!isCount(sequence) || !(base === null || (isCount(base) && base < sequence)))
    throw invalid('a sequence, and a base below it');
  if (!Array.isArray(producers) || !producers.every(isProducer)) throw invalid('producers');
  if (!isMap(counts) || !Object.values(counts).every(isCount)) throw invalid('counts');
  if (!Array.isArray(tables) || !isFloats(floats)) throw invalid('tables and floats');
  if (!isCount(eventTimeMs)) throw invalid('an event time');
  if (!Array.isArray(requires)) throw invalid('what is required');
  const unknown = (requires as unknown[]).filter((name) => !understood.has(name));
  if (unknown.length > 0)
    throw invalid(`what this release understands, found ${unknown.join(', ')} of a newer one`);
  return {
    model,
    fingerprint,
    fold,
    sequence,
    base,
    producers,
    counts: counts as Record<string, number>,
    tables: (tables as unknown[]).map(tableFrom),
    floats,
    eventTimeMs,
    requires: requires as string[],
  };
}

/** An envelope's parts. Throws MILL_SNAPSHOT_INVALID where it is damaged. */
export function openBlock(kind: string, block: Uint8Array): { metadata: unknown; body: Uint8Array } {
  try {
    return openEnvelope(kind, block);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    throw new MillraceError('MILL_SNAPSHOT_INVALID', reasonFrom(error), { cause: error });
  }
}

export function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_SNAPSHOT_INVALID', `cannot read a snapshot: wanted ${wanted}`);
}

/** True for an integer from 0 to 2^53 − 1. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function tableFrom(entry: unknown): TableHeader {
  const [name, ...numbers] = Array.isArray(entry) ? (entry as unknown[]) : [];
  const [dim, stateFloats, rows, rowsAfter, gone = 0, admissionWords = 0, at = 0, swept = 0] = numbers;
  const areCounts = isCount(dim) && isCount(stateFloats) && isCount(rows) && isCount(rowsAfter);
  if (typeof name !== 'string' || !areCounts || rows > rowsAfter)
    throw invalid('name, floats and rows of each table');
  if (!isCount(gone) || !isCount(admissionWords) || !isCount(at) || !isCount(swept))
    throw invalid('what of each table comes and goes');
  return { name, dim, stateFloats, rows, rowsAfter, gone, admissionWords, sweep: { at, rows: swept } };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isProducer(value: unknown): value is readonly [string, number] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isCount(value[1]);
}

function isFloats(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}
