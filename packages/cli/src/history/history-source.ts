/** What a command needs of a cluster to look at its past: its logs, its snapshots, and who owns what now. */

import { MillraceError, type ModelFile } from '@millrace/protocol';
import type { Bus, ClusterView } from '@millrace/runtime';
import type { Archive, FoldId, PartitionHistoryOptions } from '@millrace/snapshot';

export interface HistorySource {
  readonly bus: Bus;
  /** Null where nobody shares snapshots. */
  readonly archive: Archive | null;
  readonly view: ClusterView;
  /** Snapshots that were found to be damaged so far, as `<store>: <path>: <reason>`. */
  readonly damaged: readonly string[];
}

/** What folds of partitions take of it. */
export function foldsOf({ bus, archive }: HistorySource): Pick<PartitionHistoryOptions, 'bus' | 'archive'> {
  return { bus, archive };
}

/** True when snapshots of a fold are shared. @throws MILL_STORE_UNAVAILABLE */
export async function hasSnapshots({ archive }: HistorySource, of: FoldId): Promise<boolean> {
  return archive !== null && (await archive.list('shared', of)).length > 0;
}

/** The model of that name, or the only one. @throws MILL_MODEL_UNKNOWN */
export function modelIn({ view }: HistorySource, name: string | undefined): ModelFile {
  const files = [...view.models.values()];
  if (name === undefined && files.length === 1) return files[0];
  const file = name === undefined ? undefined : view.models.get(name);
  if (file) return file;
  const known = files.map((each) => each.name).join(', ') || 'none';
  throw new MillraceError(
    'MILL_MODEL_UNKNOWN',
    name === undefined
      ? `there are ${files.length} models (${known}): name one with --model`
      : `there is no model ${JSON.stringify(name)}; there are: ${known}`,
  );
}
