/** What every bus must do, whatever carries it. The contracts stand in src/bus.ts; each test here holds one of them. */
import { denseSubject, eventsSubject, gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bus, KvChange, LogMessage, LogReader, ReadOptions } from '../src/bus.ts';

export interface OpenedBus {
  readonly bus: Bus;
  /** Ends what the bus runs on; the bus itself is closed by the test. */
  readonly end: () => Promise<void>;
}

const ads = modelNameFrom('ads');
const subject = gradientsSubject(ads, 3);
const other = gradientsSubject(ads, 4);

/** Runs the suite on buses that `open` gives, each with empty logs and buckets. */
export function busConformance(name: string, open: () => Promise<OpenedBus>): void {
  describe(`${name}: conformance`, () => {
    let opened: OpenedBus;
    let bus: Bus;

    beforeEach(async () => {
      opened = await open();
      bus = opened.bus;
      await bus.ensure();
    });

    afterEach(async () => {
      await bus.close();
      await opened.end();
    });

    const append = (text: string, to = subject) => bus.append('gradients', to, bytesOf(text));
    const appendAll = async (...texts: string[]) => {
      for (const text of texts) await append(text);
    };

    test('log: append: sequences ascend over all subjects of a log, from 1', async () => {
      expect(await append('a')).toBe(1);
      expect(await append('b', other)).toBe(2);
      expect(await append('c')).toBe(3);
      expect(await bus.append('dense', denseSubject(ads), bytesOf('d'))).toBe(1);
    });

    test('log: append: calls that overlap are stored in the order they were made', async () => {
      const sequences = await Promise.all(['a', 'b', 'c', 'd'].map((text) => append(text)));
      expect(sequences).toEqual([1, 2, 3, 4]);
      const seen = await collector(bus);
      await seen.until(4);
      expect(seen.texts).toEqual(['a', 'b', 'c', 'd']);
    });

    test('log: append: keeps the bytes as they were, though the caller reuses its buffer', async () => {
      const buffer = bytesOf('first');
      await bus.append('gradients', subject, buffer);
      buffer.set(bytesOf('later'));
      const seen = await collector(bus);
      await seen.until(1);
      expect(seen.texts).toEqual(['first']);
    });

    test('log: append: a repeated message id is stored once and answers with the same sequence', async () => {
      const first = await bus.append('events', eventsSubject(ads), bytesOf('x'), { messageId: 'm1' });
      const second = await bus.append('events', eventsSubject(ads), bytesOf('x'), { messageId: 'm1' });
      const third = await bus.append('events', eventsSubject(ads), bytesOf('y'), { messageId: 'm2' });
      expect([first, second, third]).toEqual([1, 1, 2]);
      expect((await bus.logState('events')).messages).toBe(2);
    });

    test('log: append: a message over the limit is refused', async () => {
      const payload = new Uint8Array(4 * 1024 * 1024 + 1);
      await expect(bus.append('gradients', subject, payload)).rejects.toMatchObject({
        code: 'MILL_BODY_TOO_LARGE',
      });
    });

    test('log: append: the largest message is stored and read', async () => {
      const payload = new Uint8Array(4 * 1024 * 1024).fill(7);
      await bus.append('gradients', subject, payload);
      const lengths: number[] = [];
      await read({ onMessage: (message) => void lengths.push(message.payload.length) });
      await eventually(() => lengths).toEqual([4 * 1024 * 1024]);
    });

    test('log: append: a subject of another log is a defect', async () => {
      await expect(bus.append('gradients', eventsSubject(ads), bytesOf('x'))).rejects.toThrow(/invariant/);
    });

    test('log: read: stored messages, then new ones, in order, of its subject alone', async () => {
      await append('a');
      await append('elsewhere', other);
      await append('b');
      const seen = await collector(bus);
      await seen.until(2);
      await append('elsewhere', other);
      await append('c');
      await seen.until(3);
      expect(seen.texts).toEqual(['a', 'b', 'c']);
      expect(seen.messages.map((message) => message.sequence)).toEqual([1, 3, 5]);
      expect(seen.messages.every((message) => message.subject === subject)).toBe(true);
    });

    test('log: read: starts at the first message at or after the sequence asked for', async () => {
      await appendAll('a', 'b');
      await append('elsewhere', other);
      await appendAll('c', 'd');
      const fromThird = await collector(bus, { from: 3 });
      const fromSecond = await collector(bus, { from: 2 });
      await fromThird.until(2);
      await fromSecond.until(3);
      expect(fromThird.texts).toEqual(['c', 'd']);
      expect(fromSecond.texts).toEqual(['b', 'c', 'd']);
    });

    test('log: read: from beyond the end gives only what comes after', async () => {
      await appendAll('a', 'b');
      const seen = await collector(bus, { from: 4 });
      await appendAll('c', 'd', 'e');
      await seen.until(2);
      expect(seen.texts).toEqual(['d', 'e']);
    });

    test('log: read: pending counts the messages of the subject that lie beyond', async () => {
      await append('a');
      await append('elsewhere', other);
      await appendAll('b', 'c');
      const seen = await collector(bus);
      await seen.until(3);
      expect(seen.messages.map((message) => message.pending)).toEqual([2, 1, 0]);
    });

    test('log: read: messages tell when they were stored, where the log has a clock, alike to every reader', async () => {
      const before = Date.now();
      await appendAll('a', 'b');
      const after = Date.now();
      const [first, second] = [await collector(bus), await collector(bus)];
      await Promise.all([first.until(2), second.until(2)]);
      const times = first.messages.map(({ timeMs }) => timeMs);
      expect(second.messages.map(({ timeMs }) => timeMs)).toEqual(times);
      for (const timeMs of times) {
        if (timeMs === null) continue;
        // The server rounds down to milliseconds here, and runs on the same machine.
        expect(timeMs).toBeGreaterThanOrEqual(before - 1);
        expect(timeMs).toBeLessThanOrEqual(after + 1);
      }
    });

    test('log: read: two thousand messages come in order, whatever the batches are', async () => {
      const count = 2_000;
      await Promise.all(Array.from({ length: count }, (_, index) => append(String(index))));
      const seen = await collector(bus);
      await seen.until(count);
      expect(seen.texts).toEqual(Array.from({ length: count }, (_, index) => String(index)));
    });

    test('log: read: two readers of a subject both get everything', async () => {
      const first = await collector(bus);
      const second = await collector(bus);
      await appendAll('a', 'b');
      await first.until(2);
      await second.until(2);
      expect(first.texts).toEqual(['a', 'b']);
      expect(second.texts).toEqual(['a', 'b']);
    });

    test('log: read: an asynchronous handler never overlaps itself and keeps the order', async () => {
      await appendAll('a', 'b', 'c');
      let running = 0;
      let runningMax = 0;
      const done: string[] = [];
      await read({
        onMessage: async (message) => {
          running += 1;
          runningMax = Math.max(runningMax, running);
          await turnsOfTheLoop(3);
          done.push(textOf(message.payload));
          running -= 1;
        },
      });
      await appendAll('d', 'e');
      await eventually(() => done).toEqual(['a', 'b', 'c', 'd', 'e']);
      expect(runningMax).toBe(1);
    });

    test('log: read: a handler may append to the subject it reads', async () => {
      const seen: string[] = [];
      const appended: Promise<number>[] = [];
      await read({
        onMessage: (message) => {
          seen.push(textOf(message.payload));
          if (seen.length < 4) appended.push(append(`${textOf(message.payload)}+`));
        },
      });
      await append('a');
      await eventually(() => seen).toEqual(['a', 'a+', 'a++', 'a+++']);
      await Promise.all(appended);
    });

    test.for([
      { kind: 'throws', fail: () => bang() },
      { kind: 'rejects', fail: async () => bang() },
    ])('log: read: a handler that $kind ends its reader alone, and says so once', async ({ fail }) => {
      const errors: string[] = [];
      const handled: string[] = [];
      const healthy = await collector(bus);
      await read({
        onMessage: (message) => {
          handled.push(textOf(message.payload));
          return fail();
        },
        onError: (error) => errors.push(error.message),
      });
      await appendAll('a', 'b');
      await healthy.until(2);
      await eventually(() => errors).toEqual(['bang']);
      expect(handled).toEqual(['a']);
    });

    test('log: read: close waits for the handler that runs, and nothing is handled after it', async () => {
      await appendAll('a', 'b');
      const steps: string[] = [];
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      const reader = await read({
        onMessage: async (message) => {
          steps.push(`start ${textOf(message.payload)}`);
          await gate;
          steps.push(`end ${textOf(message.payload)}`);
        },
      });
      await eventually(() => steps).toEqual(['start a']);
      const closed = reader.close().then(() => steps.push('closed'));
      release();
      await closed;
      await append('c');
      await (await collector(bus)).until(3);
      expect(steps).toEqual(['start a', 'end a', 'closed']);
    });

    test('log: state and head: of an empty log, and after appends', async () => {
      expect(await bus.logState('gradients')).toMatchObject({
        lastSequence: 0,
        messages: 0,
        bytes: 0,
        firstSequence: 1,
      });
      expect(await bus.headOf('gradients', subject)).toBe(0);
      await append('a');
      await append('b', other);
      const state = await bus.logState('gradients');
      expect(state).toMatchObject({ firstSequence: 1, lastSequence: 2, messages: 2 });
      expect(state.bytes).toBeGreaterThanOrEqual(2);
      expect(await bus.headOf('gradients', subject)).toBe(1);
      expect(await bus.headOf('gradients', other)).toBe(2);
    });

    test('log: trim: what lies below is gone for readers, sequences and other subjects stay', async () => {
      await appendAll('a', 'b');
      await append('elsewhere', other);
      await appendAll('c', 'd');
      await bus.trim('gradients', subject, 4);
      expect(await bus.headOf('gradients', subject)).toBe(5);
      expect(await bus.headOf('gradients', other)).toBe(3);
      const seen = await collector(bus, { from: 1 });
      await append('e');
      await seen.until(3);
      expect(seen.texts).toEqual(['c', 'd', 'e']);
      expect(seen.messages.map(({ sequence }) => sequence)).toEqual([4, 5, 6]);
      const elsewhere: number[] = [];
      await read({ subject: other, onMessage: ({ sequence }) => void elsewhere.push(sequence) });
      await eventually(() => elsewhere).toEqual([3]);
      expect((await bus.logState('gradients')).messages).toBe(4);
    });

    test('log: trim: a sequence between two messages keeps the later one', async () => {
      await append('a');
      await append('elsewhere', other);
      await append('b');
      await bus.trim('gradients', subject, 2);
      const seen = await collector(bus, { from: 1 });
      await seen.until(1);
      expect(seen.messages.map(({ sequence }) => sequence)).toEqual([3]);
    });

    test.for([3, 4, 1_000])(
      'log: trim: below %d of 3 messages keeps the newest, and the head',
      async (before) => {
        await appendAll('a', 'b', 'c');
        await bus.trim('gradients', subject, before);
        expect(await bus.headOf('gradients', subject)).toBe(3);
        const seen = await collector(bus, { from: 1 });
        expect(await append('d')).toBe(4);
        await seen.until(2);
        expect(seen.texts).toEqual(['c', 'd']);
      },
    );

    test('log: trim: nothing to trim is harmless: an empty subject, a sequence of 1, the same again', async () => {
      await bus.trim('gradients', subject, 100);
      expect(await bus.headOf('gradients', subject)).toBe(0);
      await appendAll('a', 'b');
      await bus.trim('gradients', subject, 0);
      await bus.trim('gradients', subject, 1);
      expect((await bus.logState('gradients')).messages).toBe(2);
      await bus.trim('gradients', subject, 2);
      await bus.trim('gradients', subject, 2);
      await bus.trim('gradients', subject, 1);
      const seen = await collector(bus);
      await seen.until(1);
      expect(seen.texts).toEqual(['b']);
    });

    test('log: trim: a reader that is beyond it goes on; one that waits still gets what is left, in order', async () => {
      const beyond = await collector(bus);
      await appendAll('a', 'b', 'c');
      await beyond.until(3);
      await bus.trim('gradients', subject, 3);
      const behind = await collector(bus, { from: 2 });
      await appendAll('d', 'e');
      await beyond.until(5);
      await behind.until(3);
      expect(beyond.texts).toEqual(['a', 'b', 'c', 'd', 'e']);
      expect(behind.texts).toEqual(['c', 'd', 'e']);
      expect(behind.messages.at(-1)!.pending).toBe(0);
    });

    test('log: trim: of a subject of another log is a defect', async () => {
      await expect(bus.trim('gradients', eventsSubject(ads), 2)).rejects.toThrow(/invariant/);
    });

    test('blobs: a bucket asked for again holds what was put', async () => {
      await (await bus.blobs('snapshots')).put('ads/0000004d/3/1-full', [bytesOf('one '), bytesOf('two')]);
      const again = await bus.blobs('snapshots');
      expect(await again.list('ads/')).toEqual([{ name: 'ads/0000004d/3/1-full', bytes: 7 }]);
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await again.get('ads/0000004d/3/1-full'))!) chunks.push(chunk);
      expect(textOf(Buffer.concat(chunks))).toBe('one two');
    });

    test('kv: get, put, delete: revisions ascend and an absent key is null', async () => {
      const kv = await bus.kv('models');
      expect(await kv.get('ads')).toBeNull();
      const first = await kv.put('ads', bytesOf('one'));
      const second = await kv.put('ads', bytesOf('two'));
      expect(second).toBeGreaterThan(first);
      const entry = await kv.get('ads');
      expect(entry).toMatchObject({ key: 'ads', revision: second });
      expect(textOf(entry!.value)).toBe('two');
      await kv.delete('ads');
      expect(await kv.get('ads')).toBeNull();
      expect(await (await bus.kv('maps')).get('ads')).toBeNull();
    });

    test('kv: putIf: writes only over the revision named', async () => {
      const kv = await bus.kv('maps');
      const first = await kv.putIf('ads', bytesOf('one'), 0);
      expect(first).toBeGreaterThan(0);
      expect(await kv.putIf('ads', bytesOf('late'), 0)).toBeNull();
      const second = await kv.putIf('ads', bytesOf('two'), first!);
      expect(second).toBeGreaterThan(first!);
      expect(await kv.putIf('ads', bytesOf('late'), first!)).toBeNull();
      expect(textOf((await kv.get('ads'))!.value)).toBe('two');
    });

    test('kv: putIf: a deleted key counts as absent', async () => {
      const kv = await bus.kv('maps');
      const first = await kv.putIf('ads', bytesOf('one'), 0);
      await kv.delete('ads');
      expect(await kv.putIf('ads', bytesOf('late'), first!)).toBeNull();
      expect(await kv.putIf('ads', bytesOf('again'), 0)).toBeGreaterThan(first!);
    });

    test('kv: putIf: one of several writers at once wins', async () => {
      const kv = await bus.kv('updaters');
      const revisions = await Promise.all(
        ['a', 'b', 'c', 'd'].map((text) => kv.putIf('ads', bytesOf(text), 0)),
      );
      expect(revisions.filter((revision) => revision !== null)).toHaveLength(1);
    });

    test('kv: keys: those present, without the deleted', async () => {
      const kv = await bus.kv('shards');
      expect(await kv.keys()).toEqual([]);
      await kv.put('shard-1', bytesOf('x'));
      await kv.put('shard-2', bytesOf('x'));
      await kv.put('shard-3', bytesOf('x'));
      await kv.delete('shard-2');
      expect([...(await kv.keys())].sort()).toEqual(['shard-1', 'shard-3']);
    });

    test('kv: watch: what is present before it resolves, then each change in order', async () => {
      const kv = await bus.kv('models');
      await kv.put('a', bytesOf('1'));
      await kv.put('gone', bytesOf('1'));
      await kv.put('b', bytesOf('1'));
      await kv.delete('gone');
      const changes: string[] = [];
      const watch = await kv.watch((change) => changes.push(changeText(change)));
      expect([...changes].sort()).toEqual(['a=1', 'b=1']);
      changes.length = 0;
      await kv.put('a', bytesOf('2'));
      await kv.delete('b');
      await kv.put('c', bytesOf('1'));
      await eventually(() => changes).toEqual(['a=2', 'b deleted', 'c=1']);
      await watch.close();
      await kv.put('a', bytesOf('3'));
      expect(changes).toEqual(['a=2', 'b deleted', 'c=1']);
    });

    test('kv: watch: of an empty bucket resolves at once and gives the first change', async () => {
      const kv = await bus.kv('models');
      const changes: string[] = [];
      await kv.watch((change) => changes.push(changeText(change)));
      expect(changes).toEqual([]);
      await kv.put('a', bytesOf('1'));
      await eventually(() => changes).toEqual(['a=1']);
    });

    test('notices: reach those who listen on the subject, until they close', async () => {
      const heard: string[] = [];
      const deaf: string[] = [];
      const listener = bus.onNotice('mill.heads.ads', (payload) => heard.push(textOf(payload)));
      bus.onNotice('mill.heads.music', (payload) => deaf.push(textOf(payload)));
      bus.notify('mill.heads.ads', bytesOf('one'));
      bus.notify('mill.heads.ads', bytesOf('two'));
      await eventually(() => heard).toEqual(['one', 'two']);
      await listener.close();
      bus.notify('mill.heads.ads', bytesOf('three'));
      await append('a');
      expect(heard).toEqual(['one', 'two']);
      expect(deaf).toEqual([]);
    });

    test('ensure: again, and by several at once, changes nothing', async () => {
      await append('a');
      await Promise.all([bus.ensure(), bus.ensure(), bus.ensure()]);
      expect((await bus.logState('gradients')).messages).toBe(1);
    });

    test('close: ends readers, refuses what comes after, and can be repeated', async () => {
      const seen = await collector(bus);
      await append('a');
      await seen.until(1);
      expect(bus.connected).toBe(true);
      await Promise.all([bus.close(), bus.close()]);
      expect(bus.connected).toBe(false);
      await expect(append('b')).rejects.toMatchObject({ code: 'MILL_CLOSED' });
      await expect(collector(bus)).rejects.toMatchObject({ code: 'MILL_CLOSED' });
      expect(seen.texts).toEqual(['a']);
    });

    test('close: appends under way are still answered', async () => {
      const sequences = Promise.all(['a', 'b', 'c'].map((text) => append(text)));
      await bus.close();
      expect(await sequences).toEqual([1, 2, 3]);
      expect(() => bus.onNotice('mill.heads.ads', () => undefined)).toThrow(
        expect.objectContaining({ code: 'MILL_CLOSED' }),
      );
      bus.notify('mill.heads.ads', bytesOf('nobody'));
    });

    function read(options: Partial<ReadOptions> & Pick<ReadOptions, 'onMessage'>): Promise<LogReader> {
      return bus.read('gradients', { subject, from: 1, onError: fail, ...options });
    }
  });
}

interface Collector {
  readonly messages: LogMessage[];
  readonly texts: string[];
  /** Resolves once `count` messages came. */
  until(count: number): Promise<void>;
}

async function collector(bus: Bus, options: { from?: number } = {}): Promise<Collector> {
  const messages: LogMessage[] = [];
  const texts: string[] = [];
  await bus.read('gradients', {
    subject,
    from: options.from ?? 1,
    onMessage: (message) => {
      messages.push(message);
      texts.push(textOf(message.payload));
    },
    onError: fail,
  });
  return {
    messages,
    texts,
    until: (count) => eventually(() => texts.length).toBeGreaterThanOrEqual(count),
  };
}

/** Polls until the expectation holds: what comes over a network comes when it comes. */
export function eventually(read: () => unknown): ReturnType<typeof expect.poll> {
  return expect.poll(read, { timeout: 20_000, interval: 5 });
}

function fail(error: Error): never {
  throw error;
}

function bang(): never {
  throw new Error('bang');
}

function changeText(change: KvChange): string {
  return change.kind === 'put'
    ? `${change.entry.key}=${textOf(change.entry.value)}`
    : `${change.key} deleted`;
}

async function turnsOfTheLoop(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}
