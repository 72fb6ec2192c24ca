/** What one process sees of NATS: the bus over its own connection. */
import {
  type BlobBucketName,
  type BucketName,
  type LogName,
  MillraceError,
  type Sequence,
} from '@millrace/protocol';
import type {
  AppendOptions,
  BlobStore,
  Bus,
  Kv,
  KvChange,
  KvEntry,
  LogReader,
  LogState,
  ReadOptions,
} from '@millrace/runtime';
import type { NatsLink } from './nats-link.ts';
import { createProcessBlobs } from './process-blobs.ts';
import { openProcessReader } from './process-reader.ts';
import type { Bucket, KvValue, SimulatedNats } from './simulated-nats.ts';
import { delayOf } from './weather.ts';

/** Readers and watches that a process of the small models of the simulation may have open; more are left over. */
const readersMax = 18;
const appendsMax = 1_024;

export function createProcessBus(link: NatsLink, nats: SimulatedNats): Bus {
  const { process, weather } = link;
  const { world, name } = process;
  const { random } = world;
  const passedOver = new Map<string, Set<Sequence>>();
  let readers = 0;
  let appends = 0;
  let closed = false;

  const opened = (by: number) => {
    readers += by;
    if (readers > readersMax) world.violate('I7', `${name} has more than ${readersMax} readers open`);
  };
  const assertOpen = () => {
    if (closed) throw new MillraceError('MILL_CLOSED', 'the bus is closed');
  };

  const append = async (log: LogName, subject: string, payload: Uint8Array, options?: AppendOptions) => {
    assertOpen();
    if (appends >= appendsMax)
      throw new MillraceError('MILL_OVERLOADED', `${appendsMax} appends are unacknowledged already`);
    const messageId = weather.forgetsIds ? undefined : options?.messageId;
    // Not copied before it leaves: a caller that changes it on its way is found out.
    appends += 1;
    try {
      return await link.call(`append to ${subject}`, 'write', () => {
        const sequence = nats.append(log, subject, payload, messageId);
        world.note(`${name} appended ${subject} ${sequence}`);
        return sequence;
      });
    } finally {
      appends -= 1;
    }
  };

  const read = async (log: LogName, options: ReadOptions): Promise<LogReader> => {
    assertOpen();
    const list = nats.subject(log, options.subject);
    const missed = passedOver.get(options.subject) ?? new Set<Sequence>();
    passedOver.set(options.subject, missed);
    return link.call(`read ${options.subject}`, 'read', () => {
      opened(1);
      return openProcessReader(link, log, list, missed, options, () => opened(-1));
    });
  };

  return {
    ensure: () => link.call('ensure', 'read', () => undefined),
    append,
    read,
    logState: (log) =>
      link.call(`look at ${log}`, 'read', (): LogState => {
        throw new Error(`nobody asks for the state of ${log} in a simulation`);
      }),
    headOf: (log, subject) => link.call(`look at ${subject}`, 'read', () => nats.headOf(log, subject)),
    trim: (log, subject, before) =>
      link.call(`trim ${subject}`, 'write', () => {
        world.note(`${name} trimmed ${subject} before ${before}`);
        nats.trim(log, subject, before);
      }),
    async kv(bucket: BucketName): Promise<Kv> {
      assertOpen();
      return createProcessKv(link, nats, bucket, opened);
    },
    async blobs(_bucket: BlobBucketName): Promise<BlobStore> {
      assertOpen();
      return createProcessBlobs({ process, weather, store: nats.snapshots, link, onRead: () => undefined });
    },
    notify(subject, payload) {
      if (!link.connected || closed) return;
      const { generation } = link;
      const copy = payload.slice();
      world.after(delayOf(random, weather, weather.natsDelayMs), () => {
        if (generation !== link.generation) return;
        for (const listener of [...(nats.listeners.get(subject) ?? [])]) listener(copy);
      });
    },
    onNotice(subject, onNotice) {
      const listeners = nats.listeners.get(subject) ?? new Set();
      nats.listeners.set(subject, listeners);
      const listener = (payload: Uint8Array) => {
        if (!link.up || (weather.noticeLost > 0 && random.chance(weather.noticeLost))) return;
        // Each takes its own time, so notices overtake each other.
        world.after(delayOf(random, weather, 2 * weather.natsDelayMs), () =>
          process.enter(() => {
            if (listeners.has(listener) && link.connected) onNotice(payload.slice());
          }),
        );
      };
      listeners.add(listener);
      process.onKill(() => listeners.delete(listener));
      return {
        close: async () => {
          listeners.delete(listener);
        },
      };
    },
    get connected() {
      return link.connected;
    },
    async close() {
      closed = true;
    },
  };
}

function createProcessKv(
  link: NatsLink,
  nats: SimulatedNats,
  bucketName: BucketName,
  opened: (by: number) => void,
): Kv {
  const { process } = link;
  const { world } = process;
  const bucket = nats.bucket(bucketName);
  const write = (key: string, value: Uint8Array | null) => {
    const revision = nats.put(bucket, key, value);
    world.note(`${process.name} wrote ${bucketName}/${key} ${revision}`);
    return revision;
  };
  return {
    get: (key) => link.call(`get ${bucketName}/${key}`, 'read', () => entryOf(bucket.values.get(key))),
    put: (key, value) => {
      const bytes = value.slice();
      return link.call(`put ${bucketName}/${key}`, 'write', () => write(key, bytes));
    },
    putIf: (key, value, revision) => {
      const bytes = value.slice();
      return link.call(`put ${bucketName}/${key}`, 'write', () => {
        const found = entryOf(bucket.values.get(key))?.revision ?? 0;
        return found === revision ? write(key, bytes) : null;
      });
    },
    delete: (key) =>
      link.call(`delete ${bucketName}/${key}`, 'write', () => {
        write(key, null);
      }),
    keys: () =>
      link.call(`list ${bucketName}`, 'read', () =>
        [...bucket.values.values()].filter(({ value }) => value !== null).map(({ key }) => key),
      ),
    watch: (onChange) => watch(link, bucket, bucketName, onChange, opened),
  };
}

function entryOf(found: KvValue | undefined): KvEntry | null {
  if (found === undefined || found.value === null) return null;
  return { key: found.key, value: found.value.slice(), revision: found.revision };
}

/**
 * Changes come in order; those of one key that follow each other during a lost connection come as the last of them. What is
 * present at the time of the call has been given when it resolves.
 */
async function watch(
  link: NatsLink,
  bucket: Bucket,
  bucketName: string,
  onChange: (change: KvChange) => void,
  opened: (by: number) => void,
): Promise<LogReader> {
  const { process, weather } = link;
  const { world } = process;
  /** By key, in order of the newest change. */
  const waiting = new Map<string, KvValue>();
  let closed = false;
  let scheduled = false;
  let left = 0;
  let allGiven = () => {};

  const give = () => {
    scheduled = false;
    const changes = [...waiting.values()];
    waiting.clear();
    for (const change of changes) {
      if (closed) return;
      const entry = entryOf(change);
      if (entry !== null) onChange({ kind: 'put', entry });
      else if (left === 0) onChange({ kind: 'delete', key: change.key });
    }
    left = 0;
    allGiven();
  };
  const wake = () => {
    if (scheduled || closed || waiting.size === 0 || !link.up || !link.connected) return;
    scheduled = true;
    const { generation } = link;
    world.after(delayOf(world.random, weather, weather.natsDelayMs), () => {
      if (generation !== link.generation) scheduled = false;
      else process.enter(give);
    });
  };
  const tell = (change: KvValue) => {
    waiting.delete(change.key);
    waiting.set(change.key, change);
    wake();
  };

  const given = new Promise<void>((resolve) => {
    allGiven = resolve;
  });
  await link.call(`watch ${bucketName}`, 'read', () => {
    const present = [...bucket.values.values()].filter(({ value }) => value !== null);
    left = present.length;
    bucket.watchers.add(tell);
    process.onKill(() => bucket.watchers.delete(tell));
    if (left === 0) allGiven();
    for (const change of present) tell(change);
  });
  opened(1);
  const endResume = link.onResume(() => {
    scheduled = false;
    wake();
  });
  await given;
  return {
    async close() {
      if (closed) return;
      closed = true;
      bucket.watchers.delete(tell);
      endResume();
      opened(-1);
    },
  };
}
