/**
 * docker-compose.cluster.yml for real: certificates are made, three nats servers and two inference nodes start, and one nats
 * server, the leader of the gradient log, is killed under load. Skipped, with a line that says why, as compose.test.ts is.
 */
import { randomBytes } from 'node:crypto';
import { createMillraceClient, type MillraceClient, type ModelFile } from '@millrace/sdk';
import { eventually, freePort } from '@millrace/testkit';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clicksModel, moreScores, soon, startClicks } from './clicks.ts';
import { compose as composeWith, reasonToSkip, upMsMax } from './engine.ts';

/** An election takes up to nine seconds, and what asked the old leader waits five; the rest is for a busy machine. */
const learnsOnMsMax = 60_000;
/** What is clicked during the election is joined after it. */
const joinWindowMs = 20_000;

const whyNot = await reasonToSkip();
if (whyNot !== null) process.stderr.write(`test/compose: cluster skipped, ${whyNot}\n`);

describe.skipIf(whyNot !== null)('compose cluster', () => {
  const project = `millrace-test-${randomBytes(4).toString('hex')}`;
  const settings: Record<string, string> = {
    COMPOSE_PROJECT_NAME: project,
    COMPOSE_FILE: 'docker-compose.cluster.yml',
    MILLRACE_IMAGE: 'millrace:test',
    MILL_HTTP_HOST: '127.0.0.1',
  };
  const urls: string[] = [];
  let docker: ContainerRuntimeClient;
  let client: MillraceClient;

  beforeAll(async () => {
    docker = await getContainerRuntimeClient();
    for (const name of ['MILL_HTTP_PORT', 'MILL_HTTP_PORT_2']) {
      settings[name] = String(await freePort());
      urls.push(`http://127.0.0.1:${settings[name]}`);
    }
    client = createMillraceClient({ url: urls[0] });
    // The steps of docs/operations.md.
    await compose('build', 'shard');
    await compose('run', '--rm', 'certs');
    await compose('up', '--detach', '--wait');
  }, upMsMax);

  afterAll(async () => {
    await client?.close();
    await compose('--profile', 'certs', 'down', '--volumes', '--timeout', '5');
  });

  test('compose cluster: the leader of the gradient log is killed: no score fails, clicks are learned on, and it catches up', async () => {
    const model = clicksModel('leader-killed', joinWindowMs);
    await eventually(() => client.createModel(model), soon);
    for (const url of urls) await untilReady(url);
    const loads = urls.map((url, node) => startClicks(url, model, `node-${node}`));
    await eventually(async () => expect((await statusOf(model)).learned).toBeGreaterThan(50), soon);

    const leader = (await streamSights()).find(({ name }) => name === 'MILL_GRADIENTS')?.leader;
    const nats = docker.container.getById(await containerOf(leader));
    await nats.kill();
    const { learned } = await statusOf(model);
    await eventually(async () => expect((await statusOf(model)).learned).toBeGreaterThan(learned + 100), {
      withinMs: learnsOnMsMax,
    });
    await nats.start();
    await eventually(async () => {
      const behind = (await streamSights()).flatMap(({ name, behind }) =>
        behind.map((server) => `${name} ${server}`),
      );
      expect(behind).toEqual([]);
    }, soon);
    for (const { sofar } of loads) await moreScores(sofar, 50);
    const results = await Promise.all(loads.map((load) => load.stop()));

    expect(results.map(({ degraded }) => degraded)).toEqual([0, 0]);
    // Clicks may be refused, to be sent again, while the log has no leader; scores may not.
    const failures = results.flatMap((result) => result.failures);
    const expected = ['MILL_LOG_UNAVAILABLE', 'MILL_TIMEOUT'];
    expect(failures.filter(({ call, code }) => call !== 'outcome' || !expected.includes(code))).toEqual([]);
    const clicked = results.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    // Each request shows two items, and whatever was acknowledged found its impression.
    await eventually(
      async () => {
        const status = await statusOf(model);
        expect(status).toMatchObject({ openImpressions: 0, rejected: 0 });
        expect(status.learned).toBeGreaterThanOrEqual(2 * clicked);
      },
      { withinMs: joinWindowMs + soon.withinMs },
    );
    const verdict = await compose(
      ...['exec', '-T', 'shard', 'node', 'packages/cli/dist/main.js', 'verify', '--model', model.name],
    );
    expect(verdict).not.toBe('');
  });

  function compose(...args: readonly string[]): Promise<string> {
    return composeWith(args, settings);
  }

  async function statusOf(model: ModelFile) {
    const found = (await client.status()).models.find(({ name }) => name === model.name);
    if (found === undefined) throw new Error(`the cluster does not know model ${model.name}`);
    return found;
  }

  async function containerOf(service: string | undefined): Promise<string> {
    if (service === undefined) throw new Error('the log has no leader');
    return (await compose('ps', '--quiet', service)).trim();
  }

  interface StreamSight {
    readonly name: string;
    readonly leader: string;
    /** Servers whose copy is not up to date. */
    readonly behind: readonly string[];
  }

  /** Who leads each stream, as any server says; asked from inside, where the servers can be reached. */
  async function streamSights(): Promise<StreamSight[]> {
    const script = `
      const { connect } = await import('nats');
      const { readFileSync } = await import('node:fs');
      const env = process.env;
      const connection = await connect({
        servers: env.MILL_NATS_URL.split(','),
        user: env.MILL_NATS_USER,
        pass: readFileSync(env.MILL_NATS_PASSWORD_FILE, 'utf8').trim(),
        tls: { caFile: env.MILL_NATS_TLS_CA, certFile: env.MILL_NATS_TLS_CERT, keyFile: env.MILL_NATS_TLS_KEY },
      });
      const sights = [];
      for await (const { config, cluster } of (await connection.jetstreamManager()).streams.list())
        sights.push({
          name: config.name,
          leader: cluster.leader,
          behind: (cluster.replicas ?? []).filter(({ current }) => !current).map(({ name }) => name),
        });
      console.log(JSON.stringify(sights));
      await connection.close();`;
    const args = ['exec', '-T', 'updater', 'node', '--input-type=module', '-e', script];
    return eventually(async () => JSON.parse(await compose(...args)) as StreamSight[], soon);
  }
});

async function untilReady(url: string): Promise<void> {
  const client = createMillraceClient({ url });
  try {
    await client.waitUntilReady({ timeoutMs: soon.withinMs });
  } finally {
    await client.close();
  }
}
