/**
 * A blob store in a JetStream object store, in the layout of NATS ADR-20, so that `nats object` shows what lies there:
 *
 *   stream OBJ_<bucket>
 *   $O.<bucket>.C.<nuid>           chunks of a value, in order
 *   $O.<bucket>.M.<base64(name)>   JSON: name, nuid, chunks, size, digest; the newest counts
 *
 * The library's own object store hashes in JavaScript (a chunk holds the process for milliseconds), sends without waiting
 * for the server, and waits for ever when the connection breaks; what it leaves behind for each deleted name is never
 * removed. So values are written and read here: a few chunks under way, every wait bounded, deletions complete.
 */
import { createHash } from 'node:crypto';
import { invariant, jsonBytes, jsonFrom, MillraceError } from '@millrace/protocol';
import { DiscardPolicy, headers, nuid, StorageType } from 'nats';
import { type BlobSight, type BlobStore, isBlobName } from './blob-store.ts';
import type { LogReader } from './bus.ts';
import { Gate } from './gate.ts';
import {
  type BlobEntry,
  blobDigest,
  blobEntryFrom,
  blobToken,
  encodeBlobEntry,
  type StoredChunks,
} from './nats-blob-entry.ts';
import { plainBytes } from './nats-consumer.ts';
import { isMessageMissing, isStreamMissing, isStreamTaken, natsReasonFrom } from './nats-errors.ts';
import type { NatsReaderOptions, ReaderHost } from './nats-reader.ts';

export interface NatsBlobsOptions {
  readonly bucket: string;
  /** Copies on the servers. */
  readonly replicas: number;
  readonly openReader: (options: NatsReaderOptions) => Promise<LogReader>;
}

/** One chunk is one message; larger ones would hold up what else the connection carries. */
const chunkBytes = 256 * 1024;
/** Chunks sent and not yet acknowledged: enough to keep the server busy, few enough to hold. */
const chunksInFlightMax = 8;
/** A question that is not answered by then has failed. */
const answerMsMax = 5_000;
/** A listing comes within this time, or is given up. */
const listMsMax = 10_000;
/** Chunks that no name leads to are of a writer that died, once none has been added for so long. */
const orphanMsMin = 60 * 60 * 1_000;
/** So many are removed at one opening; the rest next time. */
const orphansMax = 100;

/** Opens a store, creates it where it is missing, and removes what died writers left. Throws MILL_STORE_UNAVAILABLE. */
export async function openNatsBlobs(host: ReaderHost, options: NatsBlobsOptions): Promise<BlobStore> {
  const blobs = new NatsBlobs(host, options);
  await blobs.open();
  return blobs;
}

class NatsBlobs implements BlobStore {
  readonly #host: ReaderHost;
  readonly #options: NatsBlobsOptions;
  readonly #stream: string;
  readonly #chunkPrefix: string;
  readonly #entryPrefix: string;

  constructor(host: ReaderHost, options: NatsBlobsOptions) {
    this.#host = host;
    this.#options = options;
    this.#stream = `OBJ_${options.bucket}`;
    this.#chunkPrefix = `$O.${options.bucket}.C.`;
    this.#entryPrefix = `$O.${options.bucket}.M.`;
  }

  async open(): Promise<void> {
    await during('open the store', async () => {
      const { streams } = this.#host.jetStream;
      const there = await this.#ask(() => streams.info(this.#stream)).catch((error: unknown) => {
        if (!isStreamMissing(error)) throw error;
        return null;
      });
      if (there !== null) {
        // What died writers left takes room, no more: it can wait for a calmer hour than that of an election.
        return this.#removeOrphans().catch((error: unknown) => {
          const reason = natsReasonFrom(error);
          this.#host.logger.warn({ store: this.#options.bucket, reason }, 'what died writers left stays');
        });
      }
      const config = {
        name: this.#stream,
        subjects: [`${this.#chunkPrefix}>`, `${this.#entryPrefix}>`],
        storage: StorageType.File,
        discard: DiscardPolicy.New,
        num_replicas: this.#options.replicas,
        allow_rollup_hdrs: true,
        allow_direct: true,
      };
      await this.#ask(() => streams.add(config)).catch((error: unknown) => {
        if (!isStreamTaken(error)) throw error;
      });
    });
  }

  async put(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    invariant(isBlobName(name), `a blob name is a path of plain names, got "${name}"`);
    const what = `store "${name}"`;
    const before = await during(what, () => this.#entryOf(name));
    const id = nuid.next();
    const stored = await this.#sendChunks(what, this.#chunkPrefix + id, chunks).catch(
      async (error: unknown) => {
        // What is left where this fails too is removed when somebody opens the store later.
        await this.#purge(this.#chunkPrefix + id).catch(() => undefined);
        throw error;
      },
    );
    const value = encodeBlobEntry(this.#options.bucket, chunkBytes, { name, id, ...stored });
    // Where no answer comes it may be stored all the same, so its chunks stay.
    await during(what, () => this.#publish(this.#entryPrefix + blobToken(name), value, 'newest'));
    if (before !== null) await this.#purge(this.#chunkPrefix + before.id).catch(() => undefined);
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | null> {
    const entry = await during(`read "${name}"`, () => this.#entryOf(name));
    return entry === null ? null : this.#chunksOf(entry);
  }

  async delete(name: string): Promise<void> {
    await during(`delete "${name}"`, async () => {
      const entry = await this.#entryOf(name);
      if (entry === null) return;
      await this.#purge(this.#entryPrefix + blobToken(name));
      await this.#purge(this.#chunkPrefix + entry.id);
    });
  }

  async list(prefix: string): Promise<readonly BlobSight[]> {
    const entries = await during('list the store', () => this.#entries());
    return entries
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, size }) => ({ name, bytes: size }));
  }

  /** Sends a value in chunks of one size; resolves once all are stored. */
  async #sendChunks(
    what: string,
    subject: string,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<StoredChunks> {
    const hash = createHash('sha256');
    const inFlight = new Set<Promise<void>>();
    let failed: { readonly error: unknown } | null = null;
    let [count, size, first] = [0, 0, 0];
    const send = async (piece: Uint8Array) => {
      try {
        const sequence = await this.#publish(subject, piece, 'also');
        if (first === 0) first = sequence;
      } catch (error) {
        failed ??= { error };
      }
    };
    const assertSent = () => {
      if (failed !== null) throw storeUnavailable(what, failed.error);
    };
    try {
      for await (const piece of piecesOf(chunks)) {
        hash.update(piece);
        count += 1;
        size += piece.length;
        const sending = send(piece).finally(() => inFlight.delete(sending));
        inFlight.add(sending);
        if (inFlight.size >= chunksInFlightMax) await Promise.race(inFlight);
        assertSent();
      }
    } finally {
      await Promise.all(inFlight);
    }
    assertSent();
    return { chunks: count, size, digest: blobDigest(hash.digest()), first };
  }

  /** Each chunk is asked for while the one before it is used. */
  async *#chunksOf(entry: BlobEntry): AsyncGenerator<Uint8Array> {
    const what = `read "${entry.name}"`;
    const hash = createHash('sha256');
    const ask = (from: number) => during(what, () => this.#chunkFrom(this.#chunkPrefix + entry.id, from));
    let next = entry.chunks > 0 ? ask(entry.first) : null;
    for (let left = entry.chunks; next !== null; ) {
      const { sequence, bytes } = await next;
      left -= 1;
      next = left > 0 ? ask(sequence + 1) : null;
      // Where the reader leaves, nobody else waits for it.
      next?.catch(() => undefined);
      hash.update(bytes);
      yield bytes;
    }
    if (blobDigest(hash.digest()) !== entry.digest)
      throw storeUnavailable(what, new Error('it is not what was stored: the digest differs'));
  }

  /** The first message of `subject` at or after sequence `from`. */
  async #chunkFrom(subject: string, from: number): Promise<{ sequence: number; bytes: Uint8Array }> {
    const query = { seq: from, next_by_subj: subject };
    const { connection, jetStream } = this.#host;
    const address = `$JS.API.DIRECT.GET.${this.#stream}`;
    const answer = await this.#ask(() =>
      connection.request(address, jsonBytes(query), { timeout: answerMsMax }),
    );
    const sequence = Number(answer.headers?.get('Nats-Sequence'));
    if (answer.headers?.code === 0 && sequence > 0) return { sequence, bytes: plainBytes(answer.data) };
    // A copy may be behind; the leader is not, but answers in base64.
    const { seq, data } = await this.#ask(() => jetStream.streams.getMessage(this.#stream, query));
    return { sequence: seq, bytes: plainBytes(data) };
  }

  async #entryOf(name: string): Promise<BlobEntry | null> {
    const query = { last_by_subj: this.#entryPrefix + blobToken(name) };
    try {
      return blobEntryFrom(
        (await this.#ask(() => this.#host.jetStream.streams.getMessage(this.#stream, query))).data,
      );
    } catch (error) {
      if (isMessageMissing(error)) return null;
      throw error;
    }
  }

  async #entries(): Promise<BlobEntry[]> {
    const entries: BlobEntry[] = [];
    const all = new Gate();
    const reader = await this.#options.openReader({
      stream: this.#stream,
      filterSubject: `${this.#entryPrefix}>`,
      start: { kind: 'newest-per-subject' },
      onMessage: ({ payload, pending }) => {
        const entry = blobEntryFrom(payload);
        if (entry !== null) entries.push(entry);
        if (pending === 0) all.open();
      },
      onError: (error) => all.fail(error),
      onOpen: (pending) => {
        if (pending === 0) all.open();
      },
    });
    try {
      await all.passed(listMsMax);
    } finally {
      await reader.close();
    }
    return entries;
  }

  async #removeOrphans(): Promise<void> {
    const { streams } = this.#host.jetStream;
    const filter = { subjects_filter: `${this.#chunkPrefix}>` };
    const { state } = await this.#ask(() => streams.info(this.#stream, filter));
    const named = new Set((await this.#entries()).map((entry) => this.#chunkPrefix + entry.id));
    const nameless = Object.keys(state.subjects ?? {}).filter((subject) => !named.has(subject));
    // By the server's own clock.
    const newest = Date.parse(String(state.last_ts));
    for (const subject of nameless.slice(0, orphansMax)) {
      const query = { last_by_subj: subject };
      const last = await this.#ask(() => streams.getMessage(this.#stream, query)).catch(() => null);
      if (last !== null && newest - last.time.getTime() >= orphanMsMin) await this.#purge(subject);
    }
  }

  /** Resolves to the sequence once it is stored: as the subject's `newest` and only message, or `also`, behind the others. */
  async #publish(subject: string, payload: Uint8Array, as: 'newest' | 'also'): Promise<number> {
    const header = headers();
    if (as === 'newest') header.set('Nats-Rollup', 'sub');
    const options = { timeout: answerMsMax, ...(as === 'newest' ? { headers: header } : {}) };
    const answer = await this.#ask(() => this.#host.connection.request(subject, payload, options));
    const { seq, error } = jsonFrom(answer.data) as { seq?: number; error?: { description?: string } };
    // A refusal names a sequence too: 0.
    if (error !== undefined || !seq) throw new Error(error?.description ?? 'it was not acknowledged');
    return seq;
  }

  async #purge(subject: string): Promise<void> {
    await this.#ask(() => this.#host.jetStream.streams.purge(this.#stream, { filter: subject }));
  }

  #ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    return this.#host.ask(`cannot ask store "${this.#options.bucket}"`, question);
  }
}

/** Copies what comes in pieces of chunkBytes, the last one shorter: each stays as it is until it is acknowledged. */
async function* piecesOf(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(chunkBytes);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(chunkBytes - filled, chunk.length - at);
      piece.set(chunk.subarray(at, at + take), filled);
      filled += take;
      at += take;
      if (filled < chunkBytes) continue;
      yield piece;
      piece = new Uint8Array(chunkBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeUnavailable(what, error);
  }
}

function storeUnavailable(what: string, cause: unknown): MillraceError {
  return new MillraceError('MILL_STORE_UNAVAILABLE', `cannot ${what}: ${natsReasonFrom(cause)}`, { cause });
}
