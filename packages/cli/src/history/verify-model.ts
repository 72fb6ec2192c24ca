/**
 * Compares what owners hold with what their log gives. For each partition: every owner tells sequence and hash of its
 * state; the log is folded here, from the oldest snapshot that is kept (or from nothing), through the sequence of each, and
 * hashed there. Owners go on meanwhile, which changes nothing: equal is meant at equal sequence. Folding once more from the
 * newest snapshot must give the same state, which proves the snapshots.
 */
import { denseHash, fingerprintOf, partitionHash, partitionRows } from '@millrace/core';
import { compileNet, initialDense } from '@millrace/model';
import {
  denseSubject,
  type ErrorCode,
  isMillraceError,
  MillraceError,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
  type Sequence,
} from '@millrace/protocol';
import { type FoldId, foldDenseAt, foldPartitionAt, mapFew, partitionIdentity } from '@millrace/snapshot';
import { foldsOf, type HistorySource, hasSnapshots } from './history-source.ts';
import type { OwnerAnswer, OwnerInspector } from './inspect-owners.ts';

export interface Difference {
  readonly model: string;
  readonly partition: number | 'dense';
  /** The shard whose state differs; null when it is not a matter of one. */
  readonly shard: string | null;
  readonly sequence: Sequence;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface ModelVerdict {
  readonly model: string;
  readonly partitions: number;
  /** Shards whose state was compared. */
  readonly owners: readonly string[];
  /** States of owners that were compared with the fold. */
  readonly compared: number;
  /** Folded here, in all partitions. */
  readonly rows: number;
  /** Highest sequence that was compared. */
  readonly sequence: Sequence;
  readonly dense: { readonly sequence: Sequence; readonly compared: 'snapshots' | 'nothing' };
  readonly differences: readonly Difference[];
  /** Owners that could not be compared, in words; another owner of the partition was. */
  readonly notes: readonly string[];
}

export interface VerifyOptions {
  readonly source: HistorySource;
  readonly inspector: OwnerInspector;
  readonly file: ModelFile;
  /** Null: all. */
  readonly partition: number | null;
  readonly onProgress: (done: number, total: number, note: string) => void;
}

interface PartitionVerdict {
  readonly compared: readonly string[];
  readonly rows: number;
  readonly sequence: Sequence;
  readonly differences: readonly Difference[];
  readonly notes: readonly string[];
}

/** @throws MILL_BAD_REQUEST, MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE; whatever is found is in the verdict. */
export async function verifyModel(options: VerifyOptions): Promise<ModelVerdict> {
  const { file, partition, onProgress } = options;
  const count = file.partitions ?? partitionsDefault;
  if (partition !== null && partition >= count)
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `${file.name} has partitions 0 to ${count - 1}, not ${partition}`,
    );
  const partitions = partition === null ? Array.from({ length: count }, (_, place) => place) : [partition];
  let done = 0;
  let rows = 0;
  onProgress(0, partitions.length, '');
  const verdicts = await mapFew(partitions.length, async (place) => {
    let verdict = await verifyPartition(options, partitions[place]);
    // Retention goes on while owners are asked and the log is read: what was told may be trimmed by now, so they are asked anew.
    for (let again = 1; again < asksMax && verdict.differences.some(wasTrimmed); again += 1)
      verdict = await verifyPartition(options, partitions[place]);
    done += 1;
    rows += verdict.rows;
    onProgress(done, partitions.length, `${rows} rows`);
    return verdict;
  });
  const dense = partition === null ? await verifyDense(options) : noDense;
  return {
    model: file.name,
    partitions: partitions.length,
    owners: [...new Set(verdicts.flatMap(({ compared }) => compared))].sort(),
    compared: verdicts.reduce((sum, { compared }) => sum + compared.length, 0),
    rows,
    sequence: verdicts.reduce((highest, { sequence }) => Math.max(highest, sequence), 0),
    dense: { sequence: dense.sequence, compared: dense.compared },
    differences: [...verdicts.flatMap(({ differences }) => differences), ...dense.differences],
    notes: [...new Set(verdicts.flatMap(({ notes }) => notes))],
  };
}

async function verifyPartition(options: VerifyOptions, partition: number): Promise<PartitionVerdict> {
  const { source, inspector, file } = options;
  const answers = await inspector.inspect(file.name, partition);
  // One that is still catching up reads nothing from this state yet; it is compared once it does.
  const ready = answers.filter(isReady);
  const notes = answers
    .filter((answer) => !isReady(answer))
    .map(({ shard, report, reason }) => `${shard}: ${report === null ? reason : 'it is catching up'}`);
  const differ = differenceOf(file.name, partition);
  if (ready.length === 0) {
    const reason = `no owner answers for it (${notes.join('; ') || 'it has none'})`;
    return { ...nothing, differences: [differ(null, 0, 'MILL_SHARD_UNAVAILABLE', reason)] };
  }
  const stops = [...new Set(ready.map(({ report }) => report.sequence))].sort((a, b) => a - b);
  const sequence = stops[stops.length - 1];
  const until = { sequence };
  const hashes = new Map<Sequence, string>();
  try {
    const state = await foldPartitionAt({
      ...foldsOf(source),
      file,
      partition,
      start: 'oldest',
      until,
      stops,
      onStop: (at, stop) => hashes.set(stop, partitionHash(at)),
    });
    const differences: Difference[] = [];
    for (const { shard, report } of ready) {
      if (hashes.get(report.sequence) === report.stateHash) continue;
      const reason = `${shard} holds ${short(report.stateHash)} (${report.rows} rows), the log gives ${short(
        hashes.get(report.sequence),
      )}`;
      differences.push(differ(shard, report.sequence, 'MILL_STATE_DIVERGED', reason));
    }
    const fromNewest = await hashFromNewest(options, partition, sequence);
    if (fromNewest !== null && fromNewest !== hashes.get(sequence)) {
      const reason = `from the newest snapshot the log gives ${short(fromNewest)}, from the oldest ${short(
        hashes.get(sequence),
      )}`;
      differences.push(differ(null, sequence, 'MILL_STATE_DIVERGED', reason));
    }
    const rows = partitionRows(state);
    return { compared: ready.map(({ shard }) => shard), rows, sequence, differences, notes };
  } catch (error) {
    if (!isGone(error)) throw error;
    return { ...nothing, notes, differences: [differ(null, sequence, error.code, error.message)] };
  }
}

/** Hash of the state that the newest snapshot leads to; null when there is none, and so nothing to prove. */
async function hashFromNewest(
  { source, file }: VerifyOptions,
  partition: number,
  sequence: Sequence,
): Promise<string | null> {
  const { model, fingerprint } = partitionIdentity(file, partition);
  if (!(await hasSnapshots(source, { model, fingerprint, fold: partition }))) return null;
  const until = { sequence };
  return partitionHash(await foldPartitionAt({ ...foldsOf(source), file, partition, until }));
}

interface DenseVerdict {
  readonly sequence: Sequence;
  readonly compared: 'snapshots' | 'nothing';
  readonly differences: readonly Difference[];
}

const noDense: DenseVerdict = { sequence: 0, compared: 'nothing', differences: [] };

/**
 * Snapshots of dense weights are the updater's own state, written by it, so they tell of the updater; inference nodes do not
 * tell a hash of theirs.
 */
async function verifyDense({ source, file }: VerifyOptions): Promise<DenseVerdict> {
  if (compileNet(file).denseParameters === 0) return noDense;
  const initial = () => initialDense(file);
  const sequence = await source.bus.headOf('dense', denseSubject(modelNameFrom(file.name)));
  const fold = (start: 'oldest' | 'newest') =>
    foldDenseAt({ ...foldsOf(source), model: file.name, initial, until: { sequence }, start });
  const differ = differenceOf(file.name, 'dense');
  try {
    const of: FoldId = { model: file.name, fingerprint: fingerprintOf(file), fold: 'dense' };
    if (!(await hasSnapshots(source, of))) return { ...noDense, sequence };
    const [oldest, newest] = [denseHash(await fold('oldest')), denseHash(await fold('newest'))];
    if (oldest === newest) return { sequence, compared: 'snapshots', differences: [] };
    const reason = `from the newest snapshot the log gives ${short(newest)}, from the oldest ${short(oldest)}`;
    const differences = [differ(null, sequence, 'MILL_STATE_DIVERGED', reason)];
    return { sequence, compared: 'snapshots', differences };
  } catch (error) {
    if (!isGone(error)) throw error;
    return { ...noDense, differences: [differ(null, sequence, error.code, error.message)] };
  }
}

const asksMax = 3;

function wasTrimmed({ code }: Difference): boolean {
  return code === 'MILL_HISTORY_GONE';
}

const nothing: PartitionVerdict = { compared: [], rows: 0, sequence: 0, differences: [], notes: [] };

type ReadyAnswer = OwnerAnswer & { readonly report: NonNullable<OwnerAnswer['report']> };

function isReady(answer: OwnerAnswer): answer is ReadyAnswer {
  return answer.report?.ready === true;
}

function isGone(error: unknown): error is MillraceError {
  return isMillraceError(error, 'MILL_HISTORY_GONE');
}

function differenceOf(model: string, partition: Difference['partition']) {
  return (shard: string | null, sequence: Sequence, code: ErrorCode, message: string): Difference => ({
    model,
    partition,
    shard,
    sequence,
    code,
    message,
  });
}

function short(hash: string | undefined): string {
  return hash === undefined ? 'none' : hash.slice(0, 12);
}
