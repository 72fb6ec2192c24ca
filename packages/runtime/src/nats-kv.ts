/**
 * A key-value bucket on NATS. The client's own watch does not survive every restart of the server, so watching is done by
 * the reader of logs: a bucket is a stream `KV_<bucket>` with a subject `$KV.<bucket>.<key>` for each key, and a deletion is
 * a message with the header `KV-Operation` (NATS ADR-8).
 */
import { reasonFrom } from '@millrace/protocol';
import type { KV } from 'nats';
import type { Kv, KvChange, KvEntry, LogReader } from './bus.ts';
import { Gate } from './gate.ts';
import type { Delivery } from './nats-consumer.ts';
import { isRevisionStale, logUnavailable } from './nats-errors.ts';
import type { NatsReaderOptions, ReaderHost } from './nats-reader.ts';

/** The entries of a bucket come within this time, or the watch is given up. */
const presentMsMax = 10_000;

export type OpenReader = (options: NatsReaderOptions) => Promise<LogReader>;

export class NatsKv implements Kv {
  readonly #name: string;
  readonly #kv: KV;
  readonly #host: ReaderHost;
  readonly #openReader: OpenReader;

  constructor(name: string, kv: KV, host: ReaderHost, openReader: OpenReader) {
    this.#name = name;
    this.#kv = kv;
    this.#host = host;
    this.#openReader = openReader;
  }

  async get(key: string): Promise<KvEntry | null> {
    try {
      const entry = await this.#ask(() => this.#kv.get(key));
      if (entry === null || entry.operation !== 'PUT') return null;
      return { key, value: entry.value, revision: entry.revision };
    } catch (error) {
      throw this.#unavailable(error, `read "${key}"`);
    }
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    try {
      return await this.#ask(() => this.#kv.put(key, value));
    } catch (error) {
      throw this.#unavailable(error, `write "${key}"`);
    }
  }

  async putIf(key: string, value: Uint8Array, revision: number): Promise<number | null> {
    try {
      return await this.#ask(() =>
        revision === 0 ? this.#kv.create(key, value) : this.#kv.update(key, value, revision),
      );
    } catch (error) {
      if (isRevisionStale(error)) return null;
      throw this.#unavailable(error, `write "${key}"`);
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#ask(() => this.#kv.delete(key));
    } catch (error) {
      throw this.#unavailable(error, `delete "${key}"`);
    }
  }

  async keys(): Promise<readonly string[]> {
    const keys = new Set<string>();
    const reader = await this.watch((change) => {
      if (change.kind === 'put') keys.add(change.entry.key);
      else keys.delete(change.key);
    });
    await reader.close();
    return [...keys];
  }

  async watch(onChange: (change: KvChange) => void): Promise<LogReader> {
    const prefix = `$KV.${this.#name}.`;
    const present = new Gate();
    const through = await this.#lastSequence();
    const reader = await this.#openReader({
      stream: `KV_${this.#name}`,
      filterSubject: `${prefix}>`,
      start: { kind: 'newest-per-subject' },
      onMessage: (delivery) => {
        const change = changeFrom(delivery, delivery.subject.slice(prefix.length));
        // Before all present entries are given, a deletion says nothing that the caller could have known.
        if (present.isOpen || change.kind === 'put') onChange(change);
        // A server whose count of what is pending is off, as after a value was replaced meanwhile, is not waited for.
        if (delivery.pending === 0 || delivery.sequence >= through) present.open();
      },
      onError: (error) => {
        this.#host.logger.error({ bucket: this.#name, reason: reasonFrom(error) }, 'bucket watch ended');
        present.fail(error);
      },
      onOpen: (pending) => {
        if (pending === 0) present.open();
      },
    });
    try {
      await present.passed(presentMsMax);
    } catch (error) {
      await reader.close();
      throw this.#unavailable(error, 'watch');
    }
    return reader;
  }

  /** Of the newest value or deletion that the bucket holds, 0 when it is empty. */
  async #lastSequence(): Promise<number> {
    try {
      const name = `KV_${this.#name}`;
      return (await this.#ask(() => this.#host.jetStream.streams.info(name))).state.last_seq;
    } catch (error) {
      throw this.#unavailable(error, 'watch');
    }
  }

  #ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    return this.#host.ask(`cannot ask bucket "${this.#name}"`, question);
  }

  #unavailable(error: unknown, what: string): Error {
    return logUnavailable(`bucket "${this.#name}": cannot ${what}`, error);
  }
}

function changeFrom(delivery: Delivery, key: string): KvChange {
  const operation = delivery.raw.headers?.get('KV-Operation') ?? '';
  if (operation === 'DEL' || operation === 'PURGE') return { kind: 'delete', key };
  return {
    kind: 'put',
    entry: { key, value: new Uint8Array(delivery.payload), revision: delivery.sequence },
  };
}
