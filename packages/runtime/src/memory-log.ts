/**
 * One log in memory: a list of messages for each subject, sequences counted over all of them. Each reader has a cursor in
 * its subject's list and a pump that hands it what lies beyond the cursor, so an append reaches idle readers before it
 * returns. Without retention, messages that every present reader of their subject has taken are dropped.
 */
import { MillraceError, type Sequence } from '@millrace/protocol';
import type { AppendOptions, LogMessage, LogReader, LogState, ReadOptions } from './bus.ts';
import { assertMessageBytes } from './bus-checks.ts';
import { Pump } from './pump.ts';

/** At least so many ids of appends are remembered, as a server remembers those of the last two minutes; twice that at most. */
const messageIdsMin = 32_768;
/** Dropped places at the front of a list before it is moved together; seldom enough to cost nothing per message. */
const droppedPlacesMax = 1_024;

interface SubjectLog {
  sequences: number[];
  payloads: Uint8Array[];
  /** When each was stored; empty without a clock. */
  timesMs: number[];
  /** Places before this index are dropped. */
  start: number;
  /** What has been cut off the front of both arrays; cursor − shift is an index into them. */
  shift: number;
  /** Highest sequence that was dropped, 0 when none was. */
  droppedThrough: Sequence;
  readonly readers: Set<SubjectReader>;
}

interface SubjectReader {
  /** Place of the next message, counted from the subject's first message ever. */
  cursor: number;
  readonly pump: Pump<LogMessage>;
}

export class MemoryLog {
  readonly #name: string;
  readonly #retain: boolean;
  readonly #now: (() => number) | null;
  readonly #draining: Set<Promise<void>>;
  readonly #subjects = new Map<string, SubjectLog>();
  /** In two generations: dropping the older one whole is cheap, deleting the oldest key of a large map is not. */
  #recentIds = new Map<string, Sequence>();
  #olderIds = new Map<string, Sequence>();
  #lastSequence: Sequence = 0;
  #messages = 0;
  #bytes = 0;

  /**
   * @param now       the log's clock, Unix ms; null: messages tell no time.
   * @param draining  gets the promises of asynchronous handlers while they are under way.
   */
  constructor(
    name: string,
    options: { readonly retain: boolean; readonly now: (() => number) | null },
    draining: Set<Promise<void>>,
  ) {
    this.#name = name;
    this.#retain = options.retain;
    this.#now = options.now;
    this.#draining = draining;
  }

  append(subject: string, payload: Uint8Array, options: AppendOptions | undefined): Sequence {
    assertMessageBytes(subject, payload);
    const messageId = options?.messageId;
    if (messageId !== undefined) {
      const earlier = this.#recentIds.get(messageId) ?? this.#olderIds.get(messageId);
      if (earlier !== undefined) return earlier;
    }
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    if (messageId !== undefined) this.#remember(messageId, sequence);
    const list = this.#subject(subject);
    list.sequences.push(sequence);
    // The caller may reuse its buffer. Node's pool of small buffers spares an allocation a message and aligns to 8 bytes.
    list.payloads.push(Buffer.from(payload));
    if (this.#now !== null) list.timesMs.push(this.#now());
    this.#messages += 1;
    this.#bytes += payload.length;
    for (const reader of list.readers) reader.pump.run();
    return sequence;
  }

  read(options: ReadOptions): LogReader {
    const list = this.#subject(options.subject);
    if (options.from <= list.droppedThrough) {
      throw new MillraceError(
        'MILL_LOG_UNAVAILABLE',
        `cannot read log "${this.#name}", subject "${options.subject}", from sequence ${options.from}: messages up to ${list.droppedThrough} are dropped`,
      );
    }
    const reader: SubjectReader = {
      cursor: list.shift + firstAtOrAfter(list, options.from),
      pump: new Pump<LogMessage>({
        take: () => takeMessage(list, reader, options),
        handle: options.onMessage,
        onFailed: (error) => {
          this.#leave(list, reader);
          options.onError(error);
        },
        onIdle: () => this.#dropTaken(list),
        draining: this.#draining,
      }),
    };
    list.readers.add(reader);
    reader.pump.run();
    return {
      close: () => {
        this.#leave(list, reader);
        return reader.pump.stop();
      },
    };
  }

  /** Forgets what is older than `before`, but not the newest; readers go on with the oldest that is left. */
  trim(subject: string, before: Sequence): void {
    const list = this.#subjects.get(subject);
    if (list === undefined) return;
    while (list.start < list.sequences.length - 1 && list.sequences[list.start] < before) {
      this.#forgetFirst(list);
    }
    this.#moveTogether(list);
  }

  state(): LogState {
    let firstSequence = this.#lastSequence + 1;
    for (const list of this.#subjects.values()) {
      if (list.start < list.sequences.length)
        firstSequence = Math.min(firstSequence, list.sequences[list.start]);
    }
    return {
      firstSequence,
      lastSequence: this.#lastSequence,
      messages: this.#messages,
      bytes: this.#bytes,
    };
  }

  headOf(subject: string): Sequence {
    const list = this.#subjects.get(subject);
    if (list === undefined) return 0;
    return list.start < list.sequences.length ? list.sequences.at(-1)! : list.droppedThrough;
  }

  async close(): Promise<void> {
    for (const list of this.#subjects.values()) {
      const readers = [...list.readers];
      list.readers.clear();
      await Promise.all(readers.map((reader) => reader.pump.stop()));
    }
  }

  #subject(subject: string): SubjectLog {
    let list = this.#subjects.get(subject);
    if (list === undefined) {
      list = {
        sequences: [],
        payloads: [],
        timesMs: [],
        start: 0,
        shift: 0,
        droppedThrough: 0,
        readers: new Set(),
      };
      this.#subjects.set(subject, list);
    }
    return list;
  }

  #remember(messageId: string, sequence: Sequence): void {
    this.#recentIds.set(messageId, sequence);
    if (this.#recentIds.size < messageIdsMin) return;
    this.#olderIds = this.#recentIds;
    this.#recentIds = new Map();
  }

  #leave(list: SubjectLog, reader: SubjectReader): void {
    list.readers.delete(reader);
    this.#dropTaken(list);
  }

  /** Drops what every present reader has taken. With no reader nothing has been taken, so everything stays. */
  #dropTaken(list: SubjectLog): void {
    if (this.#retain || list.readers.size === 0) return;
    let cursor = Number.MAX_SAFE_INTEGER;
    for (const reader of list.readers) cursor = Math.min(cursor, reader.cursor);
    const end = cursor - list.shift;
    while (list.start < end) list.droppedThrough = this.#forgetFirst(list);
    this.#moveTogether(list);
  }

  /** Empties the first place that is not; gives its sequence. */
  #forgetFirst(list: SubjectLog): Sequence {
    const { start } = list;
    this.#messages -= 1;
    this.#bytes -= list.payloads[start].length;
    list.payloads[start] = nothing;
    list.start += 1;
    return list.sequences[start];
  }

  #moveTogether(list: SubjectLog): void {
    if (list.start === list.sequences.length) {
      list.sequences.length = 0;
      list.payloads.length = 0;
      list.timesMs.length = 0;
    } else if (list.start >= droppedPlacesMax) {
      list.sequences.splice(0, list.start);
      list.payloads.splice(0, list.start);
      list.timesMs.splice(0, list.start);
    } else {
      return;
    }
    list.shift += list.start;
    list.start = 0;
  }
}

const nothing = new Uint8Array(0);

function takeMessage(list: SubjectLog, reader: SubjectReader, options: ReadOptions): LogMessage | undefined {
  let index = Math.max(list.start, reader.cursor - list.shift);
  // A start beyond the end was placed at the end; what came since may lie before it.
  while (index < list.sequences.length && list.sequences[index] < options.from) index += 1;
  const found = index < list.sequences.length;
  reader.cursor = list.shift + index + (found ? 1 : 0);
  if (!found) return undefined;
  return {
    subject: options.subject,
    sequence: list.sequences[index],
    payload: list.payloads[index],
    timeMs: list.timesMs[index] ?? null,
    pending: list.sequences.length - 1 - index,
  };
}

/** Index of the first message whose sequence is at least `from`; the list's length when there is none. */
function firstAtOrAfter(list: SubjectLog, from: Sequence): number {
  let low = list.start;
  let high = list.sequences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list.sequences[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
