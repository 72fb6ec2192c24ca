/** The bus on a real nats-server: the conformance suite, then what only a server can do: be killed, come back, be full. */

import { gradientsSubject, isMillraceError, modelNameFrom } from '@millrace/protocol';
import {
  type Bus,
  connectNatsBus,
  createLogger,
  type LogReader,
  type NatsBusOptions,
} from '@millrace/runtime';
import { startNatsServer, type TestNatsServer } from '@millrace/testkit';
import { connect } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { busConformance, eventually } from '../../packages/runtime/test/bus-conformance.ts';

const subject = gradientsSubject(modelNameFrom('ads'), 0);
const logger = createLogger({ service: 'test', level: 'silent' });

function busAt(server: TestNatsServer, options: Partial<NatsBusOptions> = {}): Promise<Bus> {
  return connectNatsBus({ servers: [server.url], name: 'test', logger, ...options });
}

describe('one server for the conformance suite', () => {
  let server: TestNatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  busConformance('nats bus', async () => ({
    bus: await busAt(server),
    end: () => removeStreams(server.url),
  }));
});

describe('nats bus', () => {
  let server: TestNatsServer;
  const buses: Bus[] = [];

  beforeEach(async () => {
    server = await startNatsServer();
  });

  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.close()));
    await server.stop();
  });

  const open = async (options: Partial<NatsBusOptions> = {}) => {
    const bus = await busAt(server, options);
    buses.push(bus);
    await bus.ensure();
    return bus;
  };

  test('nats bus: server killed and started again: readers go on without a gap or a repeat', async () => {
    const writer = await open();
    const bus = await open();
    const sequences: number[] = [];
    const slow: number[] = [];
    await follow(bus, (sequence) => void sequences.push(sequence));
    await follow(bus, async (sequence) => {
      await new Promise((resolve) => setImmediate(resolve));
      slow.push(sequence);
    });
    const stored: number[] = [];
    const append = async () => stored.push(await writer.append('gradients', subject, new Uint8Array(100)));
    for (let count = 0; count < 500; count += 1) await append();

    await server.kill();
    await eventually(() => bus.connected).toBe(false);
    const refused = await writer.append('gradients', subject, new Uint8Array(100)).then(
      (sequence) => ({ sequence }),
      (error: unknown) => ({ error }),
    );
    expect(refused).toMatchObject({ error: { code: 'MILL_LOG_UNAVAILABLE' } });
    await server.restart();
    await eventually(() => bus.connected && writer.connected).toBe(true);

    for (let count = 0; count < 500; count += 1) await append();
    await eventually(() => sequences.length).toBe(1_000);
    await eventually(() => slow.length).toBe(1_000);
    expect(sequences).toEqual(stored);
    expect(slow).toEqual(stored);
  });

  test('nats bus: server killed under load: what was acknowledged is read once, and the rest failed with a code', async () => {
    const writer = await open();
    const reader = await open();
    const read: number[] = [];
    await follow(reader, (sequence) => void read.push(sequence));
    const acknowledged: number[] = [];
    const failures: unknown[] = [];
    let stop = false;
    const load = Array.from({ length: 16 }, async () => {
      while (!stop) {
        await writer.append('gradients', subject, new Uint8Array(200)).then(
          (sequence) => acknowledged.push(sequence),
          async (error: unknown) => {
            failures.push(error);
            await new Promise((resolve) => setTimeout(resolve, 20));
          },
        );
      }
    });
    for (let round = 1; round <= 2; round += 1) {
      await eventually(() => acknowledged.length).toBeGreaterThan(1_000 * round);
      await server.kill();
      await eventually(() => failures.length).toBeGreaterThan(0);
      await server.restart();
      await eventually(() => reader.connected && writer.connected).toBe(true);
    }
    await eventually(() => acknowledged.length).toBeGreaterThan(4_000);
    stop = true;
    await Promise.all(load);
    const head = await reader.headOf('gradients', subject);
    await eventually(() => read.at(-1)).toBe(head);

    expect(failures.every((error) => isMillraceError(error, 'MILL_LOG_UNAVAILABLE'))).toBe(true);
    expect(read).toEqual(Array.from({ length: head }, (_, index) => index + 1));
    const readOnce = new Set(read);
    expect(acknowledged.filter((sequence) => !readOnce.has(sequence))).toEqual([]);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
  });

  test('nats bus: server killed and started again: a bucket watch goes on, and tells of deletions too', async () => {
    const bus = await open();
    const kv = await bus.kv('shards');
    const revision = await kv.put('shard-1', Uint8Array.of(1));
    const changes: string[] = [];
    await kv.watch((change) =>
      changes.push(
        change.kind === 'put' ? `${change.entry.key}=${change.entry.value[0]}` : `${change.key} deleted`,
      ),
    );
    await server.kill();
    await eventually(() => bus.connected).toBe(false);
    await server.restart();
    await eventually(() => bus.connected).toBe(true);
    expect(await kv.putIf('shard-1', Uint8Array.of(2), revision)).toBeGreaterThan(revision);
    await eventually(() => changes).toEqual(['shard-1=1', 'shard-1=2']);
    await kv.delete('shard-1');
    await eventually(() => changes).toEqual(['shard-1=1', 'shard-1=2', 'shard-1 deleted']);
  });

  test('nats bus: a consumer removed behind its back is opened again where it was', async () => {
    const bus = await open();
    const sequences: number[] = [];
    await follow(bus, (sequence) => void sequences.push(sequence));
    await bus.append('gradients', subject, Uint8Array.of(1));
    await eventually(() => sequences).toEqual([1]);
    await removeConsumers(server.url, 'MILL_GRADIENTS');
    await bus.append('gradients', subject, Uint8Array.of(2));
    await eventually(() => sequences).toEqual([1, 2]);
  });

  test('nats bus: a log removed behind its back ends its readers with an error', async () => {
    const bus = await open();
    const errors: unknown[] = [];
    await follow(
      bus,
      () => undefined,
      (error) => errors.push(error),
    );
    await removeStreams(server.url);
    await eventually(() => errors).toMatchObject([{ code: 'MILL_LOG_UNAVAILABLE' }]);
  });

  test('nats bus: a log that lost what was read ends its readers with an error', async () => {
    const bus = await open();
    const errors: Error[] = [];
    const sequences: number[] = [];
    await follow(
      bus,
      (sequence) => void sequences.push(sequence),
      (error) => errors.push(error),
    );
    for (let count = 0; count < 5; count += 1) await bus.append('gradients', subject, Uint8Array.of(1));
    await eventually(() => sequences).toEqual([1, 2, 3, 4, 5]);
    await removeStreams(server.url);
    await bus.ensure();
    await eventually(() => errors.length).toBe(1);
    expect(errors[0]).toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
    expect(errors[0]!.message).toContain('lost its tail');
  });

  test('nats bus: a full log refuses messages instead of forgetting any', async () => {
    const bus = await open({ logBytesMax: { gradients: 100_000 } });
    const append = () => bus.append('gradients', subject, new Uint8Array(30_000));
    await append();
    await append();
    await append();
    await expect(append()).rejects.toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
    await expect(append()).rejects.toThrow(/maximum bytes exceeded/);
    expect((await bus.logState('gradients')).firstSequence).toBe(1);
  });

  test('nats bus: ensure: several processes at once, with different limits: the first one’s stand', async () => {
    const all = await Promise.all(
      [1, 2, 3, 4].map((share) => busAt(server, { logBytesMax: { dense: share * 1e6 } })),
    );
    buses.push(...all);
    await Promise.all(all.map((bus) => bus.ensure()));
    const states = await Promise.all(all.map((bus) => bus.logState('dense')));
    expect(states.map((state) => state.lastSequence)).toEqual([0, 0, 0, 0]);
  });

  test('nats bus: head: asked of the leader, as on a cluster, it is the same', async () => {
    const bus = await open();
    for (let count = 0; count < 3; count += 1) await bus.append('gradients', subject, Uint8Array.of(1));
    const onCluster = await busAt(server, { replicas: 3 });
    buses.push(onCluster);
    expect(await onCluster.headOf('gradients', subject)).toBe(3);
    expect(await onCluster.headOf('gradients', gradientsSubject(modelNameFrom('ads'), 1))).toBe(0);
  });

  test('nats bus: a message larger than a batch still comes, and those behind it', async () => {
    const bus = await open();
    const sizes: number[] = [];
    const connection = await connect({ servers: server.url });
    // Millrace sends at most 4 MiB, but the server takes 8 MB from anyone.
    await connection.jetstream().publish(subject, new Uint8Array(8 * 1024 * 1024 - 100));
    await connection.close();
    await bus.append('gradients', subject, Uint8Array.of(1));
    await bus.read('gradients', {
      subject,
      from: 1,
      onMessage: (message) => void sizes.push(message.payload.length),
      onError: fail,
    });
    await eventually(() => sizes).toEqual([8 * 1024 * 1024 - 100, 1]);
  });

  test('nats bus: batch after batch comes from one consumer, without an interruption', async () => {
    const bus = await open();
    const appends = Array.from({ length: 1_200 }, () => bus.append('gradients', subject, Uint8Array.of(1)));
    await Promise.all(appends);
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const reading = await connectNatsBus({
      servers: [server.url],
      name: 'reader',
      logger: createLogger({ service: 'test', level: 'info', destination }),
    });
    buses.push(reading);
    let handled = 0;
    await follow(reading, () => {
      handled += 1;
    });
    await eventually(() => handled).toBe(1_200);
    expect(lines).toEqual([]);
  });

  test('nats bus: a slow reader holds back the server, not the memory', async () => {
    const bus = await open();
    const payload = new Uint8Array(256 * 1024);
    for (let count = 0; count < 100; count += 1) await bus.append('gradients', subject, payload);
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let handled = 0;
    const reading = await connectNatsBus({ servers: [server.url], name: 'slow-reader', logger });
    buses.push(reading);
    await reading.read('gradients', {
      subject,
      from: 1,
      onMessage: async () => {
        await gate;
        handled += 1;
      },
      onError: fail,
    });
    const delivered = () => deliveredTo(server.url, 'MILL_GRADIENTS');
    await eventually(delivered).toBeGreaterThan(0);
    // A batch is 8 MiB: 31 of these messages with their addresses.
    expect(await delivered()).toBeLessThan(33);
    release();
    await eventually(() => handled).toBe(100);
  });

  test('nats bus: connect: a server out of reach is given up in time', async () => {
    await server.kill();
    const started = performance.now();
    await expect(busAt(server, { firstConnectMsMax: 600 })).rejects.toMatchObject({
      code: 'MILL_LOG_UNAVAILABLE',
    });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('nats bus: connect: a server that starts a little later is found', async () => {
    await server.kill();
    const connecting = busAt(server, { firstConnectMsMax: 20_000 });
    await server.restart();
    const bus = await connecting;
    buses.push(bus);
    expect(bus.connected).toBe(true);
  });

  test('nats bus: a write to a bucket fails as soon as the connection is lost, and the next one is taken when it is back', async () => {
    const bus = await open();
    const kv = await bus.kv('shards');
    await kv.put('a', Uint8Array.of(1));
    // Stopped, the server takes the write and gives no answer; killed, it never will.
    process.kill(server.pid, 'SIGSTOP');
    const started = performance.now();
    const writing = expect(kv.put('a', Uint8Array.of(2))).rejects.toMatchObject({
      code: 'MILL_LOG_UNAVAILABLE',
    });
    await server.kill();
    await writing;
    await expect(kv.put('a', Uint8Array.of(3))).rejects.toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
    expect(performance.now() - started).toBeLessThan(2_000);
    await server.restart();
    await eventually(() => bus.connected).toBe(true);
    await kv.put('a', Uint8Array.of(4));
    expect([...((await kv.get('a'))?.value ?? [])]).toEqual([4]);
  });

  test('nats bus: close: ends in bounded time while the server is away', async () => {
    const bus = await open();
    await follow(bus, () => undefined);
    await server.kill();
    await eventually(() => bus.connected).toBe(false);
    const started = performance.now();
    await bus.close();
    expect(performance.now() - started).toBeLessThan(6_000);
  });
});

function follow(
  bus: Bus,
  onSequence: (sequence: number) => void | Promise<void>,
  onError: (error: Error) => void = fail,
): Promise<LogReader> {
  return bus.read('gradients', {
    subject,
    from: 1,
    onMessage: (message) => onSequence(message.sequence),
    onError,
  });
}

function fail(error: Error): never {
  throw error;
}

async function removeStreams(url: string): Promise<void> {
  const connection = await connect({ servers: url });
  const manager = await connection.jetstreamManager();
  for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
  await connection.close();
}

async function removeConsumers(url: string, stream: string): Promise<void> {
  const connection = await connect({ servers: url });
  const manager = await connection.jetstreamManager();
  for await (const { name } of manager.consumers.list(stream)) await manager.consumers.delete(stream, name);
  await connection.close();
}

async function deliveredTo(url: string, stream: string): Promise<number> {
  const connection = await connect({ servers: url });
  const manager = await connection.jetstreamManager();
  let delivered = 0;
  for await (const info of manager.consumers.list(stream)) delivered += info.delivered.consumer_seq;
  await connection.close();
  return delivered;
}
