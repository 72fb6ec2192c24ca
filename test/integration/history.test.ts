/** The past of a real cluster: verified against its owners, asked again at a moment, explained score by score. */
import { explainRequest } from '@millrace/cli';
import {
  decodeGradientBlock,
  encodeGradientBlock,
  gradientsSubject,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import {
  type Bus,
  connectNatsBus,
  createLogger,
  createMetrics,
  createTcpNetwork,
  type LogMessage,
  systemClock,
  watchCluster,
} from '@millrace/runtime';
import type { ScoreRequest } from '@millrace/sdk';
import { startShard } from '@millrace/shard';
import { openArchive } from '@millrace/snapshot';
import { eventually, type LocalClusterFixture, runMillrace, startLocalCluster } from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const file: ModelFile = {
  name: 'visits',
  label: 'click',
  item: 'item',
  partitions: 8,
  tables: [
    {
      name: 'features',
      wide: { optimizer: { type: 'adagrad', learningRate: 0.3, initialAccumulator: 1 } },
      embedding: { dim: 4, optimizer: { type: 'adagrad', learningRate: 0.2, initialAccumulator: 1 } },
    },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'features' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'features' },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'log1p' } },
  ],
  net: { wide: true, fm: true, layers: [{ units: 16 }], optimizer: { type: 'adam', learningRate: 0.01 } },
  loss: 'logloss',
  seed: 3,
  learning: { negatives: 'at-once', joinWindowMs: 60_000, batchDelayMs: 5 },
};
const model = modelNameFrom(file.name);
const soon = { withinMs: 60_000, everyMs: 200 };
const quiet = createLogger({ service: 'test', level: 'silent' });
const probe: ScoreRequest = {
  model: file.name,
  user: { user: 'u1' },
  items: [{ item: 'i1', price: 3 }, { item: 'i2' }, { item: 'never seen' }],
  log: false,
};

let cluster: LocalClusterFixture;
let visits = 0;

beforeAll(async () => {
  // Snapshots all the time, and all of them kept: what was scored stays explainable.
  const env = { MILL_SNAPSHOT_EVERY_MS: '1000', MILL_SNAPSHOT_CHAINS: '1000' };
  cluster = await startLocalCluster({ env });
  // On a busy machine the first engine takes longer to load than a request may; asking again does no harm.
  await eventually(() => cluster.client.createModel(file), soon);
  await cluster.client.waitUntilReady();
});

afterAll(() => cluster?.remove());

test('history: verify: every owner holds what its log gives', async () => {
  await visit(60);
  const { code, stdout, stderr } = await command('verify', '--json');
  expect([code, stderr]).toEqual([0, '']);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({
    equal: true,
    partitions: 8,
    owners: 2,
    compared: 16,
    differences: [],
    damaged: [],
  });
  expect(result.rows).toBeGreaterThan(20);
  expect(result.sequence).toBeLessThanOrEqual(await lastSequence());
  // The updater writes the first snapshot of its dense weights within a second or so.
  await eventually(async () => {
    const { dense, equal } = JSON.parse((await command('verify', '--json')).stdout);
    expect([dense[0], equal]).toMatchObject([{ model: 'visits', compared: 'snapshots' }, true]);
  }, soon);
  const one = await command('verify', '--model', 'visits', '--partition', '5');
  expect(one.code).toBe(0);
  expect(one.stdout).toContain('equal: 1 partitions, 2 states of 2 owners');
});

test('history: at: a sequence and a time of then give the scores of then, to the bit', async () => {
  await visit(30);
  await learned();
  const then = await cluster.client.score(probe);
  const sequence = await lastSequence();
  const timeMs = Date.now();
  await visit(40);
  await learned();
  const now = await cluster.client.score(probe);
  expect(now.scores).not.toEqual(then.scores);
  const request = JSON.stringify(probe);
  const engine = ['--engine', then.engine];
  const ask = (...at: string[]) =>
    command('at', ...at, ...engine, 'score', '-', '--json', { input: request }).then(
      ({ code, stdout, stderr }) => {
        expect([code, stderr]).toEqual([0, '']);
        return JSON.parse(stdout);
      },
    );
  const { scores, version } = then;
  const [bySequence, byTime] = await Promise.all([
    ask('--sequence', `${sequence}`),
    ask('--time', new Date(timeMs).toISOString()),
  ]);
  expect(bySequence).toMatchObject({ scores, version, engine: then.engine });
  expect(byTime).toMatchObject({ scores, version, timeMs });
  const future = await command('at', '--sequence', '999999999', 'score', request);
  expect(future).toMatchObject({ code: 1, stderr: expect.stringContaining('MILL_BAD_REQUEST') });
});

test('history: explain: fifty logged scores, made in batches of many, are computed again to the bit', async () => {
  const ids = await visit(50);
  await learned();
  const bus = await cluster.bus();
  const view = await watchCluster(bus, systemClock, quiet);
  try {
    const archive = await openArchive(bus, quiet, { snapshotStore: 'nats' });
    const source = { bus, archive, view, damaged: [] };
    let partitions = 0;
    for (const requestId of ids) {
      const explained = await explainRequest({
        source,
        file,
        requestId,
        engine: null,
        onScan() {},
        onFold() {},
      });
      expect([requestId, explained.equal, explained.remarks]).toEqual([requestId, true, []]);
      partitions += explained.partitions;
    }
    expect(partitions).toBeGreaterThan(100);
  } finally {
    await view.close();
  }
  const { code, stdout } = await command('explain', ids[7], '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    requestId: ids[7],
    equal: true,
    degraded: false,
    uncertainKeys: 0,
  });
  const text = await command('explain', ids[7]);
  expect(text.stdout).toContain('Every score is the same to the bit.');
  const unknown = await command('explain', 'nobody');
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('MILL_IMPRESSION_UNKNOWN') });
});

test('history: verify: a shard that misread a block is found, with partition and sequence', async () => {
  const bus = await connectNatsBus({ servers: [cluster.natsUrl], name: 'wrong', logger: quiet });
  const failures: Error[] = [];
  const wrong = await startShard({
    bus: misreading(bus),
    network: createTcpNetwork(),
    clock: systemClock,
    logger: quiet,
    metrics: createMetrics({ service: 'wrong', withProcess: false }),
    cluster: 'millrace',
    shard: 'shard-wrong',
    host: '127.0.0.1',
    port: 0,
    advertiseHost: '127.0.0.1',
    zone: '',
    replicas: 2,
    minReplicas: 1,
    stores: [],
    snapshotEveryMs: 0,
    snapshotChains: 2,
    drainMsMax: 20_000,
    connectionsMax: 100,
    onFailed: (error) => failures.push(error),
  });
  try {
    const result = await eventually(async () => {
      const { code, stdout } = await command('verify', '--json');
      const found = JSON.parse(stdout);
      expect([code, found.owners, found.equal]).toEqual([1, 3, false]);
      return found;
    }, soon);
    for (const difference of result.differences) {
      expect(difference).toMatchObject({
        model: 'visits',
        shard: 'shard-wrong',
        code: 'MILL_STATE_DIVERGED',
      });
      expect(difference.sequence).toBeGreaterThan(0);
    }
    const text = await command('verify');
    expect(text.stderr).toContain('MILL_STATE_DIVERGED');
    expect(text.stdout).toContain('differs');
  } finally {
    await wrong.close();
    await bus.close();
  }
  expect(failures).toEqual([]);
  await eventually(async () => {
    expect((await command('verify', '--json')).code).toBe(0);
  }, soon);
});

interface CommandInput {
  readonly input: string;
}

/** Runs a command on the cluster's directory. */
function command(...args: (string | CommandInput)[]) {
  const last = args.at(-1);
  const words = args.filter((arg): arg is string => typeof arg === 'string');
  const env = { MILL_DATA: cluster.directory, MILL_NATS_URL: undefined };
  return runMillrace(words, { env, ...(typeof last === 'object' && last) });
}

/** Scores visits, many at once so that they share batches, and clicks on an item of each. */
async function visit(count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => {
    visits += 1;
    return `visit-${visits}`;
  });
  await Promise.all(
    ids.map(async (requestId, i) => {
      const items = Array.from({ length: 1 + (i % 5) }, (_, j) => ({
        item: `i${(7 * i + j) % 23}`,
        price: i + j,
      }));
      await cluster.client.score({ model: file.name, requestId, user: { user: `u${i % 9}` }, items });
      await cluster.client.sendOutcomes({ model: file.name, requestId, index: i % items.length });
    }),
  );
  return ids;
}

/** Waits until everything that was told is learned, and the node serves it. */
async function learned(): Promise<void> {
  const clicks = visits;
  await eventually(async () => {
    const { models } = await cluster.client.status();
    const [status] = models.filter(({ name }) => name === file.name);
    const heads = await (await cluster.bus()).headOf('dense', `mill.dense.${file.name}`);
    expect(status.version).toBe(heads);
    // Each visit teaches its items as negatives at once, and its click.
    expect(status.learned).toBeGreaterThanOrEqual(clicks * 2);
  }, soon);
}

async function lastSequence(): Promise<number> {
  return (await (await cluster.bus()).logState('gradients')).lastSequence;
}

/** Reads one gradient of each partition's first block as another number. */
function misreading(bus: Bus): Bus {
  const firstSeen = new Map<string, number>();
  const read: Bus['read'] = (log, options) => {
    const onMessage = (message: LogMessage) => {
      const first = firstSeen.get(message.subject) ?? message.sequence;
      firstSeen.set(message.subject, first);
      return options.onMessage(message.sequence === first ? bentMessage(message) : message);
    };
    return bus.read(log, { ...options, onMessage: log === 'gradients' ? onMessage : options.onMessage });
  };
  return new Proxy(bus, {
    get(of, name) {
      if (name === 'read') return read;
      const value: unknown = Reflect.get(of, name, of);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
}

function bentMessage(message: LogMessage): LogMessage {
  const block = decodeGradientBlock(new Uint8Array(message.payload));
  if (message.subject !== gradientsSubject(model, block.partition)) return message;
  block.sections[0].gradients[0] += 1;
  return { ...message, payload: encodeGradientBlock(block) };
}
