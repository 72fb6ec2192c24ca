/**
 * What a cache knows of each partition's log, and so which of its rows are good.
 *
 *   told        newest sequence up to which every change was heard of without a gap
 *   generation  counts the gaps: a row that was put in before the last one is as good as gone, at the cost of one number
 *   reached     when the heads were told that `told` has reached: no row of the partition is older than now − reached
 *
 * A row is good at every sequence from its last change (or from when it was read) up to `told`.
 */

/** `told` where nothing is known. */
const unknown = -1;
/**
 * Rows were read beyond `told` for so long, ms: the notice that would have told of it is lost. Notices take a millisecond or
 * two; a node that was busy for longer than this drops a partition in vain, which costs one pull of each row.
 */
const noticeLateMsMax = 250;

export interface CachedPartitions {
  readonly told: Float64Array;
  /** uint32, from 1: a row of generation 0 is good for nothing. */
  readonly generations: Uint32Array;
  readonly reachedMs: Float64Array;
  /** Since when rows are read beyond `told`; 0: they are not. */
  readonly aheadSinceMs: Float64Array;
  /** Newest heads told, and when. */
  readonly heads: Float64Array;
  headsMs: number;
  /** Times that the rows of a partition were dropped. */
  drops: number;
}

export function createCachedPartitions(count: number): CachedPartitions {
  return {
    told: new Float64Array(count).fill(unknown),
    generations: new Uint32Array(count).fill(1),
    reachedMs: new Float64Array(count).fill(Number.NEGATIVE_INFINITY),
    aheadSinceMs: new Float64Array(count),
    heads: new Float64Array(count),
    headsMs: Number.NEGATIVE_INFINITY,
    drops: 0,
  };
}

/** Forgets the rows of a partition; from here on it is known up to `told`. */
export function dropPartition(parts: CachedPartitions, partition: number, told = unknown): void {
  parts.generations[partition] += 1;
  parts.drops += 1;
  parts.reachedMs[partition] = Number.NEGATIVE_INFINITY;
  moveTo(parts, partition, told);
}

/** Takes heads told by the updater. Heads that go back may be of a log that begins anew: what was known of it is over. */
export function takeHeads(parts: CachedPartitions, heads: readonly number[], nowMs: number): void {
  parts.headsMs = nowMs;
  for (let p = 0; p < parts.heads.length; p += 1) {
    const head = heads[p] ?? 0;
    if (head < parts.heads[p] && parts.told[p] > head) dropPartition(parts, p);
    parts.heads[p] = head;
    if (parts.told[p] >= head) parts.reachedMs[p] = nowMs;
  }
}

/**
 * Takes the news that everything in (previous, sequence] is told of. 'stale': it was known; 'gap': something before it was
 * missed, and the partition's rows are dropped.
 */
export function takeNews(
  parts: CachedPartitions,
  partition: number,
  previous: number,
  sequence: number,
): 'next' | 'stale' | 'gap' {
  const told = parts.told[partition];
  if (sequence <= told) return 'stale';
  if (previous > told && told !== unknown) {
    dropPartition(parts, partition, sequence);
    return 'gap';
  }
  moveTo(parts, partition, sequence);
  return told === unknown ? 'gap' : 'next';
}

/** True when rows of a partition may be read from the cache: not behind `floor`, and not older than `stalenessMsMax`. */
export function isUsable(
  parts: CachedPartitions,
  partition: number,
  floor: number,
  oldestMs: number,
): boolean {
  const told = parts.told[partition];
  return told >= 0 && told >= floor && parts.reachedMs[partition] >= oldestMs;
}

/**
 * Notes that a shard answered with rows at `sequence`. True when they may be put into the cache: no change after it was told,
 * which they would lack.
 */
export function noteAnswer(
  parts: CachedPartitions,
  partition: number,
  sequence: number,
  nowMs: number,
): boolean {
  const told = parts.told[partition];
  if (sequence < told) return false;
  if (told === unknown) moveTo(parts, partition, sequence);
  else if (sequence > told) {
    const since = parts.aheadSinceMs[partition];
    if (since === 0) parts.aheadSinceMs[partition] = Math.max(nowMs, Number.MIN_VALUE);
    else if (nowMs - since > noticeLateMsMax) dropPartition(parts, partition, sequence);
  }
  return true;
}

function moveTo(parts: CachedPartitions, partition: number, told: number): void {
  parts.told[partition] = told;
  parts.aheadSinceMs[partition] = 0;
  if (told >= 0 && told >= parts.heads[partition]) parts.reachedMs[partition] = parts.headsMs;
}
