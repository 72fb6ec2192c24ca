/**
 * Names of snapshots in a store:
 *
 *   <model>/<fingerprint>/<fold>/<sequence>-full
 *   <model>/<fingerprint>/<fold>/<sequence>-on-<base sequence>
 *
 * fold is a partition's number or `dense`; fingerprint is 8 hexadecimal digits, sequences 16 decimal ones, so that names of
 * one fold sort by sequence. Whoever takes a snapshot of one fold at one sequence writes the same state, so owners of a
 * partition share a store without knowing of each other.
 */
import type { Sequence } from '@millrace/protocol';

/** A fold of which there are snapshots. */
export interface FoldId {
  readonly model: string;
  readonly fingerprint: number;
  readonly fold: number | 'dense';
}

export interface SnapshotName {
  readonly sequence: Sequence;
  /** Sequence of the snapshot that this one builds on; null: it stands alone. */
  readonly base: Sequence | null;
}

/** What the names of all snapshots of a fold begin with. */
export function snapshotPrefix({ model, fingerprint, fold }: FoldId): string {
  return `${model}/${fingerprint.toString(16).padStart(8, '0')}/${fold}/`;
}

export function snapshotPath(of: FoldId, { sequence, base }: SnapshotName): string {
  const end = base === null ? 'full' : `on-${digits(base)}`;
  return `${snapshotPrefix(of)}${digits(sequence)}-${end}`;
}

/** What a path says, null when it is no snapshot of this fold. */
export function snapshotNameFrom(of: FoldId, path: string): SnapshotName | null {
  const prefix = snapshotPrefix(of);
  if (!path.startsWith(prefix)) return null;
  const match = /^(\d{16})-(?:full|on-(\d{16}))$/.exec(path.slice(prefix.length));
  if (match === null) return null;
  return { sequence: Number(match[1]), base: match[2] === undefined ? null : Number(match[2]) };
}

function digits(sequence: Sequence): string {
  return String(sequence).padStart(16, '0');
}
