/**
 * docker-compose.yml for real: the image is built from this tree, the containers start, and what a user does with them works.
 * NODE_IMAGE and NATS_IMAGE name other base images. Without a Docker engine and compose v2 it is skipped, and says so.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createMillraceClient, type MillraceClient, type ModelFile, type ScoreRequest } from '@millrace/sdk';
import { eventually, freePort, type LoadResult, startSteadyLoad } from '@millrace/testkit';
import {
  type ContainerRuntimeClient,
  DockerComposeEnvironment,
  getContainerRuntimeClient,
  type StartedDockerComposeEnvironment,
} from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
/** The first build installs all packages. */
const upMsMax = 900_000;
const soon = { withinMs: 60_000 };

const whyNot = await reasonToSkip();
if (whyNot !== null) process.stderr.write(`test/compose: skipped, ${whyNot}\n`);

describe.skipIf(whyNot !== null)('compose', () => {
  const project = `millrace-test-${randomBytes(4).toString('hex')}`;
  const settings: Record<string, string> = { MILLRACE_IMAGE: 'millrace:test', MILL_HTTP_HOST: '127.0.0.1' };
  let docker: ContainerRuntimeClient;
  let environment: StartedDockerComposeEnvironment | undefined;
  let client: MillraceClient;
  let url: string;

  beforeAll(async () => {
    docker = await getContainerRuntimeClient();
    settings.MILL_HTTP_PORT = String(await freePort());
    url = `http://127.0.0.1:${settings.MILL_HTTP_PORT}`;
    client = createMillraceClient({ url });
    environment = await new DockerComposeEnvironment(root, 'docker-compose.yml')
      .withProjectName(project)
      .withBuild()
      .withEnvironment(settings)
      .withClientOptions({ commandOptions: ['--wait'] })
      .up();
  }, upMsMax);

  afterAll(async () => {
    await client?.close();
    await environment?.down({ removeVolumes: true });
  });

  test('compose: scores, learns from an outcome, and scores on when a shard is killed', async () => {
    const model = clicksModel('shard-killed');
    const learned = await learnOneClick(client, model);

    const load = startSteadyLoad({ url, lanes: 2, pauseMs: 5, request: () => questionTo(model) });
    await moreScores(load.sofar, 50);
    const shard = docker.container.getById(containerOf('shard-1').getId());
    await shard.kill();
    await expectLiveShards(1);
    await moreScores(load.sofar, 50);
    expect(await load.stop()).toMatchObject({ failures: [], degraded: 0 });
    // The other shard has folded the same log, so it answers the same to the last bit.
    const after = await client.score(questionTo(model));
    expect([after.scores, after.degraded]).toEqual([learned, false]);

    await shard.start();
    await expectLiveShards(2);
  });

  test('compose: a drain ends every service with code 0, and what was learned is there after a start', async () => {
    const model = clicksModel('kept');
    const learned = await learnOneClick(client, model);
    await compose('stop');
    const stopped = await docker.container.dockerode.listContainers({
      all: true,
      filters: { label: [`com.docker.compose.project=${project}`] },
    });
    expect(stopped).toHaveLength(5);
    for (const { Id, Names } of stopped) {
      expect((await docker.container.getById(Id).inspect()).State.ExitCode, Names[0]).toBe(0);
    }
    await compose('up', '--detach', '--wait', '--no-build');
    await client.waitUntilReady({ timeoutMs: soon.withinMs });
    const { scores, degraded } = await client.score(questionTo(model));
    expect([scores, degraded]).toEqual([learned, false]);
  });

  test('compose: services run as a plain user and cannot write their file system', async () => {
    for (const name of ['inference-1', 'updater-1', 'shard-1']) {
      const { output, exitCode } = await containerOf(name).exec(['sh', '-c', 'id -u; touch packages/x']);
      expect(output, name).toContain('1000\n');
      expect(output, name).toContain('Read-only file system');
      expect(exitCode, name).not.toBe(0);
    }
  });

  function containerOf(name: string) {
    return (environment as StartedDockerComposeEnvironment).getContainer(name);
  }

  function compose(...args: readonly string[]) {
    const env = { ...process.env, COMPOSE_PROJECT_NAME: project, ...settings };
    return run('docker', ['compose', ...args], { cwd: root, env });
  }

  async function expectLiveShards(count: number): Promise<void> {
    await eventually(async () => {
      const { shards } = await client.status();
      expect(shards.filter(({ live, ready }) => live && ready)).toHaveLength(count);
    }, soon);
  }
});

/** Items "a" and "b"; the first is clicked once. Returns the scores that follow from it. */
async function learnOneClick(client: MillraceClient, model: ModelFile): Promise<readonly number[]> {
  await client.createModel(model);
  await client.waitUntilReady({ timeoutMs: soon.withinMs });
  const question = questionTo(model);
  expect((await client.score(question)).scores).toEqual([0.5, 0.5]);
  const { requestId } = await client.score({ ...question, log: true });
  await client.sendOutcomes({ model: model.name, requestId, index: 0, value: 1 });
  return eventually(async () => {
    const { scores } = await client.score(question);
    expect(scores[0]).toBeGreaterThan(0.5);
    expect(scores[1]).toBeLessThan(0.5);
    return scores;
  }, soon);
}

/** One weight an item: what one item's outcome teaches moves no other item. */
function clicksModel(name: string): ModelFile {
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 8,
    tables: [{ name: 'items', wide: { optimizer: { type: 'sgd', learningRate: 0.5 } } }],
    fields: [{ name: 'item', type: 'sparse', scope: 'item', table: 'items' }],
    net: 'linear',
    loss: 'logloss',
    seed: 1,
    learning: { negatives: 'after-window', joinWindowMs: 1_000 },
  };
}

function questionTo(model: ModelFile): ScoreRequest {
  return { model: model.name, items: [{ item: 'a' }, { item: 'b' }], log: false };
}

async function moreScores(sofar: LoadResult, count: number): Promise<void> {
  const wanted = sofar.scored.length + count;
  await eventually(() => expect(sofar.scored.length).toBeGreaterThanOrEqual(wanted), soon);
}

/** Null when an engine and compose v2 answer. */
async function reasonToSkip(): Promise<string | null> {
  const isThere = (question: Promise<unknown>) =>
    question.then(
      () => true,
      () => false,
    );
  if (!(await isThere(getContainerRuntimeClient()))) return 'no Docker engine answers';
  if (!(await isThere(run('docker', ['compose', 'ls'])))) return 'docker compose (v2) does not answer';
  return null;
}
