/**
 * Processes that die, hang and come back under a steady stream of requests. What must hold: no score fails while one owner
 * of its rows is there; nothing that was acknowledged is lost; nothing is learned twice; shards end as the fold of the log.
 */
import { denseSubject, type Event, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { ScoreRequest } from '@millrace/sdk';
import {
  countingModel,
  countsOf,
  eventually,
  foldGradients,
  type LocalClusterFixture,
  readEvents,
  runMillrace,
  type SteadyLoad,
  startLocalCluster,
  startSteadyLoad,
} from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Long enough for a click that follows its score at once, however slow the machine. */
const learning = { joinWindowMs: 3_000, batchDelayMs: 10 };
const items = Array.from({ length: 8 }, (_, i) => `i${i}`);
const soon = { withinMs: 60_000 };
const now = { withinMs: 20_000 };

let cluster: LocalClusterFixture;

beforeAll(async () => {
  // So many that no log is trimmed: it is folded from the beginning here.
  cluster = await startLocalCluster({ env: { MILL_SNAPSHOT_CHAINS: '1000' } });
});

afterAll(() => cluster?.remove());

test('failures: a shard killed: no score fails or is degraded, and it comes back equal', async () => {
  const file = await createReady(countingModel('shard-killed', learning));
  const load = startLoad(file);
  await moreScores(load, 100);
  const { back } = await cluster.kill('shard-0');
  await moreScores(load, 100);
  await back;
  await moreScores(load, 100);
  const result = await load.stop();
  expect(result).toMatchObject({ failures: [], degraded: 0 });
  expect(await expectLearnedOnce(file)).toBe(result.scored.length);
});

test('failures: a shard that hangs: no score fails, its lease lapses, and it comes back equal', async () => {
  const file = await createReady(countingModel('shard-hung', learning));
  const load = startLoad(file);
  await moreScores(load, 50);
  await cluster.signal('shard-1', 'SIGSTOP');
  await expectLive({ 'shard-0': true, 'shard-1': false });
  await moreScores(load, 100);
  await cluster.signal('shard-1', 'SIGCONT');
  await expectLive({ 'shard-0': true, 'shard-1': true });
  await moreScores(load, 50);
  const result = await load.stop();
  expect(result).toMatchObject({ failures: [], degraded: 0 });
  expect(await expectLearnedOnce(file)).toBe(result.scored.length);
});

test('failures: both shards killed: scores go on with first values and say so, learning waits for the rows', async () => {
  const file = await createReady(countingModel('shards-killed', learning));
  const load = startLoad(file);
  await moreScores(load, 50);
  const kills = [await cluster.kill('shard-0'), await cluster.kill('shard-1')];
  // Rows that were read lately are kept; those of an item that nobody asked for are not.
  let asked = 0;
  await eventually(async () => {
    asked += 1;
    const { degraded } = await cluster.client.score({
      model: file.name,
      items: [{ item: `unasked-${asked}` }],
      log: false,
    });
    expect(degraded).toBe(true);
  }, now);
  await Promise.all(kills.map(({ back }) => back));
  await eventually(async () => {
    const { degraded } = await cluster.client.score({
      model: file.name,
      items: [{ item: 'i0' }],
      log: false,
    });
    expect(degraded).toBe(false);
  }, now);
  await moreScores(load, 50);
  const result = await load.stop();
  expect(result.failures).toEqual([]);
  expect(await expectLearnedOnce(file)).toBe(result.scored.length);
});

test('failures: the updater killed in the middle of learning, twice: each example counts once', async () => {
  const file = await createReady(countingModel('updater-killed', learning));
  const load = startLoad(file);
  for (let round = 0; round < 2; round += 1) {
    const before = await learnedOf(file);
    await eventually(async () => expect(await learnedOf(file)).toBeGreaterThan(before), soon);
    const { back } = await cluster.kill('updater');
    await back;
  }
  await moreScores(load, 50);
  const result = await load.stop();
  expect(result).toMatchObject({ failures: [], degraded: 0 });
  expect(await expectLearnedOnce(file)).toBe(result.scored.length);
});

test('failures: the inference node killed: it comes back with the same version and scores, and nothing is learned twice', async () => {
  const idle = await createReady(netModel('node-killed'));
  const before = await learnVisits(idle, 20);
  const busy = await createReady(countingModel('node-killed-busy', learning));
  const load = startLoad(busy);
  await moreScores(load, 50);

  const { back } = await cluster.kill('inference');
  await expect(cluster.client.score(requestOf(idle))).rejects.toMatchObject({ code: 'MILL_UNREACHABLE' });
  await back;
  await cluster.client.waitUntilReady();
  expect(await scoresOf(idle)).toEqual(before);

  await moreScores(load, 50);
  const { failures, acknowledged } = await load.stop();
  // The only node was gone, then it was catching up.
  const expected = ['MILL_UNREACHABLE', 'MILL_NOT_READY'];
  expect(failures.length).toBeGreaterThan(0);
  expect(failures.filter(({ code }) => !expected.includes(code))).toEqual([]);
  await expectLearnedOnce(busy);
  await expectStored(busy, acknowledged);
});

test('failures: nats-server killed: scores go on, a click is stored or refused, learning goes on', async () => {
  const file = await createReady(countingModel('nats-killed', learning));
  const load = startLoad(file);
  await moreScores(load, 50);
  const restarts = await restartsOfServices();
  const { back } = await cluster.kill('nats-server');
  await eventually(() => expect(load.sofar.failures.length).toBeGreaterThan(0), now);
  await moreScores(load, 20);
  await back;
  const acknowledgedBefore = load.sofar.acknowledged.length;
  await eventually(
    () => expect(load.sofar.acknowledged.length).toBeGreaterThan(acknowledgedBefore + 20),
    now,
  );
  const { failures, acknowledged, degraded } = await load.stop();
  expect(failures.filter(({ call, code }) => call === 'score' || code !== 'MILL_LOG_UNAVAILABLE')).toEqual(
    [],
  );
  expect(degraded).toBe(0);
  await expectLearnedOnce(file);
  await expectStored(file, acknowledged);
  // All of them found the new server by themselves.
  expect(await restartsOfServices()).toEqual(restarts);
});

test('failures: nats-server hangs until all leases have lapsed: scores go on from memory', async () => {
  const file = await createReady(countingModel('nats-hung', learning));
  const load = startLoad(file);
  await moreScores(load, 50);
  await cluster.signal('nats-server', 'SIGSTOP');
  await expectLive({ 'shard-0': false, 'shard-1': false });
  await moreScores(load, 5);
  await cluster.signal('nats-server', 'SIGCONT');
  await expectLive({ 'shard-0': true, 'shard-1': true });
  await moreScores(load, 50);
  const { failures, acknowledged, degraded } = await load.stop();
  expect(failures.filter(({ call }) => call === 'score')).toEqual([]);
  expect(degraded).toBe(0);
  // A click that hung for longer than the join window is too late, and told.
  const rejected = async () =>
    (await cluster.client.rejectedOutcomes(file.name)).map(({ requestId }) => requestId);
  await expectLearnedOnce(file, rejected);
  await expectStored(file, acknowledged);
});

test('failures: a second cluster on the same directory is refused and harms nothing', async () => {
  const file = await createReady(countingModel('second-up', learning));
  const second = await runMillrace(['up', '--data', cluster.directory, '--port', '0']);
  expect(second).toMatchObject({ code: 1, stdout: '' });
  expect(second.stderr).toContain('MILL_CONFIG_INVALID: a cluster already runs from');
  expect(second.stderr).toContain(cluster.url);
  const { scores } = await cluster.client.score({ model: file.name, items: [{ item: 'i0' }] });
  expect(scores).toEqual([0.5]);
});

test('failures: stopped under load, started, its supervisor killed, started: all is as it was', async () => {
  const file = await createReady(netModel('restarted'));
  const visits = 10;
  const before = await learnVisits(file, visits);
  const expectAsBefore = async () => {
    await cluster.client.waitUntilReady();
    expect(await scoresOf(file)).toEqual(before);
    await eventually(async () => expect(await learnedOf(file)).toBe(visits * items.length), now);
  };

  const busy = await createReady(countingModel('stopped-busy', learning));
  const load = startLoad(busy);
  await moreScores(load, 50);
  const stopped = await cluster.stop();
  expect(stopped).toMatchObject({ code: 0, signal: null, survivors: [] });
  expect(stopped.tookMs).toBeLessThan(20_000);
  const { scored, acknowledged, failures } = await load.stop();
  expect(failures.filter(({ code }) => code !== 'MILL_UNREACHABLE')).toEqual([]);
  await cluster.start();
  await expectAsBefore();
  // A drain stores what it has answered.
  expect(await expectLearnedOnce(busy)).toBeGreaterThanOrEqual(scored.length);
  await expectStored(busy, acknowledged);

  await cluster.killSupervisor();
  await cluster.start();
  await expectAsBefore();
});

/** Visits with a click each; resolves to version and scores once all of them are learned and served. */
async function learnVisits(file: ModelFile, visits: number) {
  for (let visit = 0; visit < visits; visit += 1) {
    const requestId = `visit-${visit}`;
    await cluster.client.score({ ...requestOf(file), requestId, log: true });
    await cluster.client.sendOutcomes({ model: file.name, requestId, index: visit % items.length });
  }
  await eventually(async () => expect(await learnedOf(file)).toBe(visits * items.length), soon);
  const bus = await cluster.bus();
  const head = await bus.headOf('dense', denseSubject(modelNameFrom(file.name)));
  const learned = await eventually(async () => {
    const found = await scoresOf(file);
    expect(found.version).toBe(head);
    return found;
  }, now);
  expect(new Set(learned.scores).size).toBeGreaterThan(1);
  return learned;
}

function requestOf(file: ModelFile): ScoreRequest {
  return { model: file.name, user: { user: 'u1' }, items: items.map((item) => ({ item })), log: false };
}

async function scoresOf(file: ModelFile) {
  const { version, scores, degraded } = await cluster.client.score(requestOf(file));
  return { version, scores, degraded };
}

/** Four requests on their way, of two items each; every third gets a click on its first item. */
function startLoad(file: ModelFile): SteadyLoad {
  return startSteadyLoad({
    url: cluster.url,
    lanes: 4,
    pauseMs: 20,
    request: (n) => ({
      model: file.name,
      requestId: `load-${n}`,
      items: [{ item: items[n % items.length] }, { item: items[(n + 3) % items.length] }],
    }),
    outcomes: (n) => (n % 3 === 0 ? [{ model: file.name, requestId: `load-${n}` }] : []),
  });
}

function moreScores(load: SteadyLoad, more: number): Promise<void> {
  const wanted = load.sofar.scored.length + more;
  return eventually(() => expect(load.sofar.scored.length).toBeGreaterThanOrEqual(wanted), now);
}

/**
 * Waits until the model has learned all that its event log holds, and checks that each example counted once, that the live
 * shards are the fold of the gradient log, and that this has no holes. Resolves to the number of impressions.
 * @param rejected  ids whose clicks came too late.
 */
async function expectLearnedOnce(
  file: ModelFile,
  rejected: () => Promise<readonly string[]> = async () => [],
): Promise<number> {
  const bus = await cluster.bus();
  const check = async () => {
    const wanted = tallyOf(await readEvents(bus, file.name), new Set(await rejected()));
    const model = (await cluster.client.status()).models.find(({ name }) => name === file.name);
    expect(model).toMatchObject({ learned: wanted.examples, openImpressions: 0 });
    const fold = await foldGradients(bus, file);
    expect(fold).toMatchObject({ rejected: 0, holes: 0 });
    for (const [item, { shown, clicked }] of wanted.items)
      expect([item, countsOf(file, fold.states, item).item]).toEqual([item, shown / 2 - clicked]);
    for (const shard of ['shard-0', 'shard-1']) {
      const reports = await cluster.inspect(shard, file.name);
      expect(reports.map(({ stateHash }) => stateHash)).toEqual(fold.hashes);
    }
    return wanted.impressions;
  };
  return eventually(check, { withinMs: 60_000, everyMs: 500 });
}

/** What a model must have learned from events once every join window is over, counted plainly. */
function tallyOf(events: readonly Event[], rejected: ReadonlySet<string>) {
  const shown = new Map(
    events.flatMap((event) => (event.type === 'impression' ? [[event.requestId, event.items]] : [])),
  );
  const clicks = new Set(events.flatMap((event) => (event.type === 'outcome' ? [event.requestId] : [])));
  const tally = new Map(items.map((item) => [item, { shown: 0, clicked: 0 }]));
  let examples = 0;
  for (const [requestId, shownItems] of shown) {
    shownItems.forEach(({ item }, index) => {
      const entry = tally.get(String(item));
      if (entry === undefined) return;
      entry.shown += 1;
      if (index === 0 && clicks.has(requestId) && !rejected.has(requestId)) entry.clicked += 1;
    });
    examples += shownItems.length;
  }
  return { impressions: shown.size, examples, items: tally };
}

/** Every outcome that was acknowledged is in the event log. */
async function expectStored(file: ModelFile, requestIds: readonly string[]): Promise<void> {
  const events = await readEvents(await cluster.bus(), file.name);
  const stored = new Set(events.flatMap((event) => (event.type === 'outcome' ? [event.requestId] : [])));
  expect(requestIds.filter((requestId) => !stored.has(requestId))).toEqual([]);
  expect(requestIds.length).toBeGreaterThan(0);
}

async function learnedOf(file: ModelFile): Promise<number> {
  const { models } = await cluster.client.status();
  return models.find(({ name }) => name === file.name)?.learned ?? 0;
}

async function expectLive(wanted: Readonly<Record<string, boolean>>): Promise<void> {
  await eventually(async () => {
    const { shards } = await cluster.client.status();
    expect(Object.fromEntries(shards.map(({ id, live }) => [id, live]))).toEqual(wanted);
  }, now);
}

async function restartsOfServices(): Promise<Readonly<Record<string, number>>> {
  const { processes } = await cluster.sight();
  return Object.fromEntries(
    processes.flatMap(({ name, restarts }) => (name === 'nats-server' ? [] : [[name, restarts]])),
  );
}

/** Rows, dense weights and their optimizers' state: all that has to come back. */
function netModel(name: string): ModelFile {
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 4,
    tables: [
      {
        name: 'features',
        wide: { optimizer: { type: 'adagrad', learningRate: 0.1 } },
        embedding: { dim: 4, optimizer: { type: 'adagrad', learningRate: 0.1 } },
      },
    ],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'features' },
      { name: 'item', type: 'sparse', scope: 'item', table: 'features' },
    ],
    net: { wide: true, layers: [{ units: 8 }] },
    loss: 'logloss',
    seed: 3,
    learning: { ...learning, joinWindowMs: 500 },
  };
}

async function createReady(file: ModelFile): Promise<ModelFile> {
  await cluster.client.createModel(file);
  await cluster.client.waitUntilReady();
  return file;
}
