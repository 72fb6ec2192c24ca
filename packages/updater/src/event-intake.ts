/** Event log → joiner → queue: what a message of the log is, and what is told of those that teach nothing. */
import { createJoiner, type Example, type Joiner, joinerOptionsOf, type Origin } from '@millrace/joiner';
import {
  type BatchRecord,
  comparePlaces,
  decodeEvent,
  type Event,
  type Impression,
  isMillraceError,
  type LearningCounters,
  type ModelFile,
  type Rejection,
} from '@millrace/protocol';
import type { Clock, LogMessage } from '@millrace/runtime';

export interface EventIntake {
  take(message: LogMessage): void;
  /** The newest event that was taken. */
  readonly lastSequence: number;
  /** When that was, by the monotonic clock. */
  readonly lastEventMs: number;
  /** A tick is on its way: the time is as good as told. */
  noteTick(): void;
  readonly waits: boolean;
  counters(): Omit<LearningCounters, 'batches' | 'learned' | 'positives'>;
  /** What was rejected has been told. */
  forgetRejections(): void;
}

export interface EventIntakeOptions {
  readonly file: ModelFile;
  readonly clock: Clock;
  /** Behind which place examples are wanted. */
  readonly record: BatchRecord;
  /** Where the fold begins: where the record says, or before it. */
  readonly origin: Origin;
  /** The record that the last updater left. */
  readonly found: BatchRecord | null;
  readonly onExample: (example: Example) => void;
  /** Called with every example that the fold gives, those before the record's place too. */
  readonly onJoined?: (example: Example) => void;
  /** Called with every impression of the log, those that come again too. */
  readonly onShown?: (impression: Impression, sequence: number) => void;
}

/** Newest rejections that are kept to be told. */
const rejectionsTold = 20;

export function createEventIntake(options: EventIntakeOptions): EventIntake {
  const { clock, record, origin, found } = options;
  let lastSequence = origin.sequence - 1;
  let lastEventMs = clock.monotonicMs();
  let invalidEvents = 0;
  let rejections: readonly Rejection[] = [];
  const note = (rejection: Rejection) => {
    rejections = [...rejections, rejection].slice(-rejectionsTold);
  };

  const joiner: Joiner = createJoiner(
    joinerOptionsOf(options.file),
    {
      onExample(example) {
        options.onJoined?.(example);
        if (comparePlaces(example.place, record.from) > 0) options.onExample(example);
      },
      onRejection(rejection, sequence) {
        // What was decided before the newest batch has been told; there this fold may misread what began before it.
        if (!found || sequence > found.to[0]) note(rejection);
      },
    },
    origin.watermarkMs,
  );

  const eventOf = ({ payload }: LogMessage): Event | null => {
    try {
      return decodeEvent(payload);
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      invalidEvents += 1;
      note({ code: 'MILL_EVENT_INVALID', requestId: '', reason: error.message, timeMs: clock.now() });
      return null;
    }
  };

  return {
    take(message) {
      const event = eventOf(message);
      lastSequence = message.sequence;
      if (event === null) return;
      const { sequence, timeMs, payload } = message;
      if (event.type === 'impression') options.onShown?.(event, sequence);
      joiner.take(sequence, event, { timeMs, bytes: payload.length });
      lastEventMs = clock.monotonicMs();
    },
    get lastSequence() {
      return lastSequence;
    },
    get lastEventMs() {
      return lastEventMs;
    },
    noteTick() {
      lastEventMs = clock.monotonicMs();
    },
    get waits() {
      return joiner.openEntries > 0;
    },
    counters() {
      const { counts } = joiner;
      return {
        openImpressions: joiner.openEntries,
        rejectedOutcomes: counts.rejected,
        invalidEvents,
        duplicateOutcomes: counts.duplicateOutcomes,
        earlyOutcomes: counts.early,
        lateOutcomes: counts.late,
        ignoredOutcomes: counts.ignored,
        duplicateImpressions: counts.duplicateImpressions,
        droppedImpressions: counts.dropped,
        sampledOut: counts.sampledOut,
        rejections,
      };
    },
    forgetRejections() {
      rejections = [];
    },
  };
}
