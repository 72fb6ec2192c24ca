/**
 * A fold as it was: the newest snapshot at or below the moment asked for, then the log up to it. This is the part that
 * partitions and dense weights have in common.
 *
 *   oldest kept snapshot      snapshot used        moment asked for          head
 *   ───────┬──────────────────────┬──────────────────────┬───────────────────┬──▶ log
 *     (trimmed before it)         └── messages applied ──┘
 *
 * The rule for a missing predecessor is the shard's: the log is opened once more behind the state; if the log itself lacks
 * it, the block is applied all the same. A log that is trimmed while it is read is noticed by its mark, which is written
 * before anything is forgotten; the fold then begins anew with a newer snapshot, or has come too late.
 */
import { type LogName, MillraceError, type Sequence } from '@millrace/protocol';
import type { Bus, LogMessage } from '@millrace/runtime';
import { lookAtFirst, readStretch } from './history-read.ts';
import { isBehindTrim, trimmedBefore } from './trim-log.ts';

/** A moment of a fold: everything up to a sequence, or everything before the first block that was made after a time. */
export type HistoryPoint =
  | { readonly sequence: Sequence }
  /** Unix ms, by the clock of the updater that made the blocks. */
  | { readonly timeMs: number };

export interface HistoryProgress {
  /** Reached in the log. */
  readonly sequence: Sequence;
  /** Where reading ends at the latest. */
  readonly through: Sequence;
  readonly messages: number;
}

/** How to fold one kind of state. */
export interface HistoryKind<State> {
  readonly log: LogName;
  readonly subject: string;
  /** What is folded, for messages: `ads/5`. */
  readonly name: string;
  empty(): State;
  /** The newest whole snapshot at or below `atMost`, of no use below `atLeast`; null when there is none. */
  restore(limits: { readonly atMost: Sequence; readonly atLeast: Sequence }): Promise<State | null>;
  /** Sequences of the snapshots that are kept, newest first. */
  snapshots(): Promise<readonly Sequence[]>;
  apply(
    state: State,
    message: LogMessage,
    onGap: 'report' | 'accept',
  ): { readonly kind: 'applied' | 'stale' | 'duplicate' | 'gap' | 'rejected' };
  /** When a block was made, null when it cannot be read. */
  timeOf(message: LogMessage): number | null;
}

export interface HistoryOptions<State> {
  readonly bus: Bus;
  readonly until: HistoryPoint;
  /** 'oldest' begins as early as the log allows: with nothing where it is whole, else with the oldest snapshot. Default: 'newest'. */
  readonly start?: 'newest' | 'oldest';
  /** Sequences, ascending and none beyond `until`, at which the state is shown on its way. */
  readonly stops?: readonly Sequence[];
  /** The state with everything up to `sequence` applied, only read. Told again when the fold has to begin anew. */
  readonly onStop?: (state: State, sequence: Sequence) => void;
  /** A message was taken: `hole` is one that was applied although the log lacks its predecessor. Told again as above. */
  readonly onTaken?: (message: LogMessage, outcome: TakenOutcome) => void;
  readonly onProgress?: (progress: HistoryProgress) => void;
}

export type TakenOutcome = 'applied' | 'duplicate' | 'rejected' | 'hole';

/** A fold that the log was trimmed away under begins anew so often; each time a newer snapshot is there. */
const triesMax = 5;
/** Messages between two looks at the trim mark; few enough that little is read in vain. */
const messagesPerLook = 1_024;

/**
 * @throws MILL_HISTORY_GONE when neither log nor snapshots reach back to `until` (or to the first of `stops`),
 *   MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE
 */
export async function foldHistory<State extends { sequence: number }>(
  kind: HistoryKind<State>,
  options: HistoryOptions<State>,
): Promise<State> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const state = await foldOnce(kind, options);
    if (state !== null) return state;
  }
  throw gone(kind.name, `its log was trimmed ${triesMax} times while it was read`);
}

/** Null when the log was trimmed under it. */
async function foldOnce<State extends { sequence: number }>(
  kind: HistoryKind<State>,
  options: HistoryOptions<State>,
): Promise<State | null> {
  const { bus, until, stops = [], onStop, onTaken, onProgress } = options;
  const { log, subject } = kind;
  const before = await trimmedBefore(bus, subject);
  const head = await bus.headOf(log, subject);
  const last = 'sequence' in until ? Math.min(until.sequence, head) : head;
  const state = await startOf(kind, options, before);
  const watch = watchTrim(bus, subject, state);
  let nextStop = 0;
  const showStopsBelow = (sequence: Sequence) => {
    while (nextStop < stops.length && stops[nextStop] < sequence) {
      onStop?.(state, stops[nextStop]);
      nextStop += 1;
    }
  };
  let messages = 0;
  const tell = () => onProgress?.({ sequence: state.sequence, through: last, messages });

  /** Block whose predecessor was missing in the look before this one, 0: none. */
  let suspect = 0;
  let again = true;
  const take = (message: LogMessage): 'on' | 'stop' | Promise<'on' | 'stop'> => {
    if ('timeMs' in until && (kind.timeOf(message) ?? 0) > until.timeMs) return 'stop';
    if ('sequence' in until && message.sequence > until.sequence) return 'stop';
    showStopsBelow(message.sequence);
    const { kind: outcome } = kind.apply(state, message, 'report');
    if (outcome === 'gap') {
      if (message.sequence !== suspect) {
        suspect = message.sequence;
        again = true;
        return 'stop';
      }
      kind.apply(state, message, 'accept');
    }
    if (outcome !== 'stale') onTaken?.(message, outcome === 'gap' ? 'hole' : outcome);
    messages += 1;
    if (messages % messagesPerLook !== 0) return 'on';
    tell();
    return watch.look().then((intact) => (intact ? 'on' : 'stop'));
  };
  // A snapshot at the very moment needs nothing of the log, and nothing of it may be left there.
  if (state.sequence < last) {
    while (again) {
      again = false;
      await readStretch(bus, { log, subject, from: state.sequence + 1, through: last }, take);
    }
    if (!(await watch.look())) return null;
  }
  showStopsBelow(Number.POSITIVE_INFINITY);
  tell();
  return state;
}

/** The state to begin with; from it on the log has everything. */
async function startOf<State extends { sequence: number }>(
  kind: HistoryKind<State>,
  { bus, until, start = 'newest', stops = [] }: HistoryOptions<State>,
  before: Sequence,
): Promise<State> {
  const limit = 'sequence' in until ? until.sequence : Number.MAX_SAFE_INTEGER;
  let atMost = Math.min(limit, stops[0] ?? limit);
  const logIsWhole = before <= 1;
  if (logIsWhole && start === 'oldest') return kind.empty();
  if ('timeMs' in until) atMost = await newestBefore(kind, bus, until.timeMs, atMost);
  // A snapshot at the very moment is the answer even where the log after it is trimmed.
  const atLeast = Math.min(atMost, Math.max(0, before - 1));
  const state =
    (start === 'oldest' ? await oldestOf(kind, { atMost, atLeast }) : null) ??
    (await kind.restore({ atMost, atLeast })) ??
    kind.empty();
  const isAnswer = 'sequence' in until && state.sequence === until.sequence;
  if (isAnswer || !isBehindTrim(state.sequence, before)) return state;
  const asked = 'timeMs' in until ? `the time ${new Date(until.timeMs).toISOString()}` : `sequence ${limit}`;
  throw gone(kind.name, `wanted ${asked}, and nothing before sequence ${before - 1} is kept`);
}

/** The oldest whole snapshot within limits, null when there is none. */
async function oldestOf<State>(
  kind: HistoryKind<State>,
  { atMost, atLeast }: { readonly atMost: Sequence; readonly atLeast: Sequence },
): Promise<State | null> {
  for (const sequence of [...(await kind.snapshots())].reverse()) {
    if (sequence < atLeast || sequence > atMost) continue;
    const state = await kind.restore({ atMost: sequence, atLeast });
    if (state !== null) return state;
  }
  return null;
}

/** Sequence of the newest snapshot that is known to hold nothing made after `timeMs`; 0 when none is. */
async function newestBefore<State>(
  kind: HistoryKind<State>,
  bus: Bus,
  timeMs: number,
  atMost: Sequence,
): Promise<Sequence> {
  for (const sequence of await kind.snapshots()) {
    if (sequence > atMost) continue;
    // Its own last block tells; where that is trimmed, the next one, if it was made in time.
    const made = await lookAtFirst(bus, { ...kind, from: sequence }, (message) => kind.timeOf(message) ?? 0);
    if (made !== null && made <= timeMs) return sequence;
  }
  return 0;
}

/** Tells whether anything that was still to be read may have been forgotten: the mark is beyond what was read at the last look. */
function watchTrim(bus: Bus, subject: string, state: { sequence: number }) {
  let read = state.sequence;
  let intact = true;
  return {
    async look(): Promise<boolean> {
      if (isBehindTrim(read, await trimmedBefore(bus, subject))) intact = false;
      read = state.sequence;
      return intact;
    },
  };
}

function gone(name: string, reason: string): MillraceError {
  return new MillraceError('MILL_HISTORY_GONE', `cannot fold ${name} as it was: ${reason}`);
}
