/**
 * The bus on NATS: logs are JetStream streams, small state is in key-value buckets, notices are plain messages. Written
 * against what nats-server 2.9 has. A lost connection mends itself: until it is back, appends fail at once, notices are
 * dropped and readers wait; then readers go on after the last message they received.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BlobBucketName,
  type BucketName,
  blobBuckets,
  buckets,
  isMillraceError,
  type LogName,
  MillraceError,
  reasonFrom,
  type Sequence,
  streams,
} from '@millrace/protocol';
import type { JetStreamClient, JetStreamManager, NatsConnection, QueuedIterator, Status } from 'nats';
import type { BlobStore } from './blob-store.ts';
import type { AppendOptions, Bus, Kv, LogReader, LogState, ReadOptions } from './bus.ts';
import { assertExactSubject, assertLogSubject, assertMessageBytes } from './bus-checks.ts';
import type { Logger } from './logger.ts';
import { openNatsBlobs } from './nats-blobs.ts';
import { connectNats, firstConnectMsMaxDefault, type NatsConnectionOptions } from './nats-connection.ts';
import { plainBytes } from './nats-consumer.ts';
import { logUnavailable } from './nats-errors.ts';
import { NatsHeads } from './nats-heads.ts';
import { NatsKv } from './nats-kv.ts';
import { NatsReader, type NatsReaderOptions, type ReaderHost } from './nats-reader.ts';
import { bucketOptionsFrom, ensureStreams, logBytesMaxDefault, type StreamLimits } from './nats-streams.ts';

export interface NatsBusOptions extends NatsConnectionOptions {
  /** Copies of each log and bucket on the servers: 1 (default), or 3 on a cluster. */
  readonly replicas?: number;
  /** Bytes each log may hold when this process creates it. Default: gradients 16 GiB, dense 4 GiB, events 4 GiB. */
  readonly logBytesMax?: Partial<Readonly<Record<LogName, number>>>;
}

/** An append or a look-up that is not answered by then has failed. */
const answerMsMax = 5_000;
/** Appends not yet acknowledged; more means that the log is slower than its writers, and holding them helps nobody. */
const appendsInFlightMax = 8_192;
/** A cluster elects within seconds; asking more often would only busy it. */
const electionPauseMs = 250;
/** How long closing waits for what is buffered to be sent. */
const drainMsMax = 5_000;

/**
 * Connects to NATS. The logs and buckets must be there already, or be created with `ensure`.
 * @throws MILL_LOG_UNAVAILABLE when no server answers in time, MILL_CONFIG_INVALID when it refuses this client or runs
 * without JetStream.
 */
export async function connectNatsBus(options: NatsBusOptions): Promise<Bus> {
  const connection = await connectNats(options);
  try {
    return new NatsBus(connection, await jetStreamOf(connection), options);
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function jetStreamOf(connection: NatsConnection): Promise<JetStreamManager> {
  if (connection.info?.jetstream !== true) {
    throw new MillraceError(
      'MILL_CONFIG_INVALID',
      `NATS at ${connection.getServer()} runs without JetStream; start nats-server with -js or a jetstream block`,
    );
  }
  return connection.jetstreamManager({ timeout: answerMsMax, checkAPI: false });
}

interface Unacknowledged {
  /** Ends the waiting: the answer will not come. */
  readonly lose: (reason: Error) => void;
  /** Resolves when there is an answer of either kind. */
  readonly answered: Promise<void>;
}

class NatsBus implements Bus, ReaderHost {
  readonly connection: NatsConnection;
  readonly jetStream: JetStreamManager;
  readonly logger: Logger;
  readonly #client: JetStreamClient;
  readonly #limits: StreamLimits;
  readonly #heads: NatsHeads;
  readonly #startMsMax: number;
  readonly #readers = new Set<NatsReader>();
  readonly #buckets = new Map<BucketName, Promise<Kv>>();
  readonly #blobs = new Map<BlobBucketName, Promise<BlobStore>>();
  readonly #statuses: QueuedIterator<Status>;
  readonly #following: Promise<void>;
  readonly #unacknowledged = new Set<Unacknowledged>();
  #connected = true;
  #closing: Promise<void> | null = null;

  constructor(connection: NatsConnection, jetStream: JetStreamManager, options: NatsBusOptions) {
    this.connection = connection;
    this.jetStream = jetStream;
    this.logger = options.logger;
    this.#client = connection.jetstream({ timeout: answerMsMax });
    this.#limits = {
      replicas: options.replicas ?? 1,
      logBytesMax: { ...logBytesMaxDefault, ...options.logBytesMax },
    };
    this.#heads = new NatsHeads(this, { replicas: this.#limits.replicas, answerMsMax });
    this.#startMsMax = options.firstConnectMsMax ?? firstConnectMsMaxDefault;
    this.#statuses = connection.status() as QueuedIterator<Status>;
    this.#following = this.#followConnection();
  }

  get connected(): boolean {
    return this.#connected;
  }

  isConnected(): boolean {
    return this.#connected;
  }

  async ensure(): Promise<void> {
    const deadline = performance.now() + this.#startMsMax;
    for (;;) {
      try {
        this.#assertReachable('create logs');
        return await ensureStreams(this.jetStream, this.#client, this.#limits);
      } catch (error) {
        // A cluster of servers that starts, or has just lost its leader, elects one first.
        const mayPass = isMillraceError(error, 'MILL_LOG_UNAVAILABLE') && performance.now() < deadline;
        if (!mayPass) throw error;
      }
      await sleep(electionPauseMs);
    }
  }

  async append(
    log: LogName,
    subject: string,
    payload: Uint8Array,
    options?: AppendOptions,
  ): Promise<Sequence> {
    const what = `cannot append to "${subject}"`;
    assertLogSubject(log, subject);
    assertMessageBytes(subject, payload);
    this.#assertReachable(what);
    if (this.#unacknowledged.size >= appendsInFlightMax) {
      throw new MillraceError(
        'MILL_OVERLOADED',
        `${what}: ${appendsInFlightMax} appends are unacknowledged already`,
      );
    }
    const messageId = options?.messageId;
    const header = messageId === undefined ? {} : { msgID: messageId };
    try {
      return (await this.#unlessLost(this.#client.publish(subject, payload, header))).seq;
    } catch (error) {
      throw logUnavailable(what, error);
    }
  }

  async read(log: LogName, options: ReadOptions): Promise<LogReader> {
    assertLogSubject(log, options.subject);
    return this.#openReader({
      stream: streams[log].name,
      filterSubject: options.subject,
      start: { kind: 'sequence', from: Math.max(1, options.from) },
      onMessage: options.onMessage,
      onError: options.onError,
    });
  }

  async logState(log: LogName): Promise<LogState> {
    const { name } = streams[log];
    this.#assertReachable(`look up log "${name}"`);
    try {
      const { state } = await this.jetStream.streams.info(name);
      return {
        firstSequence: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
        lastSequence: state.last_seq,
        messages: state.messages,
        bytes: state.bytes,
      };
    } catch (error) {
      throw logUnavailable(`cannot look up log "${name}"`, error);
    }
  }

  async headOf(log: LogName, subject: string): Promise<Sequence> {
    assertLogSubject(log, subject);
    this.#assertReachable(`look up "${subject}"`);
    try {
      return await this.#heads.of(log, subject);
    } catch (error) {
      throw logUnavailable(`cannot look up "${subject}"`, error);
    }
  }

  async kv(bucket: BucketName): Promise<Kv> {
    let kv = this.#buckets.get(bucket);
    if (kv === undefined) {
      kv = this.#openBucket(buckets[bucket]);
      this.#buckets.set(bucket, kv);
      kv.catch(() => this.#buckets.delete(bucket));
    }
    return kv;
  }

  async trim(log: LogName, subject: string, before: Sequence): Promise<void> {
    assertLogSubject(log, subject);
    const what = `cannot trim "${subject}"`;
    // The newest message stays whatever is asked for, or headOf would tell of an empty log.
    const head = await this.headOf(log, subject);
    const seq = Math.min(before, head);
    if (seq <= 1) return;
    try {
      await this.ask(what, () => this.jetStream.streams.purge(streams[log].name, { filter: subject, seq }));
    } catch (error) {
      throw logUnavailable(what, error);
    }
  }

  async blobs(bucket: BlobBucketName): Promise<BlobStore> {
    let blobs = this.#blobs.get(bucket);
    if (blobs === undefined) {
      blobs = this.#openBlobs(blobBuckets[bucket]);
      this.#blobs.set(bucket, blobs);
      blobs.catch(() => this.#blobs.delete(bucket));
    }
    return blobs;
  }

  notify(subject: string, payload: Uint8Array): void {
    assertExactSubject(subject);
    if (this.#connected && this.#closing === null) this.connection.publish(subject, payload);
  }

  onNotice(subject: string, onNotice: (payload: Uint8Array) => void): LogReader {
    assertExactSubject(subject);
    if (this.#closing !== null)
      throw new MillraceError('MILL_CLOSED', `cannot listen on "${subject}": the bus is closed`);
    const subscription = this.connection.subscribe(subject, {
      callback: (error, message) => {
        // A throw would end the client's parser, and with it everything that this connection carries.
        try {
          if (error !== null) throw error;
          onNotice(plainBytes(message.data));
        } catch (cause) {
          this.logger.error({ subject, reason: reasonFrom(cause) }, 'notice not handled');
        }
      },
    });
    return {
      close: async () => subscription.unsubscribe(),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    if (this.#connected) {
      await this.#within(Promise.all([...this.#unacknowledged].map(({ answered }) => answered)));
      await this.#within(this.connection.drain().catch(() => undefined));
    }
    await this.connection.close();
    // The client leaves the iterator of a closed connection waiting for ever.
    this.#statuses.stop();
    await this.#following;
  }

  /** Waits for `promise`, but not for ever. */
  async #within(promise: Promise<unknown>): Promise<void> {
    const late = new AbortController();
    const limit = sleep(drainMsMax, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([promise, limit]);
    late.abort();
    await limit;
  }

  async #openReader(options: NatsReaderOptions): Promise<LogReader> {
    this.#assertReachable(`cannot read "${options.filterSubject}"`);
    const reader = new NatsReader(this, {
      ...options,
      onError: (error) => {
        this.#readers.delete(reader);
        options.onError(error);
      },
    });
    this.#readers.add(reader);
    try {
      await reader.open();
    } catch (error) {
      this.#readers.delete(reader);
      throw error;
    }
    return {
      close: async () => {
        await reader.close();
        this.#readers.delete(reader);
      },
    };
  }

  async #openBucket(name: string): Promise<Kv> {
    this.#assertReachable(`cannot open bucket "${name}"`);
    try {
      const kv = await this.#client.views.kv(name, bucketOptionsFrom(this.#limits));
      return new NatsKv(name, kv, this, (options) => this.#openReader(options));
    } catch (error) {
      throw logUnavailable(`cannot open bucket "${name}"`, error);
    }
  }

  #openBlobs(bucket: string): Promise<BlobStore> {
    const openReader = (options: NatsReaderOptions) => this.#openReader(options);
    return openNatsBlobs(this, { bucket, replicas: this.#limits.replicas, openReader });
  }

  /** Ends when the connection is closed for good. */
  async #followConnection(): Promise<void> {
    const server = this.connection.getServer();
    for await (const status of this.#statuses) {
      if (status.type === 'disconnect' && this.#connected) {
        this.#connected = false;
        if (this.#closing === null) this.logger.warn({ server }, 'connection to NATS lost');
        const reason = new Error('the connection was lost before the answer came');
        for (const { lose } of this.#unacknowledged) lose(reason);
        this.#unacknowledged.clear();
      } else if (status.type === 'reconnect') {
        this.#connected = true;
        this.logger.info({ server: this.connection.getServer() }, 'connection to NATS is back');
        for (const reader of this.#readers) reader.reconnected();
      }
    }
    this.#connected = false;
  }

  ask<Answer>(what: string, question: () => Promise<Answer>): Promise<Answer> {
    this.#assertReachable(what);
    return this.#unlessLost(question());
  }

  /** The answer, or a rejection as soon as the connection it would come over is lost: the client itself would wait on. */
  #unlessLost<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const answered = answer.then(resolve, reject).finally(() => this.#unacknowledged.delete(entry));
      const entry = { lose: reject, answered };
      this.#unacknowledged.add(entry);
    });
  }

  #assertReachable(what: string): void {
    if (this.#closing !== null) throw new MillraceError('MILL_CLOSED', `${what}: the bus is closed`);
    if (!this.#connected) {
      throw new MillraceError('MILL_LOG_UNAVAILABLE', `${what}: the connection to NATS is lost`);
    }
  }
}
