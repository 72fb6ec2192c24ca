/**
 * docker-compose.yml for real: the image is built from this tree, the containers start, and what a user does with them works.
 * NODE_IMAGE and NATS_IMAGE name other base images. Without a Docker engine and compose v2 it is skipped, and says so.
 */
import { randomBytes } from 'node:crypto';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { eventually, freePort, startSteadyLoad } from '@millrace/testkit';
import {
  type ContainerRuntimeClient,
  DockerComposeEnvironment,
  getContainerRuntimeClient,
  type StartedDockerComposeEnvironment,
} from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  clicksModel,
  expectLiveShards,
  learnOneClick,
  moreScores,
  questionTo,
  soon,
  startClicks,
} from './clicks.ts';
import { compose as composeWith, reasonToSkip, root, upMsMax, watchDeaths } from './engine.ts';

/** stop_grace_period of a shard. */
const graceMs = 35_000;

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

  test('compose: services run as a plain user and cannot write their file system', async () => {
    for (const name of ['inference-1', 'updater-1', 'shard-1']) {
      const { output, exitCode } = await containerOf(name).exec(['sh', '-c', 'id -u; touch packages/x']);
      expect(output, name).toContain('1000\n');
      expect(output, name).toContain('Read-only file system');
      expect(exitCode, name).not.toBe(0);
    }
  });

  test('compose: scores, learns from an outcome, and scores on when a shard is killed', async () => {
    const model = clicksModel('shard-killed');
    const learned = await learnOneClick(client, model);

    const load = startSteadyLoad({ url, lanes: 2, pauseMs: 5, request: () => questionTo(model) });
    await moreScores(load.sofar, 50);
    const shard = docker.container.getById(containerOf('shard-1').getId());
    await shard.kill();
    await expectLiveShards(client, 1);
    await moreScores(load.sofar, 50);
    expect(await load.stop()).toMatchObject({ failures: [], degraded: 0 });
    // The other shard has folded the same log, so it answers the same to the last bit.
    const after = await client.score(questionTo(model));
    expect([after.scores, after.degraded]).toEqual([learned, false]);

    await shard.start();
    await expectLiveShards(client, 2);
  });

  test('compose: 2 → 4 → 2 shards under load: no score fails or is degraded, every click is learned, who leaves drains', async () => {
    const model = clicksModel('scaled');
    await learnOneClick(client, model);
    const before = await statusOf(model.name);
    const watch = await watchDeaths(docker, project);
    const load = startClicks(url, model);
    await moreScores(load.sofar, 100);
    await scaleTo(4);
    await moreScores(load.sofar, 100);
    await scaleTo(2);
    await moreScores(load.sofar, 100);
    const { failures, degraded, scored, acknowledged } = await load.stop();
    watch.close();
    expect({ failures, degraded, clicked: acknowledged.length }).toEqual({
      failures: [],
      degraded: 0,
      clicked: scored.length,
    });
    // Four containers have been there, and two of them went when they were told to.
    expect(watch.deaths).toHaveLength(2);
    for (const death of watch.deaths) {
      expect(death).toMatchObject({ container: expect.stringContaining('-shard-'), exitCode: 0 });
      expect(death.tookMs).toBeLessThan(graceMs);
    }
    // Each request shows two items.
    await eventually(async () => {
      const { learned, openImpressions, rejected } = await statusOf(model.name);
      expect({ learned, openImpressions, rejected }).toEqual({
        learned: before.learned + 2 * scored.length,
        openImpressions: 0,
        rejected: before.rejected,
      });
    }, soon);
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
      const { ExitCode } = (await docker.container.getById(Id).inspect()).State;
      // Older nats servers end politely with code 1; killed would be 137.
      expect(Names[0].includes('-nats-') && ExitCode === 1 ? 0 : ExitCode, Names[0]).toBe(0);
    }
    await compose('up', '--detach', '--wait', '--no-build');
    await client.waitUntilReady({ timeoutMs: soon.withinMs });
    const { scores, degraded } = await client.score(questionTo(model));
    expect([scores, degraded]).toEqual([learned, false]);
  });

  async function statusOf(model: string) {
    const found = (await client.status()).models.find(({ name }) => name === model);
    if (found === undefined) throw new Error(`the cluster does not know model ${model}`);
    return found;
  }

  function containerOf(name: string) {
    return (environment as StartedDockerComposeEnvironment).getContainer(name);
  }

  function compose(...args: readonly string[]) {
    return composeWith(args, { COMPOSE_PROJECT_NAME: project, ...settings });
  }

  /** As docs/operations.md says it. */
  async function scaleTo(count: number): Promise<void> {
    await compose('up', '--detach', '--no-recreate', '--no-build', '--scale', `shard=${count}`);
    await expectLiveShards(client, count);
  }
});
