/** The edges of a real cluster: keys at every route, and what commands and clients make of them. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoFolder } from '@millrace/protocol';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import {
  countingModel,
  eventually,
  freePort,
  type LocalClusterFixture,
  runMillrace,
  startLocalCluster,
  startMillrace,
  textOf,
} from '@millrace/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';

/** On a busy machine a command takes long to load. */
const commandMsMax = 180_000;

let directory: string;
let cluster: LocalClusterFixture;
let keysFile: string;
const keys: Record<string, string> = {};

async function addKey(name: string, roles: string): Promise<string> {
  const made = await runMillrace(['keys', 'add', name, '--roles', roles, '--file', keysFile, '--json']);
  expect(made.code).toBe(0);
  return (JSON.parse(made.stdout) as { key: string }).key;
}

const clientWith = (apiKey: string): MillraceClient => createMillraceClient({ url: cluster.url, apiKey });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mill-edges-'));
  keysFile = join(directory, 'keys.json');
  for (const [name, roles] of Object.entries({ shop: 'score', clicks: 'events', ops: 'admin' }))
    keys[name] = await addKey(name, roles);
  cluster = await startLocalCluster({ shards: 1, env: { MILL_API_KEYS_FILE: keysFile } });
  const ops = clientWith(keys.ops);
  await ops.createModel(countingModel('ads', { joinWindowMs: 1_000 }));
  await ops.waitUntilReady();
  await ops.close();
});

afterAll(async () => {
  await cluster?.remove();
  await rm(directory, { recursive: true, force: true });
});

test('edges: each key does what its role says, and nothing else', async () => {
  const [shop, clicks, ops] = [clientWith(keys.shop), clientWith(keys.clicks), clientWith(keys.ops)];
  const { requestId } = await shop.score({ model: 'ads', items: [{ item: 'a' }] });
  const outcome = { model: 'ads', requestId, index: 0 };
  const forbidden = { code: 'MILL_FORBIDDEN' };
  await expect(shop.sendOutcomes(outcome)).rejects.toMatchObject(forbidden);
  await expect(shop.createModel(countingModel('more', { joinWindowMs: 1_000 }))).rejects.toMatchObject(
    forbidden,
  );
  await expect(clicks.score({ model: 'ads', items: [{}] })).rejects.toMatchObject(forbidden);
  expect(await clicks.sendOutcomes(outcome)).toEqual({ accepted: 1 });
  await eventually(
    async () => {
      const { models } = await ops.status();
      expect(models[0].learned).toBeGreaterThan(0);
    },
    { withinMs: 30_000 },
  );
  await Promise.all([shop, clicks, ops].map((client) => client.close()));
});

test('edges: a wrong key, and none, get 401 at every route that there is, and at those that are not', async () => {
  const described = await fetch(`${cluster.url}/openapi.json`, { headers: { 'x-api-key': keys.shop } });
  const { paths } = (await described.json()) as { paths: Record<string, object> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.replace('{name}', 'ads')] as const),
  );
  const more = [
    ['GET', '/'],
    ['GET', '/openapi.json'],
    ['GET', '/nowhere'],
    ['DELETE', '/v1/models/ads'],
    ['GET', '/v2'],
    ['POST', '/v2/models/ads/infer'],
    ['GET', '/v1/models/ads/metadata'],
    ['POST', '/v1/models/ads:predict'],
    ['POST', '/v2/repository/models/ads/unload'],
  ] as const;
  const asked = [...routes.filter(([, path]) => !path.startsWith('/health/')), ...more];
  expect(asked.some(([, path]) => path === '/metrics')).toBe(true);
  for (const [method, path] of asked) {
    for (const headers of [{}, { authorization: 'Bearer mill_wrong' }]) {
      const { status } = await fetch(cluster.url + path, { method, headers });
      expect([method, path, status]).toEqual([method, path, 401]);
    }
  }
  for (const path of ['/health/live', '/health/ready'])
    expect((await fetch(cluster.url + path)).status).toBe(200);
});

test('edges: metrics of a shard want the key of an admin', async () => {
  const port = await freePort();
  const shard: ChildProcess = startMillrace(['shard'], {
    env: {
      MILL_NATS_URL: cluster.natsUrl,
      MILL_SHARD_ID: 'second',
      MILL_SHARD_PORT: '0',
      MILL_SNAPSHOT_STORE: 'none',
      MILL_METRICS_PORT: String(port),
      MILL_API_KEYS_FILE: keysFile,
    },
  });
  const said = textOf(shard, 'stderr');
  try {
    const ask = async (path: string, key: string) => {
      const headers = { authorization: `Bearer ${key}` };
      return (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status;
    };
    await eventually(() => ask('/health/live', 'mill_wrong'), { withinMs: 30_000 });
    const found = [];
    for (const key of ['mill_wrong', keys.shop, keys.ops]) found.push(await ask('/metrics', key));
    expect(found).toEqual([401, 403, 200]);
    expect(said()).not.toContain('mill_');
  } finally {
    const ended = new Promise((resolve) => shard.once('exit', resolve));
    shard.kill('SIGTERM');
    await ended;
  }
});

test('edges: commands show MILL_API_KEY', async () => {
  const env = { MILL_URL: cluster.url, MILL_API_KEYS_FILE: undefined };
  const request = '{"model":"ads","items":[{"item":"a"}]}';
  const scored = await runMillrace(['score', request, '--json'], {
    env: { ...env, MILL_API_KEY: keys.shop },
  });
  expect([scored.code, JSON.parse(scored.stdout)]).toEqual([0, expect.objectContaining({ model: 'ads' })]);
  const refused = await runMillrace(['status'], { limitMs: commandMsMax, env });
  expect([refused.code, refused.stdout, refused.stderr]).toEqual([
    1,
    '',
    expect.stringMatching(/^millrace: MILL_UNAUTHENTICATED: key: wanted/),
  ]);
});

test('edges: a key that is added works within seconds, and not once it is removed; no key is in a log', async () => {
  const guest = clientWith(await addKey('guest', 'score'));
  await eventually(() => guest.models(), { withinMs: 10_000 });
  expect((await runMillrace(['keys', 'remove', 'guest', '--file', keysFile])).code).toBe(0);
  await eventually(
    async () => expect(guest.models()).rejects.toMatchObject({ code: 'MILL_UNAUTHENTICATED' }),
    { withinMs: 10_000 },
  );
  await guest.close();
  const log = await readFile(join(cluster.directory, 'logs', 'inference.log'), 'utf8');
  expect(log).toContain('"msg":"api keys changed"');
  expect(log).not.toContain('mill_');
});

/** Status of a Score over gRPC with TLS, and the scores. */
async function scoreOverGrpc(
  port: number,
  ca: Buffer | null,
  key: string,
): Promise<readonly [number, number]> {
  const proto = fileURLToPath(new URL('millrace.proto', protoFolder));
  const { millrace } = loadPackageDefinition(loadSync(proto)) as unknown as {
    millrace: { v1: { Millrace: ServiceClientConstructor } };
  };
  const client = new millrace.v1.Millrace(`localhost:${port}`, credentials.createSsl(ca));
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const request = { model: 'ads', items: [{ values: { item: { text: 'a' } } }], log: false };
  try {
    return await new Promise((resolve) => {
      client.Score(
        request,
        metadata,
        { deadline: Date.now() + 20_000 },
        (error: ServiceError | null, answer?: { scores: readonly number[] }) =>
          resolve(error ? [error.code, 0] : [0, answer?.scores.length ?? 0]),
      );
    });
  } finally {
    client.close();
  }
}

/** Takes what a node tells a collector of OpenTelemetry, until the test ends. */
async function openCollector() {
  const texts: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    texts.push(text);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, received: () => texts.join('\n') };
}

/** Scores over Thrift with TLS, as its package and its compiler have them; the code of a refusal. */
async function scoreOverThrift(port: number, ca: string, key: string): Promise<number | string> {
  const load = createRequire(new URL('../../packages/inference/package.json', import.meta.url));
  const thrift = load('thrift');
  const generated = load('./test/thrift/generated/Millrace.cjs');
  const types = load('./test/thrift/generated/millrace_types.cjs');
  const options = {
    transport: thrift.TFramedTransport,
    protocol: thrift.TBinaryProtocol,
    ca,
    servername: 'localhost',
  };
  const connection = thrift.createSSLConnection('127.0.0.1', port, options);
  const items = [{ item: new types.FeatureValue({ text: 'a' }) }];
  const request = { model: 'ads', items, log: false, call: new types.Call({ key }) };
  try {
    const failed = new Promise<never>((_, reject) => connection.on('error', reject));
    const asked = thrift.createClient(generated, connection).score(new types.ScoreRequest(request));
    const answer = await Promise.race([asked, failed]);
    return answer.scores.length;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    connection.end();
  }
}

test('edges: a node with a certificate speaks HTTPS, gRPC and Thrift over TLS, and commands trust MILL_TLS_CA', async () => {
  const certificates = join(directory, 'certs');
  const made = await runMillrace(['certs', '--out', certificates, '--hosts', 'localhost,127.0.0.1']);
  expect(made.code).toBe(0);
  const collector = await openCollector();
  const [port, grpcPort, thriftPort] = [await freePort(), await freePort(), await freePort()];
  const node = startMillrace(['inference'], {
    env: {
      MILL_NATS_URL: cluster.natsUrl,
      MILL_HTTP_PORT: String(port),
      MILL_GRPC_PORT: String(grpcPort),
      MILL_THRIFT_PORT: String(thriftPort),
      MILL_OTEL_URL: collector.url,
      MILL_HTTP_TLS_CERT: join(certificates, 'node.pem'),
      MILL_HTTP_TLS_KEY: join(certificates, 'node-key.pem'),
      MILL_API_KEYS_FILE: keysFile,
    },
  });
  const said = textOf(node, 'stderr');
  try {
    const url = `https://127.0.0.1:${port}`;
    const ca = await readFile(join(certificates, 'ca.pem'), 'utf8');
    const client = createMillraceClient({ url, ca, apiKey: keys.shop });
    await client.waitUntilReady();
    expect(await client.score({ model: 'ads', items: [{ item: 'a' }] })).toMatchObject({ model: 'ads' });
    await client.close();
    // Right, with a wrong key, with the key of another role, with an authority that did not sign.
    const authority = Buffer.from(ca);
    // These ports open behind that of HTTP.
    await eventually(
      async () => expect(await scoreOverGrpc(grpcPort, authority, keys.shop)).toEqual([status.OK, 1]),
      { withinMs: 30_000 },
    );
    expect(await scoreOverGrpc(grpcPort, authority, 'mill_wrong')).toEqual([status.UNAUTHENTICATED, 0]);
    expect(await scoreOverGrpc(grpcPort, authority, keys.clicks)).toEqual([status.PERMISSION_DENIED, 0]);
    expect(await scoreOverGrpc(grpcPort, null, keys.shop)).toEqual([status.UNAVAILABLE, 0]);
    await eventually(async () => expect(await scoreOverThrift(thriftPort, ca, keys.shop)).toBe(1), {
      withinMs: 30_000,
    });
    expect(await scoreOverThrift(thriftPort, ca, 'mill_wrong')).toBe('MILL_UNAUTHENTICATED');
    const env = { MILL_URL: url, MILL_API_KEY: keys.shop, MILL_TLS_CA: join(certificates, 'ca.pem') };
    const told = await runMillrace(['status', '--json'], { limitMs: commandMsMax, env });
    expect([told.code, told.stderr]).toEqual([0, '']);
    const strange = await runMillrace(['status'], {
      limitMs: commandMsMax,
      env: { ...env, MILL_TLS_CA: undefined },
    });
    expect([strange.code, strange.stderr]).toEqual([
      1,
      expect.stringMatching(/^millrace: MILL_UNREACHABLE: .*certificate/),
    ]);
  } finally {
    const ended = new Promise((resolve) => node.once('exit', resolve));
    node.kill('SIGTERM');
    await ended;
  }
  // What was left of its spans went out as it drained.
  const told = collector.received();
  for (const name of [
    'POST /v1/score',
    'millrace.v1.Millrace/Score',
    'millrace.thrift/score',
    'batch',
    'pull',
  ])
    expect(told).toContain(`"name":"${name}"`);
  expect(told).not.toContain('mill_');
  // Its drain ended in order, and what it said holds no key.
  expect(said()).toContain('"drained":true');
  expect(said()).not.toContain('mill_');
});
