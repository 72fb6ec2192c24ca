import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { protoFolder } from '@millrace/protocol';
import { createKeyedAccess, createManualClock, hashOfKey } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { methods, refusal } from '../../src/thrift/messages.ts';
import type { StructTable, ThriftType } from '../../src/thrift/structs.ts';
import { answerTo, gate, stubService, withObjects } from '../http/stub-service.ts';
import { linear, openStage, sigmoid } from '../small-serving.ts';
import { clientOf, featuresOf, openThrift, types } from './thrift-clients.ts';

const scoreRequest = (fields: object) => new types.ScoreRequest(fields);
const callOf = (fields: object) => new types.Call(fields);

test('thrift: score: a request of every type of value reaches the service as the native one', async () => {
  const service = stubService();
  const { face, registry } = await openThrift({ service });
  const client = await clientOf(face.port);
  const request = scoreRequest({
    model: 'demo',
    requestId: 'r1',
    user: featuresOf({ user: 'u', seen: ['a', 7n] }),
    context: featuresOf({ hour: 3.5, fresh: true }),
    items: [featuresOf({ item: 9_007_199_254_740_993n }), featuresOf({ item: -5n, price: 1.5 }), {}],
    log: false,
  });
  const answer = await client.score(request);
  expect(service.scored).toEqual([
    {
      model: 'demo',
      requestId: 'r1',
      user: { user: 'u', seen: ['a', 7] },
      context: { hour: 3.5, fresh: true },
      items: [{ item: '9007199254740993' }, { item: -5, price: 1.5 }, {}],
      log: false,
    },
  ]);
  expect(answer).toMatchObject({
    requestId: 'r1',
    model: 'demo',
    scores: [1 / 2, 1 / 3, 1 / 4],
    stalenessMs: 12.5,
    degraded: false,
    engine: 'wasm',
  });
  expect(Number(answer.version)).toBe(7);
  expect(await registry.metrics()).toContain('millrace_thrift_requests_total{method="score",code="OK"} 1');
});

test('thrift: score: the scores of the core, to the bit of a float32', async () => {
  const { core, rows, events } = await openStage([linear]);
  rows.weights.set('a', 0.75);
  const { face } = await openThrift({ service: core });
  const client = await clientOf(face.port);
  const items = [featuresOf({ ad: 'a' }), featuresOf({ ad: 'b' })];
  const { scores } = await client.score(scoreRequest({ items, requestId: 'logged' }));
  expect((scores as number[]).map(Math.fround)).toEqual([Math.fround(sigmoid(0.75)), 0.5]);
  expect(await events()).toMatchObject([{ type: 'impression', requestId: 'logged' }]);
});

test('thrift: score and rank: version, label and arm are those of the native requests and answers', async () => {
  const way = { modelVersion: 3, label: 'canary', arm: 'button/b' };
  const stub = stubService();
  const service = stubService({
    async score(request) {
      service.scored.push(withObjects(request));
      return { ...answerTo(request), ...way };
    },
  });
  const { face } = await openThrift({ service });
  const client = await clientOf(face.port);
  const asks = [{ modelVersion: '3' }, { modelVersion: 'live' }, { label: 'canary' }];
  for (const ask of asks)
    expect(await client.score(scoreRequest({ items: [{}], ...ask }))).toMatchObject(way);
  const items = [featuresOf({ item: 'a' }), featuresOf({ item: 'b' })];
  const exploration = new types.Exploration({ type: 'softmax', temperature: 0.5 });
  const ranked = await client.rank(
    new types.RankRequest({ model: 'demo', requestId: 'r', items, exploration, count: 1, modelVersion: '3' }),
  );
  expect(service.scored).toEqual([
    { items: [{}], version: 3 },
    { items: [{}], version: 'live' },
    { items: [{}], label: 'canary' },
  ]);
  expect(service.ranked).toEqual([
    {
      model: 'demo',
      requestId: 'r',
      version: 3,
      items: [{ item: 'a' }, { item: 'b' }],
      exploration: { type: 'softmax', temperature: 0.5 },
      count: 1,
    },
  ]);
  expect(ranked).toMatchObject({ requestId: 'r', model: 'demo', policy: 'softmax', engine: 'wasm' });
  expect(ranked.ranking).toMatchObject([
    { index: 0, score: 0.5, propensity: 1 },
    { index: 1, score: 1 / 3, propensity: 1 },
  ]);
  // Nothing is said of what is not.
  const plain = await clientOf((await openThrift({ service: stub })).face.port);
  expect(await plain.rank(new types.RankRequest({ items: [{}] }))).toMatchObject({
    policy: 'epsilon-greedy',
    modelVersion: null,
    label: null,
    arm: null,
  });
});

test('thrift: rank: an order drawn by the core, with its propensities', async () => {
  const { core, rows, events } = await openStage([linear]);
  rows.weights.set('a', 0.75);
  const { face } = await openThrift({ service: core });
  const client = await clientOf(face.port);
  const items = [featuresOf({ ad: 'b' }), featuresOf({ ad: 'a' })];
  const exploration = new types.Exploration({ type: 'greedy' });
  const { ranking } = await client.rank(new types.RankRequest({ items, exploration, requestId: 'drawn' }));
  expect(ranking).toMatchObject([{ index: 1, propensity: 1 }, { index: 0 }]);
  expect(await events()).toMatchObject([{ type: 'impression', requestId: 'drawn', policy: 'greedy' }]);
});

test('thrift: a caller’s priority reaches the service, and another word is refused', async () => {
  const seen: unknown[] = [];
  const score: ReturnType<typeof stubService>['score'] = async (request, caller) => {
    seen.push(caller?.priority);
    return answerTo(request);
  };
  const { face } = await openThrift({ service: stubService({ score }) });
  const client = await clientOf(face.port);
  for (const priority of [undefined, 'high', 'low'])
    await client.score(scoreRequest({ items: [{}], call: callOf({ priority }) }));
  expect(seen).toEqual(['normal', 'high', 'low']);
  await expect(
    client.score(scoreRequest({ items: [{}], call: callOf({ priority: 'urgent' }) })),
  ).rejects.toMatchObject({
    code: 'MILL_BAD_REQUEST',
    message: 'call.priority: wanted one of high, normal, low, found "urgent"',
  });
});

test('thrift: outcomes: all fields, and those that are absent', async () => {
  const service = stubService();
  const { face } = await openThrift({ service });
  const client = await clientOf(face.port);
  const outcomes = [
    { requestId: 'r1', index: 2, outcome: 'order', value: 9.5, timeMs: 1_700_000_000_000 },
    { model: 'demo', requestId: 'r2', item: new types.Scalar({ text: 'a' }) },
    { requestId: 'r3' },
  ].map((fields) => new types.Outcome(fields));
  expect(await client.sendOutcomes(new types.OutcomesRequest({ outcomes }))).toMatchObject({ accepted: 3 });
  expect(service.outcomes).toEqual([
    { requestId: 'r1', index: 2, outcome: 'order', value: 9.5, timeMs: 1_700_000_000_000 },
    { model: 'demo', requestId: 'r2', item: 'a' },
    { requestId: 'r3' },
  ]);
});

test('thrift: refusals are exceptions with the code of the table', async () => {
  const { core } = await openStage([linear]);
  const { face } = await openThrift({ service: core });
  const client = await clientOf(face.port);
  const refused = async (fields: object) => {
    const error = await client.score(scoreRequest(fields)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(types.Refusal);
    const { code, message, retryKind } = error as Record<string, string>;
    return [code, message, retryKind];
  };
  expect(await refused({ items: [] })).toEqual([
    'MILL_BAD_REQUEST',
    expect.stringMatching(/^items: wanted at least 1/),
    'never',
  ]);
  expect((await refused({ model: 'other', items: [{}] }))[0]).toBe('MILL_MODEL_UNKNOWN');
  expect(await refused({ items: Array.from({ length: 10_001 }, () => ({})) })).toEqual([
    'MILL_BAD_REQUEST',
    'list: wanted at most 10000 values, found 10001',
    'never',
  ]);
  expect((await refused({ items: [{ ad: new types.FeatureValue({ number: Number.NaN }) }] }))[0]).toMatch(
    /^MILL_(BAD_REQUEST|FEATURE_INVALID)$/,
  );
});

test('thrift: a defect is an incident, told without its text', async () => {
  const score = () => Promise.reject(new TypeError('a secret place in the code'));
  const { face, log } = await openThrift({ service: stubService({ score }) });
  const client = await clientOf(face.port);
  const refused = client.score(scoreRequest({ items: [{}] }));
  await expect(refused).rejects.toMatchObject({
    code: 'MILL_INTERNAL',
    message: expect.stringContaining('incident-1'),
  });
  await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret') });
  expect(log).toContain('call failed');
});

const keyed = (name: string, role: 'score' | 'events' | 'admin') => ({
  name,
  sha256: hashOfKey(`key-of-${name}`),
  roles: [role],
});

test('thrift: keys: none, a wrong one, another role, the right one', async () => {
  const keys = [keyed('shop', 'score'), keyed('clicks', 'events'), keyed('ops', 'admin')];
  const service = stubService();
  const access = createKeyedAccess(keys, createManualClock(0));
  const { face } = await openThrift({ service, access });
  const client = await clientOf(face.port);
  const shown = [undefined, 'wrong', 'key-of-shop', 'key-of-clicks', 'key-of-ops'];
  const codes = async (ask: (call: object) => Promise<unknown>) => {
    const found: unknown[] = [];
    for (const key of shown)
      found.push(
        await ask(callOf({ key })).then(
          () => 'in',
          ({ code }: { code: string }) => code,
        ),
      );
    return found;
  };
  const none = ['MILL_UNAUTHENTICATED', 'MILL_UNAUTHENTICATED'];
  expect(await codes((call) => client.score(scoreRequest({ items: [{}], call })))).toEqual([
    ...none,
    'in',
    'MILL_FORBIDDEN',
    'in',
  ]);
  const outcomes = [new types.Outcome({ requestId: 'r' })];
  expect(await codes((call) => client.sendOutcomes(new types.OutcomesRequest({ outcomes, call })))).toEqual([
    ...none,
    'MILL_FORBIDDEN',
    'in',
    'in',
  ]);
  expect([service.scored.length, service.outcomes.length]).toEqual([2, 2]);
});

test('thrift: a caller’s time: what is late is refused, and nobody computes it', async () => {
  const held = gate();
  const seen: boolean[] = [];
  const score: ReturnType<typeof stubService>['score'] = async (request, caller) => {
    await held.opened;
    seen.push(caller?.gone === true);
    return stubService().score(request);
  };
  const { face, clock } = await openThrift({ service: stubService({ score }) });
  const client = await clientOf(face.port);
  const late = client.score(scoreRequest({ items: [{}], call: callOf({ timeoutMs: 20 }) }));
  await expect(late).rejects.toMatchObject({ code: 'MILL_TIMEOUT', message: 'no answer within 20 ms' });
  clock.advanceTo(20);
  held.open();
  await expect.poll(() => seen).toEqual([true]);
  await expect(
    client.score(scoreRequest({ items: [{}], call: callOf({ timeoutMs: 0 }) })),
  ).rejects.toMatchObject({ code: 'MILL_TIMEOUT' });
});

/** Sends bytes, gives what comes back until the other side closes, or `bytes` came. */
async function exchange(port: number, sent: Buffer, bytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  socket.write(sent);
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).byteLength >= bytes) resolve();
    });
  });
  return Buffer.concat(chunks);
}

function framed(...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.byteLength);
  return Buffer.concat([head, body]);
}

function messageHead(name: string, kind = 1): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(0x80010000 + kind);
  head.writeUInt32BE(name.length, 4);
  return Buffer.concat([head, Buffer.from(name), Buffer.from([0, 0, 0, 9])]);
}

test('thrift: bytes that are no message', async () => {
  const { face } = await openThrift();
  // Cut off inside its struct: answered, with its sequence, and the connection stays.
  const cut = framed(messageHead('score'), Buffer.from([12, 0, 1, 11]));
  const answered = (await exchange(face.port, Buffer.concat([cut, cut]), 150)).toString('latin1');
  expect(answered.split('MILL_BAD_REQUEST').length).toBe(3);
  const unknown = await exchange(face.port, framed(messageHead('constructor'), Buffer.from([0])), 40);
  expect(unknown.toString('latin1')).toContain('wanted one of score, rank, sendOutcomes');
  const reply = await exchange(face.port, framed(messageHead('score', 2), Buffer.from([0])), 20);
  expect(reply.toString('latin1')).toContain('wanted a call');
  // No head that could be answered, a frame beyond the limit, another protocol: closed without a word.
  expect((await exchange(face.port, framed('garbage'))).byteLength).toBe(0);
  expect((await exchange(face.port, Buffer.from([0x7f, 0, 0, 0]))).byteLength).toBe(0);
  expect((await exchange(face.port, Buffer.from('GET / HTTP/1.1\r\n\r\n'))).byteLength).toBe(0);
});

test('thrift: a name like __proto__ is a name, and refused as one', async () => {
  const { face } = await openThrift();
  const name = '__proto__';
  const map = Buffer.from([
    11,
    12,
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    name.length,
    ...Buffer.from(name),
    11,
    0,
    1,
    0,
    0,
    0,
    1,
    0x78,
    0,
  ]);
  const items = Buffer.from([15, 0, 5, 13, 0, 0, 0, 1]);
  const sent = framed(messageHead('score'), Buffer.from([12, 0, 1]), items, map, Buffer.from([0, 0]));
  const answered = (await exchange(face.port, sent, 100)).toString('latin1');
  expect(answered).toContain('features: wanted names other than "__proto__"');
});

test('thrift: close lets a running call finish, and takes no more', async () => {
  const [held, begun] = [gate(), gate()];
  const score: ReturnType<typeof stubService>['score'] = async (request) => {
    begun.open();
    await held.opened;
    return stubService().score(request);
  };
  const { face } = await openThrift({ service: stubService({ score }) });
  const client = await clientOf(face.port);
  const running = client.score(scoreRequest({ items: [{}] }));
  await begun.opened;
  const closing = face.close();
  held.open();
  expect(await running).toMatchObject({ scores: [0.5] });
  await closing;
  await expect(clientOf(face.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

/** Structs of millrace.thrift: number, type and name of each field. */
function structsIn(text: string): Readonly<Record<string, readonly string[]>> {
  const plain = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const found = [...plain.matchAll(/(?:struct|union|exception) (\w+) \{([^}]*)\}/g)];
  return Object.fromEntries(
    found.map(([, name, body]) => [
      name,
      [...body.matchAll(/(\d+): (?:optional )?([\w<>]+) (\w+)/g)].map(
        ([, id, type, field]) => `${id} ${type} ${field}`,
      ),
    ]),
  );
}

test('thrift: the tables are those of millrace.thrift', () => {
  const structs = structsIn(readFileSync(new URL('millrace.thrift', protoFolder), 'utf8'));
  const nameOf = (type: ThriftType): string => {
    if (typeof type === 'string') return type;
    if ('struct' in type) return structNameOf(type.struct);
    return 'list' in type ? `list<${nameOf(type.list)}>` : 'Features';
  };
  const fieldsOf = (table: StructTable) =>
    Object.entries(table).map(([id, [name, type]]) => `${id} ${nameOf(type)} ${name}`);
  const structNameOf = (table: StructTable): string =>
    Object.entries(structs).find(
      ([, fields]) => JSON.stringify(fields) === JSON.stringify(fieldsOf(table)),
    )?.[0] ?? `none like ${fieldsOf(table)}`;
  const named = Object.entries(methods).map(([name, { request, response }]) => [
    name,
    structNameOf(request),
    structNameOf(response),
  ]);
  expect(named).toEqual([
    ['score', 'ScoreRequest', 'ScoreResponse'],
    ['rank', 'RankRequest', 'RankResponse'],
    ['sendOutcomes', 'OutcomesRequest', 'OutcomesResponse'],
  ]);
  expect(structNameOf(refusal)).toBe('Refusal');
});
