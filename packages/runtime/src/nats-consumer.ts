/**
 * One pull consumer of a stream, from its creation until it breaks. It acknowledges nothing, lives in the server's memory
 * and has one filter subject, which is what nats-server 2.9 has. Batches are asked for one at a time, so no more than one
 * waits on this side. A message arrives with the address that an acknowledgement would go to, and all numbers stand there:
 *
 *   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
 *   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.… likewise …   (newer servers; a token may follow)
 */
import type { Sequence } from '@millrace/protocol';
import {
  AckPolicy,
  createInbox,
  DeliverPolicy,
  type JetStreamManager,
  type Msg,
  type NatsConnection,
  type NatsError,
  nanos,
  nuid,
  ReplayPolicy,
  type Subscription,
} from 'nats';
import type { LogMessage } from './bus.ts';

export interface Delivery extends LogMessage {
  readonly raw: Msg;
}

/** `newest-per-subject` first gives the last message of every matching subject: the present state of a bucket. */
export type ConsumerStart =
  | { readonly kind: 'sequence'; readonly from: Sequence }
  | { readonly kind: 'newest-per-subject' };

export interface NatsConsumerOptions {
  readonly connection: NatsConnection;
  readonly jetStream: JetStreamManager;
  readonly stream: string;
  readonly filterSubject: string;
  readonly start: ConsumerStart;
  readonly onDelivery: (delivery: Delivery) => void;
  /** The batch asked for has come, or its time is over: `request` may be called again. */
  readonly onBatchEnd: () => void;
  /** Nothing more will come of this consumer. Called once at most. */
  readonly onBroken: (reason: string) => void;
}

/** Enough messages that asking for them costs little. */
const batchMessagesMax = 512;
/** A batch's bytes. Above the largest message Millrace sends; small enough to hold for each of many readers. */
const batchBytesMax = 8 * 1024 * 1024;
/** A request that found nothing is renewed this often. */
const requestMsMax = 30_000;
/** A consumer on a server that died is silent, and nothing else tells: the log is read on after some three of these. */
const heartbeatMs = 2_000;
/** Silent heartbeat periods after which a request counts as lost. */
const silentPeriodsMax = 3;
/** The server forgets a consumer that nobody asks, such as one left behind by a killed process. */
const consumerIdleMs = 30_000;

/** Creates a consumer on the server; rejects with the client's error when it does not answer or refuses. */
export async function openNatsConsumer(options: NatsConsumerOptions): Promise<NatsConsumer> {
  const { jetStream, stream, start, filterSubject } = options;
  const info = await jetStream.consumers.add(stream, {
    name: `mill-${nuid.next()}`,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    filter_subject: filterSubject,
    inactive_threshold: nanos(consumerIdleMs),
    mem_storage: true,
    num_replicas: 1,
    ...(start.kind === 'sequence'
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.from }
      : { deliver_policy: DeliverPolicy.LastPerSubject }),
  });
  return new NatsConsumer(options, info.name, info.num_pending);
}

export class NatsConsumer {
  /** Messages to come that were stored before the consumer was. */
  readonly pendingAtStart: number;
  readonly #options: NatsConsumerOptions;
  readonly #name: string;
  readonly #subscription: Subscription;
  readonly #inbox = createInbox();
  readonly #heartbeat: NodeJS.Timeout;
  #consumerSequence = 0;
  /** Where the stream sequence begins in every address of this consumer; 0 until the first is seen. */
  #numbersAt = 0;
  /** Messages that may still come of the request under way; 0 when none is. */
  #batchLeft = 0;
  #batchWanted = 0;
  /** The next message is larger than a batch's bytes and has to come alone. */
  #oversize = false;
  #heard = false;
  #silentPeriods = 0;
  #ended = false;

  constructor(options: NatsConsumerOptions, name: string, pendingAtStart: number) {
    this.#options = options;
    this.#name = name;
    this.pendingAtStart = pendingAtStart;
    this.#subscription = options.connection.subscribe(this.#inbox, {
      callback: (error, message) => this.#receive(error, message),
    });
    this.#heartbeat = setInterval(() => this.#checkHeartbeat(), heartbeatMs);
    this.#heartbeat.unref();
  }

  /** Asks for the next batch, unless one is under way. */
  request(): void {
    if (this.#ended || this.#batchLeft > 0) return;
    this.#batchWanted = this.#oversize ? 1 : batchMessagesMax;
    this.#batchLeft = this.#batchWanted;
    this.#heard = true;
    const request = {
      batch: this.#batchWanted,
      ...(this.#oversize ? {} : { max_bytes: batchBytesMax }),
      expires: nanos(requestMsMax),
      idle_heartbeat: nanos(heartbeatMs),
    };
    this.#oversize = false;
    try {
      const address = `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#name}`;
      this.#options.connection.publish(address, JSON.stringify(request), { reply: this.#inbox });
    } catch {
      this.#break('the connection is closed');
    }
  }

  /** Receives nothing more. The server keeps the consumer until `remove` or its idle time. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#subscription.unsubscribe();
  }

  /** Removes the consumer from the server; one that is already gone is as good. */
  async remove(): Promise<void> {
    this.end();
    await this.#options.jetStream.consumers.delete(this.#options.stream, this.#name).catch(() => undefined);
  }

  /** Runs inside the client's parser, which a throw would end: nothing may escape. */
  #receive(error: NatsError | null, message: Msg): void {
    if (this.#ended) return;
    if (error !== null) {
      this.#break(error.message);
      return;
    }
    this.#heard = true;
    if (message.subject === this.#inbox) this.#receiveStatus(message);
    else this.#receiveMessage(message);
  }

  #receiveMessage(message: Msg): void {
    const reply = message.reply ?? '';
    if (this.#numbersAt === 0) this.#numbersAt = numbersPlaceIn(reply);
    const sequenceEnd = reply.indexOf('.', this.#numbersAt);
    const countEnd = reply.indexOf('.', sequenceEnd + 1);
    const timeEnd = reply.indexOf('.', countEnd + 1);
    this.#consumerSequence += 1;
    if (numberIn(reply, sequenceEnd + 1) !== this.#consumerSequence) {
      this.#break(`delivery ${this.#consumerSequence} is missing`);
      return;
    }
    this.#batchLeft -= 1;
    this.#options.onDelivery({
      subject: message.subject,
      sequence: numberIn(reply, this.#numbersAt),
      payload: plainBytes(message.data),
      timeMs: millisecondsIn(reply, countEnd + 1, timeEnd),
      pending: numberIn(reply, timeEnd + 1),
      raw: message,
    });
    if (this.#batchLeft === 0) this.#options.onBatchEnd();
  }

  /** 100 heartbeat · 404, 408 nothing came in time · 409 several ends of a request · 503 no such consumer. */
  #receiveStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description.toLowerCase() ?? '';
    // Newer servers send "batch completed" behind a batch whose messages have all come; the next one is asked for by then.
    if (code === 100 || (code === 409 && description.includes('batch completed'))) return;
    const tooLarge = code === 409 && description.includes('maxbytes');
    if (code !== 404 && code !== 408 && !tooLarge) {
      this.#break(`${code} ${description}`);
      return;
    }
    this.#oversize = tooLarge && this.#batchLeft === this.#batchWanted;
    this.#batchLeft = 0;
    this.#options.onBatchEnd();
  }

  #checkHeartbeat(): void {
    this.#silentPeriods = this.#heard || this.#batchLeft === 0 ? 0 : this.#silentPeriods + 1;
    this.#heard = false;
    if (this.#silentPeriods >= silentPeriodsMax) this.#break('no heartbeat');
  }

  #break(reason: string): void {
    if (this.#ended) return;
    this.end();
    this.#options.onBroken(reason);
  }
}

/** The same bytes as a plain array: the client may hand out a Buffer, whose slice() shares bytes instead of copying them. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Place of the stream sequence: behind five dots, or behind seven where the address has a domain and an account. */
function numbersPlaceIn(reply: string): number {
  let place = 0;
  for (let dots = reply.split('.').length === 9 ? 5 : 7; dots > 0; dots -= 1)
    place = reply.indexOf('.', place) + 1;
  return place;
}

/** The nanoseconds between two places as milliseconds: the last six digits are cut off, which a double could not hold. */
function millisecondsIn(text: string, place: number, end: number): number {
  return Number(text.slice(place, Math.max(place, end - 6)));
}

/** The decimal number that begins at `place`. */
function numberIn(text: string, place: number): number {
  let value = 0;
  for (let index = place; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}
