/** The blob store on a real nats-server: the conformance suite, then what only a server can do. */
import { gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { type BlobStore, type Bus, connectNatsBus, createLogger } from '@millrace/runtime';
import { startNatsServer, type TestNatsServer } from '@millrace/testkit';
import { connect, headers, type NatsConnection, StorageType } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blobConformance, contentOf, patternOf } from '../../packages/runtime/test/blob-conformance.ts';
import { eventually } from '../../packages/runtime/test/bus-conformance.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const stream = 'OBJ_mill-snapshots';

let server: TestNatsServer;
let connection: NatsConnection;
const buses: Bus[] = [];

beforeAll(async () => {
  server = await startNatsServer();
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
});

afterAll(async () => {
  await connection.close();
  await server.stop();
});

afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
  const manager = await connection.jetstreamManager();
  for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
});

async function openBus(): Promise<Bus> {
  const bus = await connectNatsBus({ servers: [server.url], name: 'test', logger });
  buses.push(bus);
  return bus;
}

async function open(): Promise<BlobStore> {
  return (await openBus()).blobs('snapshots');
}

blobConformance('nats blobs', async () => ({ blobs: await open(), end: async () => undefined }));

function isAnswered(to: NatsConnection): Promise<boolean> {
  return to.rtt().then(
    () => true,
    () => false,
  );
}

/** Messages in the store's stream by kind of subject. */
async function stored(): Promise<{ chunks: number; entries: number }> {
  const manager = await connection.jetstreamManager();
  const { state } = await manager.streams.info(stream, { subjects_filter: '>' });
  const count = (kind: string) =>
    Object.entries(state.subjects ?? {})
      .filter(([subject]) => subject.startsWith(`$O.mill-snapshots.${kind}.`))
      .reduce((sum, [, messages]) => sum + messages, 0);
  return { chunks: count('C'), entries: count('M') };
}

describe('nats blobs', () => {
  test('nats blobs: deleted and replaced values leave nothing in the stream', async () => {
    const blobs = await open();
    await blobs.put('a/1', [patternOf(600_000)]);
    await blobs.put('a/1', [patternOf(300_000)]);
    await blobs.put('a/2', [patternOf(10)]);
    expect(await stored()).toEqual({ chunks: 3, entries: 2 });
    await blobs.delete('a/1');
    expect(await stored()).toEqual({ chunks: 1, entries: 1 });
  });

  test('nats blobs: chunks that break off leave nothing in the stream', async () => {
    const blobs = await open();
    function* chunks() {
      yield patternOf(600_000);
      throw new Error('the writer stops');
    }
    await expect(blobs.put('a', chunks())).rejects.toThrow('the writer stops');
    expect(await stored()).toEqual({ chunks: 0, entries: 0 });
  });

  test('nats blobs: the client’s own object store reads what is written here, and the other way round', async () => {
    const blobs = await open();
    const theirs = await connection.jetstream().views.os('mill-snapshots', { storage: StorageType.File });
    await blobs.put('ads/0000004d/3/7-full', [patternOf(600_000)]);
    expect(Buffer.compare((await theirs.getBlob('ads/0000004d/3/7-full'))!, patternOf(600_000))).toBe(0);
    await theirs.putBlob({ name: 'theirs/1' }, patternOf(400_000));
    expect(Buffer.compare(await contentOf(blobs, 'theirs/1'), patternOf(400_000))).toBe(0);
    await theirs.delete('theirs/1');
    expect(await blobs.get('theirs/1')).toBeNull();
    expect(await blobs.list('')).toEqual([{ name: 'ads/0000004d/3/7-full', bytes: 600_000 }]);
  });

  test('nats blobs: a value whose chunk is not what was written is not handed out as whole', async () => {
    const blobs = await open();
    await blobs.put('a', [patternOf(600_000)]);
    const manager = await connection.jetstreamManager();
    const { data } = await manager.streams.getMessage(stream, { seq: 2 });
    const { subject } = await manager.streams.getMessage(stream, { seq: 2 });
    await manager.streams.deleteMessage(stream, 2);
    const unavailable = { code: 'MILL_STORE_UNAVAILABLE' };
    await expect(contentOf(blobs, 'a')).rejects.toMatchObject(unavailable);
    // As many chunks again, in another order.
    await connection.jetstream().publish(subject, data);
    await expect(contentOf(blobs, 'a')).rejects.toMatchObject(unavailable);
  });

  test('nats blobs: what died writers left is removed at an opening, once it is old', async () => {
    const blobs = await open();
    await blobs.put('a', [patternOf(10)]);
    await connection.jetstream().publish('$O.mill-snapshots.C.dead', patternOf(10));
    expect(await stored()).toEqual({ chunks: 2, entries: 1 });
    // It may be a writer at work.
    await open();
    expect(await stored()).toEqual({ chunks: 2, entries: 1 });
  });

  test('nats blobs: a full store is reported, and what was there stays', async () => {
    const manager = await connection.jetstreamManager();
    const blobs = await open();
    await blobs.put('a', [patternOf(100_000)]);
    const { config } = await manager.streams.info(stream);
    await manager.streams.update(stream, { ...config, max_bytes: 500_000 });
    await expect(blobs.put('a', [patternOf(1_000_000)])).rejects.toMatchObject({
      code: 'MILL_STORE_UNAVAILABLE',
      message: expect.stringContaining('maximum bytes'),
    });
    expect(Buffer.compare(await contentOf(blobs, 'a'), patternOf(100_000))).toBe(0);
    expect(await stored()).toEqual({ chunks: 1, entries: 1 });
  });

  test('nats blobs: entries that are none are passed over', async () => {
    const blobs = await open();
    for (const text of ['', 'null', '7', '{}', '{"name":"a","nuid":"x"}']) {
      const header = headers();
      header.set('Nats-Rollup', 'sub');
      await connection
        .jetstream()
        .publish(`$O.mill-snapshots.M.${Buffer.from('a').toString('base64url')}==`, text, {
          headers: header,
        });
      expect(await blobs.get('a')).toBeNull();
      expect(await blobs.list('')).toEqual([]);
    }
    await blobs.put('a', [patternOf(5)]);
    expect(await contentOf(blobs, 'a')).toEqual(patternOf(5));
  });

  test('nats blobs: a server that stops answering ends every call in bounded time, one that is back is used again', async () => {
    const bus = await openBus();
    const blobs = await bus.blobs('snapshots');
    await blobs.put('a', [patternOf(2_000_000)]);
    const reading = (await blobs.get('a'))![Symbol.asyncIterator]();
    await reading.next();
    process.kill(server.pid, 'SIGSTOP');
    const started = performance.now();
    const unavailable = { code: 'MILL_STORE_UNAVAILABLE' };
    const readOn = async () => {
      for (;;) if ((await reading.next()).done) return;
    };
    try {
      await Promise.all([
        expect(blobs.put('b', [patternOf(3_000_000)])).rejects.toMatchObject(unavailable),
        expect(blobs.get('a')).rejects.toMatchObject(unavailable),
        expect(blobs.list('')).rejects.toMatchObject(unavailable),
        expect(blobs.delete('a')).rejects.toMatchObject(unavailable),
        expect(readOn()).rejects.toMatchObject(unavailable),
      ]);
      expect(performance.now() - started).toBeLessThan(20_000);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await eventually(() => bus.connected).toBe(true);
    await blobs.put('b', [patternOf(3_000_000)]);
    expect(Buffer.compare(await contentOf(blobs, 'b'), patternOf(3_000_000))).toBe(0);
  });

  test('nats blobs: a server that is killed fails what is under way at once', async () => {
    const bus = await openBus();
    const blobs = await bus.blobs('snapshots');
    await blobs.put('a', [patternOf(10)]);
    async function* endless() {
      for (;;) {
        yield patternOf(300_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const putting = expect(blobs.put('a', endless())).rejects.toMatchObject({
      code: 'MILL_STORE_UNAVAILABLE',
    });
    await eventually(async () => (await stored()).chunks).toBeGreaterThan(5);
    const started = performance.now();
    await server.kill();
    await putting;
    await expect(blobs.get('a')).rejects.toMatchObject({ code: 'MILL_STORE_UNAVAILABLE' });
    expect(performance.now() - started).toBeLessThan(3_000);
    await server.restart();
    await eventually(() => bus.connected).toBe(true);
    expect(await contentOf(blobs, 'a')).toEqual(patternOf(10));
    // What a connection sends before it has noticed that the server is another one is lost.
    await eventually(() => isAnswered(connection)).toBe(true);
  });

  test('nats blobs: a listing of hundreds among large values is quick', async () => {
    const bus = await openBus();
    const blobs = await bus.blobs('snapshots');
    for (let i = 0; i < 400; i += 1) await blobs.put(`ads/0000004d/${i % 64}/${i}-full`, [patternOf(20_000)]);
    const started = performance.now();
    expect((await blobs.list('ads/0000004d/7/')).length).toBe(7);
    expect(performance.now() - started).toBeLessThan(3_000);
    // The log of the same server goes on meanwhile.
    await bus.ensure();
    expect(await bus.append('gradients', gradientsSubject(modelNameFrom('ads'), 0), patternOf(10))).toBe(1);
  });
});
