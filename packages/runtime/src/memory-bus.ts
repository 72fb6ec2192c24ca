/**
 * The bus in one process: deterministic, without timers, for backtests and tests. A message reaches every idle reader
 * before `append` returns, so with synchronous handlers its effects are there at once; readers whose handler is running get
 * it afterwards, in order. `settle` waits for handlers that are asynchronous.
 */
import {
  type BlobBucketName,
  type BucketName,
  type LogName,
  MillraceError,
  type Sequence,
  streams,
} from '@millrace/protocol';
import type { BlobStore } from './blob-store.ts';
import type { AppendOptions, Bus, Kv, LogReader, LogState, ReadOptions } from './bus.ts';
import { assertExactSubject, assertLogSubject } from './bus-checks.ts';
import type { Clock } from './clock.ts';
import { createMemoryBlobs } from './memory-blobs.ts';
import { MemoryKv } from './memory-kv.ts';
import { MemoryLog } from './memory-log.ts';
import { Pump } from './pump.ts';

export interface MemoryBusOptions {
  /**
   * `false` for a log drops each message once every present reader of its subject has taken it, which bounds a long
   * backtest; a reader opened later from a dropped sequence gets MILL_LOG_UNAVAILABLE. A subject without a reader keeps
   * everything. Default: all logs retain all.
   */
  readonly retain?: Partial<Readonly<Record<LogName, boolean>>>;
  /** Clock of the logs, which tells when each message was stored. Default: none, and messages tell no time. */
  readonly clock?: Pick<Clock, 'now'>;
}

export interface MemoryBus extends Bus {
  /** Resolves once every reader has handled all that the logs hold, including what handlers append meanwhile. */
  settle(): Promise<void>;
}

/** Creates an empty bus in memory. Payloads and values are copied when they are written. */
export function createMemoryBus(options: MemoryBusOptions = {}): MemoryBus {
  return new MemoryBusCore(options);
}

interface Notice {
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** One promise for all: a backtest asks after every event, and is nearly always settled. */
const settled = Promise.resolve();

class MemoryBusCore implements MemoryBus {
  readonly #logs: Readonly<Record<LogName, MemoryLog>>;
  readonly #buckets = new Map<BucketName, MemoryKv>();
  readonly #blobs = new Map<BlobBucketName, BlobStore>();
  readonly #listeners = new Map<string, Set<(payload: Uint8Array) => void>>();
  readonly #notices: Notice[] = [];
  readonly #noticePump: Pump<Notice>;
  readonly #draining = new Set<Promise<void>>();
  #closed = false;

  constructor(options: MemoryBusOptions) {
    const { clock } = options;
    const now = clock ? () => clock.now() : null;
    const logNamed = (name: LogName) =>
      new MemoryLog(streams[name].name, { retain: options.retain?.[name] ?? true, now }, this.#draining);
    this.#logs = {
      events: logNamed('events'),
      gradients: logNamed('gradients'),
      dense: logNamed('dense'),
      measures: logNamed('measures'),
    };
    this.#noticePump = new Pump<Notice>({
      take: () => this.#notices.shift(),
      handle: (notice) => {
        for (const listener of this.#listeners.get(notice.subject) ?? []) listener(notice.payload);
      },
      onFailed: (error) => {
        throw error;
      },
    });
  }

  get connected(): boolean {
    return !this.#closed;
  }

  async ensure(): Promise<void> {
    this.#assertOpen();
  }

  async append(
    log: LogName,
    subject: string,
    payload: Uint8Array,
    options?: AppendOptions,
  ): Promise<Sequence> {
    this.#assertOpen();
    assertLogSubject(log, subject);
    return this.#logs[log].append(subject, payload, options);
  }

  async read(log: LogName, options: ReadOptions): Promise<LogReader> {
    this.#assertOpen();
    assertLogSubject(log, options.subject);
    return this.#logs[log].read(options);
  }

  async logState(log: LogName): Promise<LogState> {
    this.#assertOpen();
    return this.#logs[log].state();
  }

  async headOf(log: LogName, subject: string): Promise<Sequence> {
    this.#assertOpen();
    assertLogSubject(log, subject);
    return this.#logs[log].headOf(subject);
  }

  async trim(log: LogName, subject: string, before: Sequence): Promise<void> {
    this.#assertOpen();
    assertLogSubject(log, subject);
    this.#logs[log].trim(subject, before);
  }

  async blobs(bucket: BlobBucketName): Promise<BlobStore> {
    this.#assertOpen();
    let blobs = this.#blobs.get(bucket);
    if (blobs === undefined) {
      blobs = createMemoryBlobs();
      this.#blobs.set(bucket, blobs);
    }
    return blobs;
  }

  async kv(bucket: BucketName): Promise<Kv> {
    this.#assertOpen();
    let kv = this.#buckets.get(bucket);
    if (kv === undefined) {
      kv = new MemoryKv();
      this.#buckets.set(bucket, kv);
    }
    return kv;
  }

  notify(subject: string, payload: Uint8Array): void {
    assertExactSubject(subject);
    if (!this.#listeners.has(subject)) return;
    this.#notices.push({ subject, payload: new Uint8Array(payload) });
    this.#noticePump.run();
  }

  onNotice(subject: string, onNotice: (payload: Uint8Array) => void): LogReader {
    assertExactSubject(subject);
    this.#assertOpen();
    const listener = (payload: Uint8Array) => onNotice(payload);
    const listeners = this.#listeners.get(subject) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(subject, listeners);
    return {
      close: async () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(subject) === listeners)
          this.#listeners.delete(subject);
      },
    };
  }

  settle(): Promise<void> {
    return this.#draining.size === 0 ? settled : this.#settle();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    for (const kv of this.#buckets.values()) kv.close();
    await Promise.all(Object.values(this.#logs).map((log) => log.close()));
  }

  async #settle(): Promise<void> {
    while (this.#draining.size > 0) await Promise.all(this.#draining);
  }

  #assertOpen(): void {
    if (this.#closed) throw new MillraceError('MILL_CLOSED', 'the bus is closed');
  }
}
