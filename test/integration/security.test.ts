/**
 * A cluster whose parts prove themselves to each other: nats-server with a user and mutual TLS, shards with TLS and a token,
 * all with the files that `millrace certs` makes. What is right works; whatever is missing or wrong is refused by a code, at
 * once; and no secret is found in any log.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { createShardConnection, type ShardConnection } from '@millrace/client';
import { createFrameReader, frameKinds, packedFrame, packedValueOf } from '@millrace/protocol';
import {
  connectNatsBus,
  createLogger,
  createTcpNetwork,
  type Environment,
  type Network,
  readConfig,
  readSecurity,
  securitySettings,
  shardCertificateName,
  systemClock,
  type TlsIdentity,
} from '@millrace/runtime';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import {
  countingModel,
  eventually,
  freePort,
  runMillrace,
  startMillrace,
  startNatsServer,
  type TestNatsServer,
  textOf,
} from '@millrace/testkit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

const logger = createLogger({ service: 'test', level: 'silent' });
/** A refusal that takes longer was waited for, not told. */
const quickMs = 8_000;

let directory: string;
const file = (name: string) => join(directory, name);
const text = (path: string) => readFile(path, 'utf8');
/** Settings of millrace.env. */
let settings: Record<string, string>;
let natsPassword: string;
let token: string;
let nats: TestNatsServer;

async function makeCertificates(name: string): Promise<string> {
  const out = file(name);
  const made = await runMillrace(['certs', '--out', out, '--hosts', 'localhost,127.0.0.1']);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  return out;
}

const natsAccess = (certificates: string, users: string) => `${users}
tls {
  cert_file: "${certificates}/node.pem"
  key_file: "${certificates}/node-key.pem"
  ca_file: "${certificates}/ca.pem"
  verify: true
}
`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mill-security-'));
  const ours = await makeCertificates('ours');
  await makeCertificates('others');
  settings = Object.fromEntries(
    (await text(join(ours, 'millrace.env')))
      .trimEnd()
      .split('\n')
      .map((line) => line.split('=') as [string, string]),
  );
  natsPassword = (await text(join(ours, 'nats-password'))).trim();
  token = (await text(join(ours, 'cluster-token'))).trim();
  nats = await startNatsServer({ access: natsAccess(ours, await text(join(ours, 'nats-user.conf'))) });
});

afterAll(async () => {
  await nats?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** The settings of millrace.env with some changed, or taken away. */
const settingsWith = (changes: Record<string, string | undefined>): Record<string, string | undefined> => ({
  ...settings,
  ...changes,
});

async function securityOf(env: Environment) {
  return readSecurity(readConfig(securitySettings, env), Date.now());
}

describe('certs', () => {
  test('security: certs: secrets are readable by their owner alone', async () => {
    const modes = await Promise.all(
      ['ca-key.pem', 'node-key.pem', 'cluster-token', 'nats-password', 'nats-user.conf'].map(
        async (name) => (await stat(join(file('ours'), name))).mode & 0o777,
      ),
    );
    expect(modes).toEqual([0o600, 0o600, 0o600, 0o600, 0o600]);
  });

  test('security: certs: what is there is kept, renewed or overwritten as told', async () => {
    const out = await makeCertificates('again');
    const read = () =>
      Promise.all(['ca.pem', 'node.pem', 'cluster-token'].map((name) => text(join(out, name))));
    const first = await read();
    const refused = await runMillrace(['certs', '--out', out]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^millrace: MILL_FILE_INVALID: .*ca\.pem is there already: --renew .* --force/,
    );
    expect(await read()).toEqual(first);
    expect((await runMillrace(['certs', '--out', out, '--renew'])).code).toBe(0);
    const renewed = await read();
    expect(renewed.map((content, i) => content === first[i])).toEqual([true, false, true]);
    expect((await runMillrace(['certs', '--out', out, '--force'])).code).toBe(0);
    expect((await read()).map((content, i) => content === renewed[i])).toEqual([false, false, false]);
  });
});

describe('nats', () => {
  const open = async (env: Environment, server = nats.url) => {
    const security = await securityOf(env);
    const bus = await connectNatsBus({
      servers: [server],
      name: 'test',
      logger,
      firstConnectMsMax: quickMs,
      ...security.nats,
    });
    onTestFinished(() => bus.close());
    return bus;
  };

  test('security: nats: the right user with the right certificates is let in', async () => {
    const bus = await open(settings);
    await bus.ensure();
    expect(bus.connected).toBe(true);
  });

  const cases: readonly { what: string; env: () => Record<string, string | undefined>; says: RegExp }[] = [
    {
      what: 'a wrong password',
      env: () => ({ MILL_NATS_PASSWORD: 'wrong-password', MILL_NATS_PASSWORD_FILE: undefined }),
      says: /refuses this client: .*; see MILL_NATS_USER with MILL_NATS_PASSWORD$/,
    },
    { what: 'a wrong user', env: () => ({ MILL_NATS_USER: 'other' }), says: /; see MILL_NATS_USER/ },
    {
      what: 'no user',
      env: () => ({ MILL_NATS_USER: undefined, MILL_NATS_PASSWORD_FILE: undefined }),
      says: /refuses this client: .*; it wants MILL_NATS_USER with MILL_NATS_PASSWORD, or /,
    },
    {
      what: 'another authority',
      env: () => ({ MILL_NATS_TLS_CA: join(file('others'), 'ca.pem') }),
      says: /shows a certificate that is not taken: .*; see MILL_NATS_TLS_CA$/,
    },
    {
      what: 'no TLS',
      env: () => ({
        MILL_NATS_TLS_CA: undefined,
        MILL_NATS_TLS_CERT: undefined,
        MILL_NATS_TLS_KEY: undefined,
      }),
      says: /speaks TLS with a certificate that this system does not trust: .*; set MILL_NATS_TLS_CA$/,
    },
  ];
  test.each(cases)(
    'security: nats: $what is refused at once, with the setting to look at',
    async ({ env, says }) => {
      const startMs = performance.now();
      const refused = open(settingsWith(env()));
      await expect(refused).rejects.toMatchObject({
        code: 'MILL_CONFIG_INVALID',
        message: expect.stringMatching(says),
      });
      expect(performance.now() - startMs).toBeLessThan(quickMs);
      await expect(refused).rejects.not.toThrow(/wrong-password/);
    },
  );

  test('security: nats: a certificate of another authority is not let in', async () => {
    const others = file('others');
    const env = settingsWith({
      MILL_NATS_TLS_CERT: join(others, 'node.pem'),
      MILL_NATS_TLS_KEY: join(others, 'node-key.pem'),
    });
    await expect(open(env)).rejects.toMatchObject({
      code: 'MILL_LOG_UNAVAILABLE',
      message: expect.stringContaining('MILL_NATS_TLS_CERT'),
    });
  });

  test('security: nats: a server without TLS, where TLS is asked for', async () => {
    const plain = await startNatsServer();
    onTestFinished(() => plain.stop());
    await expect(open(settings, plain.url)).rejects.toMatchObject({
      code: 'MILL_CONFIG_INVALID',
      message: expect.stringMatching(
        /does not speak TLS, which MILL_NATS_TLS_CA and MILL_NATS_TLS_CERT ask for$/,
      ),
    });
  });
});

interface RunningService {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  said(): string;
}

function startService(name: string, env: Record<string, string | undefined>): RunningService {
  const child = startMillrace([name], { env: { MILL_NATS_URL: nats.url, MILL_LOG_LEVEL: 'debug', ...env } });
  const [stdout, stderr] = [textOf(child, 'stdout'), textOf(child, 'stderr')];
  return { child, said: () => stdout() + stderr() };
}

async function stopService({ child }: RunningService): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function connectionTo(port: number, network: Network, shown: string | null): ShardConnection {
  const connection = createShardConnection({
    network,
    address: { shard: 'guarded', host: '127.0.0.1', port },
    cluster: 'millrace',
    role: 'test',
    token: shown,
    clock: systemClock,
    requestTimeoutMs: 5_000,
  });
  onTestFinished(() => connection.close());
  return connection;
}

function inspect(connection: ShardConnection): Promise<void> {
  const requestId = connection.nextRequestId();
  const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { model: 'ads' });
  return connection.request(frame, requestId, () => {});
}

describe('a cluster', () => {
  const services: RunningService[] = [];
  const start = (name: string, changes: Record<string, string | undefined> = {}) => {
    const service = startService(name, settingsWith(changes));
    services.push(service);
    return service;
  };
  let shardPort: number;
  let tls: TlsIdentity;
  let client: MillraceClient;

  const nodeOn = async (changes: Record<string, string | undefined> = {}) => {
    const port = await freePort();
    const service = start('inference', { MILL_HTTP_PORT: String(port), ...changes });
    return { service, client: createMillraceClient({ url: `http://127.0.0.1:${port}` }) };
  };

  beforeAll(async () => {
    tls = (await securityOf(settings)).tls as TlsIdentity;
    shardPort = await freePort();
    start('shard', { MILL_SHARD_ID: 'guarded', MILL_SHARD_PORT: String(shardPort), MILL_REPLICAS: '1' });
    start('updater');
    ({ client } = await nodeOn());
    const model = countingModel('ads', { joinWindowMs: 1_000 });
    await eventually(() => client.createModel(model), { withinMs: 60_000 });
    await client.waitUntilReady();
  });

  afterAll(async () => {
    await client?.close();
    await Promise.all(services.map(stopService));
  });

  test('security: cluster: scores and learns through TLS, with the token', async () => {
    const { requestId, degraded } = await client.score({ model: 'ads', items: [{ item: 'a' }] });
    expect(degraded).toBe(false);
    await client.sendOutcomes([{ model: 'ads', requestId, index: 0 }]);
    await eventually(
      async () => {
        const { models } = await client.status();
        expect(models[0].learned).toBeGreaterThan(0);
      },
      { withinMs: 30_000 },
    );
  });

  /** Frames that a caller gets until the connection ends. */
  const answersTo = (claims: Record<string, unknown>, over: 'plain' | 'tls'): Promise<unknown[]> => {
    const where = { host: '127.0.0.1', port: shardPort };
    const { ca, cert, key } = tls;
    const socket =
      over === 'plain'
        ? connect(where)
        : connectTls({ ...where, ca, cert, key, servername: shardCertificateName });
    const reader = createFrameReader();
    const codes: unknown[] = [];
    socket.on('data', (chunk) => reader.push(chunk, ({ bytes }) => codes.push(packedValueOf(bytes).code)));
    socket.on('error', () => {});
    socket.write(packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, claims));
    return new Promise((resolve) => socket.once('close', () => resolve(codes)));
  };

  test.each([
    {
      what: 'without TLS',
      claims: () => ({ cluster: 'millrace', token }),
      over: 'plain',
      code: 'MILL_TLS_REQUIRED',
    },
    {
      what: 'without a token',
      claims: () => ({ cluster: 'millrace' }),
      over: 'tls',
      code: 'MILL_UNAUTHENTICATED',
    },
    {
      what: 'with a wrong token',
      claims: () => ({ cluster: 'millrace', token: 'a-wrong-token-of-the-test' }),
      over: 'tls',
      code: 'MILL_UNAUTHENTICATED',
    },
    {
      what: 'of another cluster',
      claims: () => ({ cluster: 'other', token }),
      over: 'tls',
      code: 'MILL_CLUSTER_MISMATCH',
    },
  ] as const)('security: shard port: a caller $what is refused by $code', async ({ claims, over, code }) => {
    expect(await answersTo(claims(), over)).toEqual([code]);
  });

  test('security: shard port: what the client says of each', async () => {
    const otherTls = (
      await securityOf(
        Object.fromEntries(
          ['MILL_TLS_CA', 'MILL_TLS_CERT', 'MILL_TLS_KEY'].map((name) => [
            name,
            settings[name].replace(file('ours'), file('others')),
          ]),
        ),
      )
    ).tls;
    const cases = [
      { network: createTcpNetwork(), token, code: 'MILL_TLS_REQUIRED', says: 'speaks TLS alone' },
      { network: createTcpNetwork({ tls }), token: null, code: 'MILL_UNAUTHENTICATED', says: 'shows none' },
      {
        network: createTcpNetwork({ tls: otherTls }),
        token,
        code: 'MILL_SHARD_UNAVAILABLE',
        says: 'its certificate is not signed by the authority that this process trusts',
      },
    ];
    for (const { network, token: shown, code, says } of cases) {
      await expect(inspect(connectionTo(shardPort, network, shown))).rejects.toMatchObject({
        code,
        message: expect.stringContaining(says),
      });
    }
  });

  test('security: cluster: a node with a wrong token says so, answers degraded, and does not press', async () => {
    const wrong = 'a-wrong-token-of-the-test';
    const { service, client: misled } = await nodeOn({
      MILL_CLUSTER_TOKEN: wrong,
      MILL_CLUSTER_TOKEN_FILE: undefined,
    });
    onTestFinished(() => misled.close());
    await misled.waitUntilReady();
    const startMs = performance.now();
    for (let i = 0; i < 50; i += 1) {
      expect(await misled.score({ model: 'ads', items: [{ item: 'a' }] })).toMatchObject({ degraded: true });
    }
    const seconds = (performance.now() - startMs) / 1_000;
    const lines = service
      .said()
      .split('\n')
      .filter((line) => line.includes('"MILL_UNAUTHENTICATED"'));
    expect(lines.length).toBeGreaterThan(0);
    // One try in five seconds.
    expect(lines.length).toBeLessThanOrEqual(1 + Math.ceil(seconds / 5));
    expect(JSON.parse(lines[0])).toMatchObject({ level: 'warn', msg: 'refused by a shard' });
    expect(service.said()).not.toContain(wrong);
  });

  test('security: cluster: no secret is in any log', async () => {
    const said = services.map((service) => service.said()).join('\n');
    const key = (await text(join(file('ours'), 'node-key.pem'))).split('\n')[1];
    expect(said).toContain('"msg":"shard started"');
    for (const secret of [token, natsPassword, key]) expect(said.includes(secret)).toBe(false);
  });
});

describe('a service', () => {
  test('security: a service with a wrong NATS password ends at once, and says why', async () => {
    const wrong = 'a-wrong-password';
    const { code, stdout, stderr } = await runMillrace(['updater'], {
      env: {
        MILL_NATS_URL: nats.url,
        ...settingsWith({ MILL_NATS_PASSWORD: wrong, MILL_NATS_PASSWORD_FILE: undefined }),
      },
    });
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/"code":"MILL_CONFIG_INVALID","reason":"NATS at .* refuses this client/);
    expect(stdout + stderr).not.toContain(wrong);
  });

  test('security: a shard whose key does not fit its certificate does not start', async () => {
    const { code, stderr } = await runMillrace(['shard'], {
      env: {
        MILL_NATS_URL: nats.url,
        ...settingsWith({ MILL_TLS_KEY: join(file('others'), 'node-key.pem') }),
      },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^millrace: MILL_CONFIG_INVALID: MILL_TLS_KEY \(.*\) does not fit the certificate of MILL_TLS_CERT/,
    );
  });

  test('security: a shard without TLS: warned of its token beyond this machine, and a caller with TLS is told', async () => {
    const plain = await startNatsServer();
    onTestFinished(() => plain.stop());
    const port = await freePort();
    const service = startService('shard', {
      MILL_NATS_URL: plain.url,
      MILL_SHARD_HOST: '0.0.0.0',
      MILL_SHARD_PORT: String(port),
      MILL_CLUSTER_TOKEN: token,
    });
    onTestFinished(() => stopService(service));
    await eventually(
      () => {
        expect(service.said()).toContain('"msg":"shard started"');
      },
      { withinMs: 60_000 },
    );
    expect(service.said()).toMatch(
      /"level":"warn".*the cluster token can be read by whoever sees the network/,
    );
    expect(service.said()).not.toContain(token);
    const connection = connectionTo(port, createTcpNetwork({ tls: (await securityOf(settings)).tls }), token);
    await expect(inspect(connection)).rejects.toMatchObject({
      code: 'MILL_SHARD_UNAVAILABLE',
      message: expect.stringMatching(/does not answer: it does not speak TLS$/),
    });
  });
});
