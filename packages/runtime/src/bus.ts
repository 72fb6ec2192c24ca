/**
 * What Millrace needs of a message server, and nothing more: durable ordered logs, a small key-value store with
 * compare-and-set, and unstored notices. nats-bus.ts runs it on NATS, memory-bus.ts in one process; one conformance suite
 * (test/bus-conformance.ts) holds both to these contracts.
 */
import type { BlobBucketName, BucketName, LogName, Sequence } from '@millrace/protocol';
import type { BlobStore } from './blob-store.ts';

export interface LogMessage {
  readonly subject: string;
  /** Position in the whole log (all subjects); ascending on each subject, not contiguous. */
  readonly sequence: Sequence;
  /** Owned by the receiver until the handler returns; copied if kept. */
  readonly payload: Uint8Array;
  /** When the log stored it, Unix ms by the log's own clock; null: it does not tell. */
  readonly timeMs: number | null;
  /** Messages of the reader's subject that the log holds beyond this one, when it was delivered. */
  readonly pending: number;
}

export interface AppendOptions {
  /** A second append with the same id within the server's window (2 min) is stored once. For retries, not for correctness. */
  readonly messageId?: string;
}

export interface LogReader {
  /** Stops delivery; resolves once no handler runs any more, so a handler must not await it itself. */
  close(): Promise<void>;
}

export interface ReadOptions {
  /** One exact subject of the log. */
  readonly subject: string;
  /**
   * First sequence wanted, 1 for all; what lies before it is not delivered, even where it is appended later. Where the log
   * has been trimmed beyond it, delivery begins with the oldest message that is left: trim marks tell (protocol/trim-mark.ts).
   */
  readonly from: Sequence;
  /**
   * Called once a message, in order, never concurrently with itself; a returned promise is awaited first.
   * A throw ends the reader and goes to `onError`.
   */
  readonly onMessage: (message: LogMessage) => void | Promise<void>;
  /** Delivery has ended and will not resume: the handler threw, or the log is gone. Lost connections resume by themselves. */
  readonly onError: (error: Error) => void;
}

export interface LogState {
  readonly firstSequence: Sequence;
  readonly lastSequence: Sequence;
  readonly messages: number;
  readonly bytes: number;
}

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

export type KvChange =
  | { readonly kind: 'put'; readonly entry: KvEntry }
  | { readonly kind: 'delete'; readonly key: string };

export interface Kv {
  get(key: string): Promise<KvEntry | null>;
  /** Unconditional write; resolves to the new revision. */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Writes only if the key's revision is `revision` (0: the key is absent). Resolves to the new revision, or null when it is not. */
  putIf(key: string, value: Uint8Array, revision: number): Promise<number | null>;
  delete(key: string): Promise<void>;
  keys(): Promise<readonly string[]>;
  /**
   * Calls `onChange` for every present entry, then for each change in order. Resolves once all entries present at the
   * time of the call have been given. Goes on over lost connections, where changes of one key that follow each other may
   * arrive as the last of them. `onChange` must not throw.
   */
  watch(onChange: (change: KvChange) => void): Promise<LogReader>;
}

export interface Bus {
  /** Creates the logs and buckets that do not exist yet. Safe to call by several processes at once. */
  ensure(): Promise<void>;
  /**
   * Stores `payload` on `subject`; resolves to its sequence once it is durable. Calls that overlap are stored in the order
   * they were made. `payload` must stay as it is until then.
   * @throws MILL_LOG_UNAVAILABLE when the server did not acknowledge it; it may have been stored all the same, so send it
   *   again under the same message id, or so that a repetition does no harm. MILL_OVERLOADED when too many appends are under
   *   way, MILL_BODY_TOO_LARGE over the message limit, MILL_CLOSED after close: these were not stored.
   */
  append(log: LogName, subject: string, payload: Uint8Array, options?: AppendOptions): Promise<Sequence>;
  read(log: LogName, options: ReadOptions): Promise<LogReader>;
  logState(log: LogName): Promise<LogState>;
  /** Sequence of the newest message on `subject`, 0 when there is none. */
  headOf(log: LogName, subject: string): Promise<Sequence>;
  /**
   * Forgets the messages of `subject` whose sequence is below `before`. The newest message is always kept, so that headOf
   * stays true. Sequences do not change.
   * @throws MILL_LOG_UNAVAILABLE
   */
  trim(log: LogName, subject: string, before: Sequence): Promise<void>;
  kv(bucket: BucketName): Promise<Kv>;
  blobs(bucket: BlobBucketName): Promise<BlobStore>;
  /** Sends an unstored notice; lost when nobody listens. */
  notify(subject: string, payload: Uint8Array): void;
  /** `onNotice` must not throw. */
  onNotice(subject: string, onNotice: (payload: Uint8Array) => void): LogReader;
  /** True while the server is reachable. */
  readonly connected: boolean;
  /** Sends what is buffered, then ends everything that was opened. */
  close(): Promise<void>;
}
