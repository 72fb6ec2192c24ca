import { type PartitionState, partitionHash } from '@millrace/core';
import { gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { type Bus, createMemoryBus, type LogMessage, type MemoryBus } from '@millrace/runtime';
import { trimBehind } from '@millrace/snapshot';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createModelShard, takePartition } from '../src/model-shard.ts';
import { followPartition, type PartitionFollower } from '../src/partition-follower.ts';
import { blockOf, file, keysOn } from './small-cluster.ts';

const partition = 2;
const subject = gradientsSubject(modelNameFrom('ads'), partition);
const keys = keysOn(partition, 8);

interface Followed {
  readonly state: PartitionState;
  readonly follower: PartitionFollower;
  /** What the follower told, in order. */
  readonly told: readonly string[];
}

async function follow(bus: Bus): Promise<Followed> {
  const state = takePartition(createModelShard(file), partition);
  const told: string[] = [];
  const follower = await followPartition(bus, state, {
    onCaughtUp: () => told.push(`caught up at ${state.sequence}`),
    onRejected: (sequence) => told.push(`rejected ${sequence}`),
    onHole: (sequence) => told.push(`hole before ${sequence}`),
    onTrimmed: (before) => told.push(`trimmed before ${before}`),
    onInterrupted: (error) => told.push(`interrupted: ${error.message}`),
    onFailed: (error) => told.push(`failed: ${error.message}`),
  });
  return { state, follower, told };
}

/** Block n of the chain touches keys n and n + 1, so that blocks applied in another order or left out leave other rows. */
const block = (sequence: number, previous = sequence - 1, producer = 'p') =>
  blockOf({
    partition,
    sequence,
    previous,
    producer,
    keys: keys.slice(2 * (sequence % 7), 2 * (sequence % 7) + 4),
    gradient: sequence,
  });

async function append(bus: MemoryBus, ...payloads: Uint8Array[]): Promise<void> {
  for (const payload of payloads) await bus.append('gradients', subject, payload);
}

/** A bus whose readers see what `deliver` makes of each message. */
function bendReads(
  bus: MemoryBus,
  deliver: (message: LogMessage, handle: (message: LogMessage) => void) => unknown,
): Bus & { reads: number[] } {
  const bent: Bus & { reads: number[] } = Object.create(bus);
  bent.reads = [];
  bent.headOf = (log, of) => bus.headOf(log, of);
  bent.kv = (bucket) => bus.kv(bucket);
  bent.read = (log, options) => {
    bent.reads.push(options.from);
    const onMessage = (message: LogMessage) => {
      let handled: unknown;
      deliver(message, (bent) => {
        handled = options.onMessage(bent);
      });
      return handled as Promise<void> | undefined;
    };
    return bus.read(log, { ...options, onMessage });
  };
  return bent;
}

/** Lets what was started as promises go on; the memory bus needs no more. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The state of a follower that got every message once. */
async function hashOfPlainFollow(bus: MemoryBus): Promise<string> {
  const { state, follower } = await follow(bus);
  await follower.close();
  return partitionHash(state);
}

test('follower: folds what is there, then what comes', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2));
  const { state, follower, told } = await follow(bus);
  expect([state.sequence, state.counts.applied, told]).toEqual([2, 2, ['caught up at 2']]);
  await append(bus, block(3));
  expect([state.sequence, state.counts.applied, state.producers.get('p')]).toEqual([3, 3, 3]);
  await follower.close();
  await append(bus, block(4));
  expect(state.sequence).toBe(3);
});

test('follower: caught up: at once when the log is empty, else at the head that it had, once', async () => {
  const bus = createMemoryBus();
  const { told } = await follow(bus);
  expect(told).toEqual(['caught up at 0']);
  await append(bus, block(1), block(2));
  expect(told).toEqual(['caught up at 0']);
});

test('follower: caught up: not before the head is applied, also when the log grows meanwhile', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2));
  const held: (() => void)[] = [];
  const slow = bendReads(bus, (message, handle) => held.push(() => handle(message)));
  const { told } = await follow(slow);
  await append(bus, block(3));
  held[0]();
  expect(told).toEqual([]);
  held[1]();
  await settled();
  expect(told).toEqual(['caught up at 2']);
  held[2]();
  await settled();
  expect(told).toEqual(['caught up at 2']);
});

test('follower: caught up: damaged and repeated blocks count as progress', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(1), Uint8Array.of(1, 2, 3));
  const { state, told } = await follow(bus);
  expect(told).toEqual(['rejected 3', 'caught up at 3']);
  expect(state.counts).toMatchObject({ applied: 1, duplicates: 1, rejected: 1 });
});

test('follower: a damaged block, a foreign one and one of another partition are reported and passed over', async () => {
  const bus = createMemoryBus();
  const { state, told } = await follow(bus);
  const damaged = block(1);
  damaged[damaged.length - 1] ^= 1;
  const foreign = blockOf({ partition, sequence: 1, keys, model: 'shop' });
  const elsewhere = blockOf({ partition: 1, sequence: 1, keys: keysOn(1, 1) });
  await append(bus, damaged, foreign, elsewhere, block(1));
  expect(told).toEqual(['caught up at 0', 'rejected 1', 'rejected 2', 'rejected 3']);
  expect(state.counts).toMatchObject({ applied: 1, rejected: 3 });
  expect(state.tables[0].count).toBe(2);
});

test('follower: a block published twice changes nothing the second time', async () => {
  const bus = createMemoryBus();
  const { state } = await follow(bus);
  await append(bus, block(1), block(2));
  const rows = state.tables[0].weights.slice(0, 3 * state.tables[0].count);
  await append(bus, block(2), block(1));
  expect(state.tables[0].weights.slice(0, 3 * state.tables[0].count)).toEqual(rows);
  expect([state.sequence, state.counts.duplicates]).toEqual([4, 2]);
});

test('follower: a message delivered twice by the transport is applied once and counts nowhere', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2), block(3));
  const { state } = await follow(
    bendReads(bus, (message, handle) => {
      handle(message);
      handle(message);
    }),
  );
  expect(state.counts).toMatchObject({ applied: 3, duplicates: 0 });
  expect(partitionHash(state)).toBe(await hashOfPlainFollow(bus));
});

/** Delivers everything but `skipped` the first time. */
function dropOnce(bus: MemoryBus, skipped: ReadonlySet<number>) {
  const dropped = new Set<number>();
  return bendReads(bus, (message, handle) => {
    if (skipped.has(message.sequence) && !dropped.has(message.sequence)) dropped.add(message.sequence);
    else handle(message);
  });
}

test('follower: a message that the transport skipped is read again, and all is applied in order', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2), block(3), block(4));
  const lossy = dropOnce(bus, new Set([2]));
  const { state, follower, told } = await follow(lossy);
  await settled();
  expect([state.sequence, told, lossy.reads]).toEqual([4, ['caught up at 4'], [1, 2]]);
  expect(state.counts).toMatchObject({ applied: 4, duplicates: 0 });
  expect(partitionHash(state)).toBe(await hashOfPlainFollow(bus));
  await append(bus, block(5));
  expect(state.sequence).toBe(5);
  await follower.close();
});

test('follower: a hole in the log itself is read twice, then applied and reported', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(3), block(4));
  const { state, told } = await follow(bus);
  await settled();
  expect(told).toEqual(['hole before 2', 'caught up at 3']);
  expect(state.counts).toMatchObject({ applied: 3 });
  expect(state.producers.get('p')).toBe(4);
});

test('follower: two holes and a skipped message in one log', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(3), block(4), block(5), block(7), block(8));
  const { state, told } = await follow(dropOnce(bus, new Set([4])));
  for (let i = 0; i < 5; i += 1) await settled();
  expect(told).toEqual(['hole before 2', 'hole before 5', 'caught up at 6']);
  expect(state.counts).toMatchObject({ applied: 6, duplicates: 0 });
});

test('follower: a block delivered twice behind a skipped one is not taken for the second look', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2), block(3));
  let first = true;
  const { state, told } = await follow(
    bendReads(bus, (message, handle) => {
      if (message.sequence === 2 && first) first = false;
      else {
        handle(message);
        handle(message);
      }
    }),
  );
  await settled();
  expect(told).toEqual(['caught up at 3']);
  expect(partitionHash(state)).toBe(await hashOfPlainFollow(bus));
});

test('follower: producers have chains of their own: a hole in one does not hold up what another one sent', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(1, 0, 'q'), block(3, 2), block(2, 1, 'q'));
  const { state, told } = await follow(bus);
  await settled();
  expect(told).toEqual(['hole before 3', 'caught up at 4']);
  expect([state.producers.get('p'), state.producers.get('q')]).toEqual([3, 2]);
});

test('follower: whatever the transport skips and repeats, the state is that of the log', async () => {
  const step = fc.record({ hole: fc.boolean(), twice: fc.boolean() });
  const places = fc.array(fc.integer({ min: 1, max: 24 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), places, places, async (steps, skipped, repeated) => {
      const bus = createMemoryBus();
      let last = 0;
      const payloads = steps.flatMap(({ hole, twice }) => {
        const previous = last + (hole ? 1 : 0);
        last = previous + 1;
        return twice ? [block(last, previous), block(last, previous)] : [block(last, previous)];
      });
      await append(bus, ...payloads);
      const missing = new Set(skipped.filter((sequence) => sequence <= payloads.length));
      const { state, follower } = await follow(
        bendReads(bus, (message, handle) => {
          if (missing.delete(message.sequence)) return;
          handle(message);
          if (repeated.includes(message.sequence)) handle(message);
        }),
      );
      for (let i = 0; i < 2 * payloads.length; i += 1) await settled();
      // A skipped block shows with the next one of its chain, so one more comes, and it is not skipped.
      await append(bus, block(last + 1));
      for (let i = 0; i < 2 * payloads.length + 2; i += 1) await settled();
      await follower.close();
      const plain = await follow(bus);
      for (let i = 0; i < 2 * payloads.length + 2; i += 1) await settled();
      await plain.follower.close();
      expect(state.counts.applied).toBe(plain.state.counts.applied);
      expect(partitionHash(state)).toBe(partitionHash(plain.state));
    }),
    { numRuns: 100 },
  );
}, 20_000);

test('follower: close: waits for a second look that is under way', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(3));
  const { state, follower } = await follow(bus);
  await follower.close();
  const { sequence } = state;
  await append(bus, block(4));
  await settled();
  expect(state.sequence).toBe(sequence);
});

test('follower: a log that cannot be opened again is told as an interruption, and nothing more is applied', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(3));
  const failing: Bus = Object.create(bus);
  let reads = 0;
  failing.headOf = (log, of) => bus.headOf(log, of);
  failing.read = (log, options) => {
    reads += 1;
    return reads === 1 ? bus.read(log, options) : Promise.reject(new Error('the server is gone'));
  };
  const { told, follower } = await follow(failing);
  await settled();
  expect(told).toEqual(['interrupted: the server is gone']);
  await follower.close();
});

/** Forgets the log below `before`, as a shard does that has written snapshots. */
const trim = (bus: MemoryBus, before: number) => trimBehind(bus, { log: 'gradients', subject }, before, 0);

test('follower: trimmed: a state behind the mark never counts as caught up, whatever the chain of blocks says', async () => {
  const bus = createMemoryBus();
  // A producer of its own each, so that no block names the one before it.
  await append(bus, block(1, 0, 'a'), block(1, 0, 'b'), block(1, 0, 'c'));
  await trim(bus, 3);
  const { told } = await follow(bus);
  expect(told).toEqual(['trimmed before 3']);
  await append(bus, block(1, 0, 'd'));
  await settled();
  expect(told).toEqual(['trimmed before 3']);
});

test('follower: trimmed: a state that the log continues goes on', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2), block(3));
  const before = await follow(bus);
  await before.follower.close();
  await append(bus, block(4));
  await trim(bus, 4);
  const told: string[] = [];
  await followPartition(bus, before.state, {
    onCaughtUp: () => told.push(`caught up at ${before.state.sequence}`),
    onRejected: () => told.push('rejected'),
    onHole: () => told.push('hole'),
    onTrimmed: () => told.push('trimmed'),
    onInterrupted: () => told.push('interrupted'),
    onFailed: () => told.push('failed'),
  });
  expect(told).toEqual(['caught up at 4']);
});

test('follower: trimmed: what is forgotten while it reads is no hole in the log', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2));
  let isLate = true;
  const { state, told, follower } = await follow(
    bendReads(bus, (message, handle) => (isLate && message.sequence > 2 ? undefined : handle(message))),
  );
  expect(told).toEqual(['caught up at 2']);
  await append(bus, block(3), block(4), block(5), block(6));
  isLate = false;
  await trim(bus, 6);
  await append(bus, block(7));
  await settled();
  expect(told).toEqual(['caught up at 2', 'trimmed before 6']);
  expect([state.sequence, state.counts.applied]).toEqual([2, 2]);
  await follower.close();
});

test('follower: trimmed: without an answer about it nothing is opened or accepted', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(3));
  const deaf = bendReads(bus, (message, handle) => handle(message));
  deaf.kv = () => Promise.reject(new Error('no answer'));
  const { state, told, follower } = await follow(deaf);
  await settled();
  expect([told, state.counts.applied]).toEqual([['interrupted: no answer'], 1]);
  await follower.close();
});

test('follower: hold: the state stands still until the release, and no message is lost', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2));
  const { state, follower } = await follow(bus);
  await follower.hold();
  await append(bus, block(3), block(4), block(5));
  await settled();
  expect([state.sequence, state.counts.applied]).toEqual([2, 2]);
  follower.release();
  await settled();
  expect([state.sequence, state.counts.applied]).toEqual([5, 5]);
  await follower.hold();
  follower.release();
  await append(bus, block(6));
  expect(state.sequence).toBe(6);
  expect(partitionHash(state)).toBe(await hashOfPlainFollow(bus));
});

test('follower: hold: waits for a hole that is being looked into', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1));
  let answer = () => {};
  const slow = bendReads(bus, (message, handle) => handle(message));
  const { state, follower, told } = await follow(slow);
  slow.kv = async (bucket) => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return bus.kv(bucket);
  };
  await append(bus, block(3), block(4));
  await settled();
  let isHeld = false;
  const holding = follower.hold().then(() => {
    isHeld = true;
  });
  await settled();
  expect([isHeld, state.sequence]).toEqual([false, 1]);
  answer();
  await holding;
  expect([state.sequence, told]).toEqual([2, ['caught up at 1', 'hole before 2']]);
  await settled();
  expect(state.sequence).toBe(2);
  follower.release();
  await settled();
  expect(state.sequence).toBe(3);
});

test('follower: hold: one that is closed meanwhile applies nothing any more', async () => {
  const bus = createMemoryBus();
  const { state, follower } = await follow(bus);
  await follower.hold();
  await append(bus, block(1));
  await follower.close();
  await settled();
  expect(state.sequence).toBe(0);
});

test('follower: behind: messages beyond the state, as the last delivery told', async () => {
  const bus = createMemoryBus();
  await append(bus, block(1), block(2), block(3));
  const held: (() => void)[] = [];
  const { follower } = await follow(bendReads(bus, (message, handle) => held.push(() => handle(message))));
  const seen = [follower.behind];
  for (const deliver of held) {
    deliver();
    seen.push(follower.behind);
  }
  expect(seen).toEqual([1, 2, 1, 0]);
});

test('follower: a trim is noticed though the message that it kept is one that is refused', async () => {
  const bus = createMemoryBus();
  // Cut off while 2 and 3 came: they are trimmed when it is back, and what a trim keeps is the newest message.
  const bent = bendReads(bus, (message, handle) => {
    if (![2, 3].includes(message.sequence)) handle(message);
  });
  const { state, told } = await follow(bent);
  await append(bus, block(1), block(2), block(3), Uint8Array.of(1, 2, 3));
  await trim(bus, 5);
  await append(bus, block(4));
  for (let i = 0; i < 5; i += 1) await settled();
  expect(told).toEqual(['caught up at 0', 'rejected 4', 'trimmed before 5']);
  expect(state.counts.applied).toBe(1);
});
