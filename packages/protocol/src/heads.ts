/**
 * Heads of a model's logs, told by its updater after each batch and at least every headsIdleMs: notice mill.heads.<model>.
 * A reader compares them with the sequences that answered it and so knows how stale its rows may be.
 */
import { packed, unpacked } from './packing.ts';
import { checkedRecord, readRecord, recordInvalid } from './record-checks.ts';

const what = 'notice of log heads';

/** Idle updaters still tell their heads this often, so that staleness stays bounded in quiet times. */
export const headsIdleMs = 250;

export interface LogHeads {
  readonly model: string;
  /** When the batch was acknowledged, Unix ms of the updater. */
  readonly timeMs: number;
  /** Sequence of the newest block of each partition, 0: none. */
  readonly partitions: readonly number[];
  /** Sequence of the newest dense block. */
  readonly dense: number;
  readonly counters: LearningCounters;
}

/** What an updater has done since the model was created (restarts included where its record says so). */
export interface LearningCounters {
  readonly batches: number;
  readonly learned: number;
  readonly positives: number;
  readonly openImpressions: number;
  readonly rejectedOutcomes: number;
  readonly invalidEvents: number;
  readonly duplicateOutcomes: number;
  /** Outcomes that came before their impression and waited for it. */
  readonly earlyOutcomes: number;
  /** Outcomes that came after the join window and were still known; learned as learning.latePositives says. */
  readonly lateOutcomes: number;
  /** Late outcomes that taught nothing. */
  readonly ignoredOutcomes: number;
  /** Impressions that came twice, from callers who tried again. */
  readonly duplicateImpressions: number;
  /** Impressions that were let go before their time, since too much followed them (joinEventsMax, joinBytesMax). */
  readonly droppedImpressions: number;
  /** Negatives that learning.negativeRate passed over. */
  readonly sampledOut: number;
  /** Newest rejected ones, at most 20. */
  readonly rejections: readonly Rejection[];
}

/** Counted since later: older updaters do not tell them. */
const laterCounters = [
  'earlyOutcomes',
  'lateOutcomes',
  'ignoredOutcomes',
  'duplicateImpressions',
  'droppedImpressions',
  'sampledOut',
] as const;

export interface Rejection {
  readonly code: 'MILL_IMPRESSION_UNKNOWN' | 'MILL_EVENT_INVALID';
  readonly requestId: string;
  readonly reason: string;
  readonly timeMs: number;
}

export function encodeHeads(heads: LogHeads): Uint8Array {
  return packed(heads);
}

/** Reads and checks heads. Throws MILL_RECORD_INVALID. */
export function decodeHeads(bytes: Uint8Array): LogHeads {
  const value = readRecord(what, () => unpacked(bytes));
  const heads = checkedRecord<LogHeads>(what, value, {
    model: 'text',
    timeMs: 'number',
    partitions: 'counts',
    dense: 'count',
    counters: 'map',
  });
  const absent = Object.fromEntries(laterCounters.map((name) => [name, 0]));
  const counters = checkedRecord<LearningCounters>(
    what,
    { ...absent, ...heads.counters },
    {
      batches: 'count',
      learned: 'count',
      positives: 'count',
      openImpressions: 'count',
      rejectedOutcomes: 'count',
      invalidEvents: 'count',
      duplicateOutcomes: 'count',
      earlyOutcomes: 'count',
      lateOutcomes: 'count',
      ignoredOutcomes: 'count',
      duplicateImpressions: 'count',
      droppedImpressions: 'count',
      sampledOut: 'count',
      rejections: 'list',
    },
  );
  for (const rejection of counters.rejections) {
    const { code } = checkedRecord<Rejection>(what, rejection, {
      code: 'text',
      requestId: 'text',
      reason: 'text',
      timeMs: 'number',
    });
    if (code !== 'MILL_IMPRESSION_UNKNOWN' && code !== 'MILL_EVENT_INVALID')
      throw recordInvalid(what, 'the code of a rejection', 'another text');
  }
  return { ...heads, counters };
}
