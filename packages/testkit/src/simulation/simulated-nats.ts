/** The message server: logs, key-value buckets, notices and an object store, each exactly as told. What goes wrong on the way is process-bus.ts. */
import type { BucketName, LogName, Sequence } from '@millrace/protocol';
import { startMs } from './simulated-process.ts';
import { createSimulatedStore, type SimulatedStore } from './simulated-store.ts';
import type { World } from './world.ts';

export interface StoredMessage {
  readonly sequence: Sequence;
  readonly payload: Uint8Array;
  /** By the server's clock, which is right. */
  readonly timeMs: number;
}

export interface SubjectLog {
  /** All messages ever, trimmed ones too, so that the truth can be told from them. */
  readonly messages: StoredMessage[];
  /** Messages before this place are trimmed. */
  start: number;
  readonly readers: Set<() => void>;
}

export interface KvValue {
  readonly key: string;
  /** Null: deleted. */
  readonly value: Uint8Array | null;
  readonly revision: number;
}

export interface Bucket {
  readonly values: Map<string, KvValue>;
  readonly watchers: Set<(change: KvValue) => void>;
  revision: number;
}

export interface SimulatedNats {
  append(log: LogName, subject: string, payload: Uint8Array, messageId: string | undefined): Sequence;
  subject(log: LogName, subject: string): SubjectLog;
  headOf(log: LogName, subject: string): Sequence;
  trim(log: LogName, subject: string, before: Sequence): void;
  bucket(name: BucketName): Bucket;
  put(bucket: Bucket, key: string, value: Uint8Array | null): number;
  readonly listeners: Map<string, Set<(payload: Uint8Array) => void>>;
  readonly snapshots: SimulatedStore;
  /** Told of every message as it is stored. */
  onStored: (log: LogName, subject: string, message: StoredMessage) => void;
}

/** As nats-server remembers message ids. */
const idsKeptMs = 120_000;

export function createSimulatedNats(world: World): SimulatedNats {
  const lastSequences: Record<LogName, Sequence> = { events: 0, gradients: 0, dense: 0, measures: 0 };
  const subjects = new Map<string, SubjectLog>();
  const ids = new Map<string, { sequence: Sequence; atMs: number }>();
  const buckets = new Map<BucketName, Bucket>();

  const subject = (log: LogName, name: string): SubjectLog => {
    const key = `${log}/${name}`;
    let found = subjects.get(key);
    if (found === undefined) {
      found = { messages: [], start: 0, readers: new Set() };
      subjects.set(key, found);
    }
    return found;
  };

  const nats: SimulatedNats = {
    append(log, name, payload, messageId) {
      const idKey = `${log}/${messageId}`;
      const earlier = messageId === undefined ? undefined : ids.get(idKey);
      if (earlier !== undefined && world.nowMs - earlier.atMs < idsKeptMs) return earlier.sequence;
      lastSequences[log] += 1;
      const sequence = lastSequences[log];
      if (messageId !== undefined) ids.set(idKey, { sequence, atMs: world.nowMs });
      const list = subject(log, name);
      const message = { sequence, payload: alignedCopy(payload), timeMs: Math.floor(startMs + world.nowMs) };
      list.messages.push(message);
      nats.onStored(log, name, message);
      for (const wake of [...list.readers]) wake();
      return sequence;
    },
    subject,
    headOf: (log, name) => subject(log, name).messages.at(-1)?.sequence ?? 0,
    trim(log, name, before) {
      const list = subject(log, name);
      while (list.start < list.messages.length - 1 && list.messages[list.start].sequence < before)
        list.start += 1;
    },
    bucket(name) {
      let bucket = buckets.get(name);
      if (bucket === undefined) {
        bucket = { values: new Map(), watchers: new Set(), revision: 0 };
        buckets.set(name, bucket);
      }
      return bucket;
    },
    put(bucket, key, value) {
      bucket.revision += 1;
      const change = { key, value: value === null ? null : new Uint8Array(value), revision: bucket.revision };
      bucket.values.delete(key);
      bucket.values.set(key, change);
      for (const tell of [...bucket.watchers]) tell(change);
      return change.revision;
    },
    listeners: new Map(),
    snapshots: createSimulatedStore('shared'),
    onStored: () => undefined,
  };
  return nats;
}

/** Index of the first message that is not trimmed and whose sequence is at least `from`. */
export function placeFrom({ messages, start }: SubjectLog, from: Sequence): number {
  let low = start;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (messages[middle].sequence < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function alignedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}
