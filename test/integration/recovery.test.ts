/**
 * What a cluster comes back from: a shard's disk gone, its files damaged, every process killed at once, nats-server too. The
 * log is trimmed behind snapshots meanwhile, so nothing here can be folded from the beginning. What must hold: nothing that
 * was acknowledged is missing, nothing is learned twice, owners are equal at equal sequence.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { partitionHash } from '@millrace/core';
import { gradientsSubject, type ModelFile, modelNameFrom, partitionsDefault } from '@millrace/protocol';
import { createLogger } from '@millrace/runtime';
import { foldPartitionAt, openArchive, trimmedBefore } from '@millrace/snapshot';
import {
  countingModel,
  countsOf,
  eventually,
  type LocalClusterFixture,
  readEvents,
  type SteadyLoad,
  startLocalCluster,
  startSteadyLoad,
} from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const learning = { joinWindowMs: 3_000, batchDelayMs: 10 };
const items = Array.from({ length: 32 }, (_, i) => `i${i}`);
const soon = { withinMs: 60_000, everyMs: 250 };
const quiet = createLogger({ service: 'test', level: 'silent' });

let cluster: LocalClusterFixture;

beforeAll(async () => {
  cluster = await startLocalCluster({ env: { MILL_SNAPSHOT_EVERY_MS: '400', MILL_SNAPSHOT_CHAINS: '2' } });
});

afterAll(() => cluster?.remove());

test('recovery: a shard killed and its disk emptied: restores from the shared store, and is equal to the other owner', async () => {
  const file = await createReady('disk-gone');
  const load = startLoad(file);
  await expectTrimmed(file);
  await moreScores(load, 50);
  const { back } = await cluster.kill('shard-0');
  rmSync(directoryOf('shard-0'), { recursive: true, force: true });
  await back;
  await moreScores(load, 50);
  const { failures, degraded, acknowledged } = await load.stop();
  expect([failures, degraded]).toEqual([[], 0]);
  await expectLearnedOnce(file);
  await expectStored(file, acknowledged);
  const restored = await eventually(() => {
    const line = linesOf('shard-0', 'partitions restored').at(-1);
    expect(line).toMatchObject({ ready: expect.any(Number) });
    return line;
  }, soon);
  expect(restored?.rows).toBeGreaterThan(0);
  expect(restored?.ready).toBe(restored?.of);
});

test('recovery: a shard killed and its files damaged: they are told and passed over for those in the shared store', async () => {
  const file = await createReady('disk-damaged');
  const load = startLoad(file);
  await expectTrimmed(file);
  await moreScores(load, 50);
  const { back } = await cluster.kill('shard-1');
  for (const path of filesUnder(directoryOf('shard-1'))) {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 0x10;
    writeFileSync(path, bytes);
  }
  await back;
  await moreScores(load, 50);
  const { failures, degraded } = await load.stop();
  expect([failures, degraded]).toEqual([[], 0]);
  await expectLearnedOnce(file);
  const passedOver = linesOf('shard-1', 'snapshot passed over');
  expect(passedOver.length).toBeGreaterThan(0);
  for (const { store, code } of passedOver) expect([store, code]).toEqual(['own', 'MILL_SNAPSHOT_INVALID']);
});

test('recovery: every process killed at once under load, nats-server too: nothing acknowledged is missing', async () => {
  const file = await createReady('all-killed');
  const load = startLoad(file);
  await expectTrimmed(file);
  await moreScores(load, 50);
  const { pid: supervisor, processes } = await cluster.sight();
  // One that stands still starts nothing anew.
  process.kill(supervisor, 'SIGSTOP');
  for (const { pid } of processes) if (pid !== null) process.kill(pid, 'SIGKILL');
  await cluster.killSupervisor();
  const { acknowledged } = await load.stop();
  await cluster.start();
  await cluster.client.waitUntilReady();
  await expectStored(file, acknowledged);
  await expectLearnedOnce(file);
  // Learning goes on where it stood.
  const more = startLoad(file, 'again');
  await moreScores(more, 50);
  await more.stop();
  await expectLearnedOnce(file);
});

test('recovery: a shard stopped in order continues from its own files', async () => {
  const file = await createReady('restarted');
  const load = startLoad(file);
  await moreScores(load, 50);
  await expectTrimmed(file);
  await cluster.signal('shard-0', 'SIGTERM');
  const pid = (await cluster.processOf('shard-0')).pid;
  await eventually(async () => {
    const now = await cluster.processOf('shard-0');
    expect([now.ready, now.pid === pid]).toEqual([true, false]);
  }, soon);
  await moreScores(load, 50);
  const { failures, degraded } = await load.stop();
  expect([failures, degraded]).toEqual([[], 0]);
  await expectLearnedOnce(file);
  expect(linesOf('shard-0', 'shard leaves')).toMatchObject([{ end: 'handed over' }]);
});

async function createReady(name: string): Promise<ModelFile> {
  const file = countingModel(name, learning);
  await cluster.client.createModel(file);
  await eventually(async () => {
    const scored = await cluster.client.score({ model: name, items: [{ item: 'i0' }], log: false });
    expect(scored.degraded).toBe(false);
  }, soon);
  return file;
}

/** Four requests on their way; every third gets a click. */
function startLoad(file: ModelFile, run = 'load'): SteadyLoad {
  return startSteadyLoad({
    url: cluster.url,
    lanes: 4,
    pauseMs: 20,
    request: (n) => ({
      model: file.name,
      requestId: `${run}-${n}`,
      items: [{ item: items[n % items.length] }, { item: items[(n + 3) % items.length] }],
    }),
    outcomes: (n) => (n % 3 === 0 ? [{ model: file.name, requestId: `${run}-${n}` }] : []),
  });
}

function moreScores(load: SteadyLoad, more: number): Promise<void> {
  const wanted = load.sofar.scored.length + more;
  return eventually(() => expect(load.sofar.scored.length).toBeGreaterThanOrEqual(wanted), soon);
}

/** Waits until every log of the model has lost its beginning. */
async function expectTrimmed(file: ModelFile): Promise<void> {
  const bus = await cluster.bus();
  await eventually(async () => {
    for (let partition = 0; partition < partitionsOf(file); partition += 1) {
      const before = await trimmedBefore(bus, gradientsSubject(modelNameFrom(file.name), partition));
      expect([partition, before]).toEqual([partition, expect.any(Number)]);
      expect(before).toBeGreaterThan(1);
    }
  }, soon);
}

/** Waits until all that the event log holds is learned, once, and the owners are equal to the fold made offline. */
async function expectLearnedOnce(file: ModelFile): Promise<void> {
  const bus = await cluster.bus();
  const archive = await openArchive(bus, quiet, { snapshotStore: 'nats' });
  await eventually(
    async () => {
      const { examples, counts } = tallyOf(await readEvents(bus, file.name));
      const model = (await cluster.client.status()).models.find(({ name }) => name === file.name);
      expect(model).toMatchObject({ learned: examples, openImpressions: 0 });
      const states = [];
      for (let partition = 0; partition < partitionsOf(file); partition += 1) {
        const sequence = await bus.headOf('gradients', gradientsSubject(modelNameFrom(file.name), partition));
        states.push(await foldPartitionAt({ bus, archive, file, partition, until: { sequence } }));
      }
      for (const [item, count] of counts)
        expect([item, countsOf(file, states, item).item]).toEqual([item, count]);
      for (const shard of ['shard-0', 'shard-1']) {
        const reports = await cluster.inspect(shard, file.name);
        expect(reports.map(({ stateHash }) => stateHash)).toEqual(states.map(partitionHash));
      }
    },
    { withinMs: 60_000, everyMs: 500 },
  );
}

/** By item, shown / 2 − clicked over all impressions, counted plainly. */
function tallyOf(events: Awaited<ReturnType<typeof readEvents>>) {
  const clicked = new Set(events.flatMap((event) => (event.type === 'outcome' ? [event.requestId] : [])));
  const counts = new Map(items.map((item) => [item, 0]));
  let examples = 0;
  const seen = new Set<string>();
  for (const event of events) {
    if (event.type !== 'impression' || seen.has(event.requestId)) continue;
    seen.add(event.requestId);
    event.items.forEach(({ item }, index) => {
      const isClick = index === 0 && clicked.has(event.requestId);
      counts.set(String(item), (counts.get(String(item)) ?? 0) + 0.5 - (isClick ? 1 : 0));
      examples += 1;
    });
  }
  return { examples, counts };
}

async function expectStored(file: ModelFile, requestIds: readonly string[]): Promise<void> {
  const events = await readEvents(await cluster.bus(), file.name);
  const stored = new Set(events.flatMap((event) => (event.type === 'outcome' ? [event.requestId] : [])));
  expect(requestIds.filter((requestId) => !stored.has(requestId))).toEqual([]);
  expect(requestIds.length).toBeGreaterThan(0);
}

function partitionsOf(file: ModelFile): number {
  return file.partitions ?? partitionsDefault;
}

function directoryOf(shard: string): string {
  return join(cluster.directory, 'shards', shard);
}

function filesUnder(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

/** Log lines of a process with this text, since the cluster was started. */
function linesOf(name: string, text: string): readonly Record<string, unknown>[] {
  return readFileSync(join(cluster.directory, 'logs', `${name}.log`), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === text);
}
