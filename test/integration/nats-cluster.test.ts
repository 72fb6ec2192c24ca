/**
 * The bus on a JetStream cluster of three with three copies of everything: the leader of the gradient log is killed (-9) while
 * appends go on. A majority has what was acknowledged, so the log elects another leader and nothing of it is missing.
 */
import { gradientsSubject, isMillraceError, modelNameFrom } from '@millrace/protocol';
import { type Bus, connectNatsBus, createLogger, type NatsBusOptions } from '@millrace/runtime';
import { eventually, startNatsCluster, startNatsServer, type TestNatsCluster } from '@millrace/testkit';
import { connect } from 'nats';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';

const subject = gradientsSubject(modelNameFrom('ads'), 0);
const logger = createLogger({ service: 'test', level: 'silent' });
/** An election takes up to nine seconds, a request to a leader that is gone five; a busy machine adds its share. */
const elected = { withinMs: 60_000 };

let cluster: TestNatsCluster;

beforeAll(async () => {
  cluster = await startNatsCluster();
});

afterAll(() => cluster?.stop());

async function open(options: Partial<NatsBusOptions> = {}): Promise<Bus> {
  const bus = await connectNatsBus({ servers: cluster.urls, name: 'test', logger, replicas: 3, ...options });
  onTestFinished(() => bus.close());
  await bus.ensure();
  return bus;
}

test('nats cluster: ensure: waits for the first election, and keeps three copies of all logs and buckets', async () => {
  const bus = await open();
  await (await bus.blobs('snapshots')).put('ads/1', [Uint8Array.of(1)]);
  const streams = await streamSights();
  expect(streams.map(({ name }) => name).sort()).toEqual([
    'KV_mill-experiments',
    'KV_mill-judged',
    'KV_mill-maps',
    'KV_mill-models',
    'KV_mill-results',
    'KV_mill-shards',
    'KV_mill-trims',
    'KV_mill-updaters',
    'KV_mill-versions',
    'MILL_DENSE',
    'MILL_EVENTS',
    'MILL_GRADIENTS',
    'MILL_MEASURES',
    'OBJ_mill-snapshots',
  ]);
  expect(streams.filter(({ copies }) => copies !== 3)).toEqual([]);
});

test('nats cluster: the log’s leader is killed: nothing acknowledged is lost or read twice, and buckets and snapshots go on', async () => {
  const writer = await open();
  const reader = await open();
  const read: number[] = [];
  await reader.read('gradients', {
    subject,
    from: 1,
    onMessage: ({ sequence }) => void read.push(sequence),
    onError: fail,
  });
  const changes: string[] = [];
  await (await reader.kv('shards')).watch((change) => {
    if (change.kind === 'put') changes.push(`${change.entry.key}=${change.entry.value[0]}`);
  });
  const load = startAppends(writer);
  await eventually(() => expect(load.acknowledged.length).toBeGreaterThan(500), elected);

  const leader = await leaderOf('MILL_GRADIENTS');
  await cluster.kill(leader);
  const before = load.acknowledged.length;
  await eventually(() => expect(load.acknowledged.length).toBeGreaterThan(before + 500), elected);
  await expectBuckets(writer, reader, changes);
  await expectSnapshots(writer, reader);
  await cluster.start(leader);
  await eventually(async () => expect(await lagging()).toEqual([]), elected);
  await load.stop();

  const head = await writer.headOf('gradients', subject);
  await eventually(() => expect(read.at(-1)).toBe(head), elected);
  expect(load.failures.filter((error) => !isMillraceError(error, 'MILL_LOG_UNAVAILABLE'))).toEqual([]);
  expect(read).toEqual(Array.from({ length: head }, (_, index) => index + 1));
  const readOnce = new Set(read);
  expect(load.acknowledged.filter((sequence) => !readOnce.has(sequence))).toEqual([]);
  expect(new Set(load.acknowledged).size).toBe(load.acknowledged.length);
});

test('nats cluster: head: a process that was not told of the copies asks the leader all the same', async () => {
  const bus = await open();
  const other = gradientsSubject(modelNameFrom('ads'), 1);
  await bus.append('gradients', other, Uint8Array.of(1));
  const sequence = await bus.append('gradients', other, Uint8Array.of(2));
  const untold = await open({ replicas: 1 });
  expect(await untold.headOf('gradients', other)).toBe(sequence);
  expect(await untold.headOf('gradients', gradientsSubject(modelNameFrom('ads'), 2))).toBe(0);
});

test('nats cluster: ensure: three copies on a server that belongs to no cluster are refused in words', async () => {
  const single = await startNatsServer();
  onTestFinished(() => single.stop());
  const bus = await connectNatsBus({ servers: [single.url], name: 'test', logger, replicas: 3 });
  onTestFinished(() => bus.close());
  const failed = expect(bus.ensure()).rejects;
  await failed.toMatchObject({ code: 'MILL_CONFIG_INVALID' });
  await expect(bus.ensure()).rejects.toThrow(/MILL_NATS_REPLICAS wants 3 copies/);
});

/** What one process writes to a bucket, another sees: watched, read, and by compare-and-set. */
async function expectBuckets(writer: Bus, reader: Bus, changes: readonly string[]): Promise<void> {
  const kv = await eventually(() => writer.kv('shards'), elected);
  const revision = await eventually(() => kv.put('shard-1', Uint8Array.of(1)), elected);
  await eventually(() => expect(changes).toContain('shard-1=1'), elected);
  const late = await eventually(() => kv.putIf('shard-1', Uint8Array.of(2), revision - 1), elected);
  expect(late).toBeNull();
  const read = await eventually(async () => (await reader.kv('shards')).get('shard-1'), elected);
  expect([...(read?.value ?? [])]).toEqual([1]);
}

async function expectSnapshots(writer: Bus, reader: Bus): Promise<void> {
  const bytes = new Uint8Array(1_000_000).fill(7);
  const blobs = await eventually(() => writer.blobs('snapshots'), elected);
  await eventually(() => blobs.put('ads/2', [bytes]), elected);
  const found = await eventually(async () => bytesOf(await reader.blobs('snapshots'), 'ads/2'), elected);
  expect(Buffer.from(bytes).equals(found)).toBe(true);
}

interface Appends {
  readonly acknowledged: readonly number[];
  readonly failures: readonly unknown[];
  stop(): Promise<void>;
}

function startAppends(bus: Bus): Appends {
  const acknowledged: number[] = [];
  const failures: unknown[] = [];
  let stopping = false;
  const lanes = Array.from({ length: 8 }, async () => {
    while (!stopping) {
      await bus.append('gradients', subject, new Uint8Array(200)).then(
        (sequence) => acknowledged.push(sequence),
        async (error: unknown) => {
          failures.push(error);
          await new Promise((resolve) => setTimeout(resolve, 20));
        },
      );
    }
  });
  return {
    acknowledged,
    failures,
    async stop() {
      stopping = true;
      await Promise.all(lanes);
    },
  };
}

interface StreamSight {
  readonly name: string;
  readonly copies: number;
  readonly leader: string;
  /** Servers whose copy is not up to date. */
  readonly behind: readonly string[];
}

async function streamSights(): Promise<StreamSight[]> {
  const connection = await connect({ servers: [...cluster.urls] });
  try {
    const sights: StreamSight[] = [];
    const manager = await connection.jetstreamManager();
    for await (const { config, cluster: group } of manager.streams.list()) {
      sights.push({
        name: config.name,
        copies: config.num_replicas,
        leader: group?.leader ?? '',
        behind: (group?.replicas ?? []).filter(({ current }) => !current).map(({ name }) => name),
      });
    }
    return sights;
  } finally {
    await connection.close();
  }
}

/** Place of the server that leads a stream. */
function leaderOf(stream: string): Promise<number> {
  return eventually(async () => {
    const place = cluster.names.indexOf(
      (await streamSights()).find(({ name }) => name === stream)?.leader ?? '',
    );
    expect(place).toBeGreaterThanOrEqual(0);
    return place;
  }, elected);
}

/** Copies that are not up to date, as `stream on server`. */
async function lagging(): Promise<string[]> {
  return (await streamSights()).flatMap(({ name, behind }) => behind.map((server) => `${name} on ${server}`));
}

async function bytesOf(blobs: Awaited<ReturnType<Bus['blobs']>>, name: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await blobs.get(name)) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function fail(error: Error): never {
  throw error;
}
