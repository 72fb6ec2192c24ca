/**
 * Reads one subject of a stream in order, for as long as it is wanted, over any number of lost connections.
 *
 *   open consumer ──▶ ask for a batch ──▶ receive ──▶ handle ──▶ ask …
 *         ▲                                  │ broken
 *         └────────────── wait ◀─────────────┘
 *
 * Whatever goes wrong (connection lost, server restarted, consumer gone, heartbeats missing, a hole in the consumer's
 * count) has one answer: forget the consumer and open another from the sequence after the last one received. The stream's
 * sequence, not the consumer, is the place of truth, so nothing is skipped and nothing repeated. A batch is asked for when
 * the one before has been handled, so a slow handler holds the server back instead of filling this side.
 */
import { isMillraceError, MillraceError, type Sequence } from '@millrace/protocol';
import type { JetStreamManager, NatsConnection } from 'nats';
import type { LogReader } from './bus.ts';
import type { Logger } from './logger.ts';
import { type ConsumerStart, type Delivery, type NatsConsumer, openNatsConsumer } from './nats-consumer.ts';
import { isStreamMissing, logUnavailable } from './nats-errors.ts';
import { Pump } from './pump.ts';
import { Signal } from './signal.ts';

/** What readers need of the bus. */
export interface ReaderHost {
  readonly connection: NatsConnection;
  readonly jetStream: JetStreamManager;
  readonly logger: Logger;
  isConnected(): boolean;
  /** Asks the server something; rejects as soon as the connection that the answer would come over is lost. */
  ask<Answer>(what: string, question: () => Promise<Answer>): Promise<Answer>;
}

export interface NatsReaderOptions {
  readonly stream: string;
  readonly filterSubject: string;
  readonly start: ConsumerStart;
  readonly onMessage: (delivery: Delivery) => void | Promise<void>;
  /** Delivery has ended and will not resume. */
  readonly onError: (error: Error) => void;
  /** A consumer was opened, `pending` messages of its subject are on the server. */
  readonly onOpen?: (pending: number) => void;
}

const reopenMsMin = 50;
const reopenMsMax = 1_000;
/** A stream missing so often in a row, over some two seconds, is gone; seldomer it may be a server still loading it. */
const streamMissingMax = 6;

export class NatsReader implements LogReader {
  readonly #host: ReaderHost;
  readonly #options: NatsReaderOptions;
  readonly #pump: Pump<Delivery>;
  /** Received and not handled yet: one batch at most. */
  readonly #queue: Delivery[] = [];
  #queueStart = 0;
  /** Highest stream sequence received; 0 before the first. */
  #received: Sequence = 0;
  #consumer: NatsConsumer | null = null;
  readonly #changed = new Signal();
  /** Openings that failed, and consumers that broke before they delivered anything, in a row. */
  #failures = 0;
  #missing = 0;
  #ended = false;
  #following: Promise<void> = Promise.resolve();

  constructor(host: ReaderHost, options: NatsReaderOptions) {
    this.#host = host;
    this.#options = options;
    this.#pump = new Pump<Delivery>({
      take: () => this.#take(),
      handle: options.onMessage,
      onFailed: (error) => this.#fail(error),
      onIdle: () => this.#consumer?.request(),
    });
  }

  /** Opens the first consumer; delivery goes on from there. Rejects when the server gives none. */
  async open(): Promise<void> {
    try {
      await this.#openConsumer();
    } catch (error) {
      throw logUnavailable(`cannot read log "${this.#options.stream}"`, error);
    }
    this.#following = this.#follow();
  }

  /** To be called when the connection is back: what was asked for over the old one is lost. */
  reconnected(): void {
    this.#failures = 0;
    this.#dropConsumer();
    this.#changed.raise();
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#changed.raise();
    const consumer = this.#dropConsumer();
    await this.#pump.stop();
    await this.#following;
    if (consumer !== null && this.#host.isConnected()) await consumer.remove();
  }

  /** Opens another consumer each time the present one is gone. */
  async #follow(): Promise<void> {
    while (!this.#ended) {
      await this.#changed.wait(Number.POSITIVE_INFINITY);
      while (this.#isAway()) {
        if (this.#failures > 0) await this.#changed.wait(pauseMs(this.#failures));
        if (this.#isAway()) await this.#tryOpen();
      }
    }
  }

  #isAway(): boolean {
    return !this.#ended && this.#consumer === null && this.#host.isConnected();
  }

  async #tryOpen(): Promise<void> {
    const { stream, filterSubject } = this.#options;
    try {
      await this.#openConsumer();
      this.#missing = 0;
      this.#host.logger.info(
        { stream, subject: filterSubject, after: this.#received },
        'log reading resumed',
      );
    } catch (error) {
      this.#failures += 1;
      this.#missing = isStreamMissing(error) ? this.#missing + 1 : 0;
      if (isMillraceError(error) || this.#missing >= streamMissingMax) {
        this.#fail(logUnavailable(`log "${stream}" is gone`, error));
      }
    }
  }

  async #openConsumer(): Promise<void> {
    const { start, stream, filterSubject, onOpen } = this.#options;
    const { connection, jetStream } = this.#host;
    if (this.#received > 0) {
      const endsAt = (await jetStream.streams.info(stream)).state.last_seq;
      if (endsAt < this.#received) this.#restart(endsAt);
    }
    const consumer = await openNatsConsumer({
      connection,
      jetStream,
      stream,
      filterSubject,
      start: this.#received === 0 ? start : { kind: 'sequence', from: this.#received + 1 },
      onDelivery: (delivery) => this.#receive(delivery),
      onBatchEnd: () => this.#pump.run(),
      onBroken: (reason) => this.#lose(reason),
    });
    if (this.#ended) {
      await consumer.remove();
      return;
    }
    this.#consumer = consumer;
    onOpen?.(consumer.pendingAtStart);
    this.#pump.run();
  }

  /**
   * The stream ends before what was read of it: the server lost its tail, or was given another directory. A bucket is
   * read anew, since only its present state counts. A log has another past now, and to read on would mix the two.
   */
  #restart(endsAt: Sequence): void {
    const { start, stream } = this.#options;
    if (start.kind === 'sequence') {
      throw new MillraceError(
        'MILL_LOG_UNAVAILABLE',
        `log "${stream}" has lost its tail: sequence ${this.#received} was read, now it ends at ${endsAt}`,
      );
    }
    this.#received = 0;
  }

  #receive(delivery: Delivery): void {
    const { start } = this.#options;
    if (delivery.sequence <= this.#received) return;
    // Older servers (2.9) move a start beyond the end back to the end; what comes before the wanted sequence is not wanted.
    if (start.kind === 'sequence' && delivery.sequence < start.from) return;
    this.#received = delivery.sequence;
    this.#failures = 0;
    this.#queue.push(delivery);
    this.#pump.run();
  }

  #take(): Delivery | undefined {
    if (this.#queueStart === this.#queue.length) {
      this.#queue.length = 0;
      this.#queueStart = 0;
      return undefined;
    }
    this.#queueStart += 1;
    return this.#queue[this.#queueStart - 1];
  }

  #lose(reason: string): void {
    const { stream, filterSubject } = this.#options;
    this.#host.logger.warn(
      { stream, subject: filterSubject, received: this.#received, reason },
      'log reading interrupted',
    );
    this.#failures += 1;
    this.#dropConsumer();
    this.#changed.raise();
  }

  #dropConsumer(): NatsConsumer | null {
    const consumer = this.#consumer;
    this.#consumer = null;
    consumer?.end();
    return consumer;
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#dropConsumer();
    this.#changed.raise();
    this.#options.onError(error);
  }
}

function pauseMs(failures: number): number {
  return Math.min(reopenMsMax, reopenMsMin * 2 ** failures);
}
