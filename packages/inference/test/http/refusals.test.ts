import { MillraceError } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { post, refusalFrom } from './raw.ts';
import { type Listening, listen, openServer } from './stub-service.ts';

/** Only refuses: no test that uses it leaves a trace in it. */
let server: Listening;
beforeAll(async () => {
  server = await openServer();
});
afterAll(() => server.close());

const items = (item: string): string => `{"items":[{},{},{},${item}]}`;

const badRanks: readonly (readonly [name: string, part: string, message: string])[] = [
  [
    'an unknown policy',
    '"exploration":{"type":"ucb"}',
    'exploration.type: wanted epsilon-greedy, softmax, thompson or greedy, found the text "ucb"',
  ],
  ['no policy', '"exploration":{}', 'exploration.type: wanted a value, found nothing'],
  [
    'an epsilon above 1',
    '"exploration":{"type":"epsilon-greedy","epsilon":1.5}',
    'exploration.epsilon: wanted a number not above 1, found 1.5',
  ],
  [
    'a temperature of 0',
    '"exploration":{"type":"softmax","temperature":0}',
    'exploration.temperature: wanted a number not below 0.001, found 0',
  ],
  ['a count of 0', '"count":0', 'count: wanted a number not below 1, found 0'],
  [
    'a rank that is not logged',
    '"log":false',
    'log: wanted only model, version, label, requestId, user, context, items, exploration, count, found an unknown name',
  ],
];
const badScores: readonly (readonly [name: string, body: string, message: string])[] = [
  ['not an object', '[]', 'body: wanted an object, found an array of 0'],
  ['null', 'null', 'body: wanted an object, found null'],
  ['no items', '{}', 'items: wanted a value, found nothing'],
  ['no item in items', '{"items":[]}', 'items: wanted at least 1 values, found 0'],
  ['items of a wrong type', '{"items":{}}', 'items: wanted an array, found an object'],
  ['an item of a wrong type', items('7'), 'items[3]: wanted an object, found 7'],
  [
    'an object as a value',
    items('{"genres":{"a":1}}'),
    'items[3].genres: wanted a string, a finite number, a boolean, null or an array, found an object',
  ],
  [
    'an array in an array',
    items('{"genres":["a",["b"]]}'),
    'items[3].genres[1]: wanted a string or a finite number, found an array of 1',
  ],
  [
    'a boolean in an array',
    items('{"genres":[true]}'),
    'items[3].genres[0]: wanted a string or a finite number, found true',
  ],
  [
    'a number beyond doubles',
    items('{"price":1e999}'),
    'items[3].price: wanted a string, a finite number, a boolean, null or an array, found a number out of the range of a double',
  ],
  [
    'a number beyond doubles in an array',
    items('{"price":[-1e999]}'),
    'items[3].price[0]: wanted a string or a finite number, found a number out of the range of a double',
  ],
  [
    'an id that a double cannot hold',
    items('{"item":9007199254740993}'),
    'items[3].item: wanted a number not above 9007199254740991, found 9007199254740992',
  ],
  [
    'a negative id that a double cannot hold',
    items('{"item":-9007199254740993}'),
    'items[3].item: wanted a number not below -9007199254740991, found -9007199254740992',
  ],
  [
    'a long text',
    items(`{"title":"${'x'.repeat(1_025)}"}`),
    'items[3].title: wanted at most 1024 characters, found 1025',
  ],
  [
    'a long text in an array',
    items(`{"title":["${'x'.repeat(1_025)}"]}`),
    'items[3].title[0]: wanted at most 1024 characters, found 1025',
  ],
  [
    'many values',
    items(`{"genres":[${Array(1_001).fill(1)}]}`),
    'items[3].genres: wanted at most 1000 values, found 1001',
  ],
  ['many items', `{"items":[${Array(2_001).fill('{}')}]}`, 'items: wanted at most 2000 values, found 2001'],
  [
    'an odd field name',
    items('{"a/b ~":{}}'),
    'items[3]["a/b ~"]: wanted a string, a finite number, a boolean, null or an array, found an object',
  ],
  [
    'a field name that is a number',
    '{"items":[{}],"user":{"7":{}}}',
    'user[7]: wanted a string, a finite number, a boolean, null or an array, found an object',
  ],
  [
    'a misspelt property',
    '{"items":[{}],"requestID":"a"}',
    'requestID: wanted only model, version, label, requestId, user, context, items, log, found an unknown name',
  ],
  ['user of a wrong type', '{"items":[{}],"user":"u1"}', 'user: wanted an object, found the text "u1"'],
  ['context null', '{"items":[{}],"context":null}', 'context: wanted an object, found null'],
  ['log as text', '{"items":[{}],"log":"false"}', 'log: wanted a boolean, found the text "false"'],
  ['log as a number', '{"items":[{}],"log":0}', 'log: wanted a boolean, found 0'],
  ['model as a number', '{"items":[{}],"model":5}', 'model: wanted a string, found 5'],
  [
    'a model name in capitals',
    '{"items":[{}],"model":"Demo"}',
    'model: wanted a lower-case letter, then up to 39 lower-case letters, digits and dashes, found the text "Demo"',
  ],
  [
    'an empty request id',
    '{"items":[{}],"requestId":""}',
    'requestId: wanted 1 to 64 letters, digits and _ . : -, found the text ""',
  ],
  [
    'a long request id',
    `{"items":[{}],"requestId":"${'r'.repeat(65)}"}`,
    `requestId: wanted 1 to 64 letters, digits and _ . : -, found the text "${'r'.repeat(40)}…"`,
  ],
  [
    '__proto__ as a feature',
    items('{"__proto__":{"a":1}}'),
    'body: wanted names other than "__proto__" and "constructor.prototype", found one of them',
  ],
  [
    '__proto__ in disguise',
    items('{"\\u005f_proto__":1}'),
    'body: wanted names other than "__proto__" and "constructor.prototype", found one of them',
  ],
  [
    'constructor.prototype',
    items('{"constructor":{"prototype":1}}'),
    'body: wanted names other than "__proto__" and "constructor.prototype", found one of them',
  ],
];

test.each(badRanks)('http: rank: refuses %s', async (_name, part, message) => {
  const refused = await post(`${server.url}/v1/rank`, `{"items":[{}],${part}}`);
  expect(refused).toMatchObject({ status: 400, code: 'MILL_BAD_REQUEST', message });
  expect(server.service.ranked).toEqual([]);
});

test.each(badScores)('http: score: refuses %s', async (_name, body, message) => {
  expect(await post(`${server.url}/v1/score`, body)).toMatchObject({
    status: 400,
    code: 'MILL_BAD_REQUEST',
    message,
  });
  expect(server.service.scored).toEqual([]);
});

test('http: score: refuses deep nesting without deep calls', async () => {
  const depth = 300_000;
  const body = items(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  const refusal = await post(`${server.url}/v1/score`, body);
  expect(refusal.message).toBe('items[3].a[0]: wanted a string or a finite number, found an array of 1');
});

test('http: a refusal carries path, wanted and found apart from its text', async () => {
  const refusal = await post(`${server.url}/v1/score`, items('7'));
  expect(refusal.details).toEqual({ path: 'items[3]', wanted: 'an object', found: '7' });
});

const badOutcomes: readonly (readonly [name: string, body: string, message: string])[] = [
  ['a text', '"r1"', 'body: wanted an object or an array, found the text "r1"'],
  ['no request id', '{"index":1}', 'requestId: wanted a value, found nothing'],
  ['no request id in a list', '[{"requestId":"a"},{}]', '[1].requestId: wanted a value, found nothing'],
  ['an index as text', '{"requestId":"a","index":"1"}', 'index: wanted an integer, found the text "1"'],
  ['a broken index', '[{"requestId":"a","index":1.5}]', '[0].index: wanted an integer, found 1.5'],
  ['a negative index', '{"requestId":"a","index":-1}', 'index: wanted a number not below 0, found -1'],
  [
    'an index beyond the items',
    '{"requestId":"a","index":2000}',
    'index: wanted a number not above 1999, found 2000',
  ],
  [
    'an index beyond doubles',
    '{"requestId":"a","index":1e999}',
    'index: wanted an integer, found a number out of the range of a double',
  ],
  ['an amount below 0', '{"requestId":"a","value":-0.5}', 'value: wanted a number not below 0, found -0.5'],
  [
    'an outcome as text',
    '{"requestId":"a","value":"1"}',
    'value: wanted a finite number, found the text "1"',
  ],
  [
    'index and item',
    '{"requestId":"a","index":0,"item":"x"}',
    'body: wanted index or item, not both, found both',
  ],
  [
    'index and item in a list',
    '[{"requestId":"a","index":0,"item":"x"}]',
    '[0]: wanted index or item, not both, found both',
  ],
  [
    'an item that is an object',
    '{"requestId":"a","item":{}}',
    'item: wanted a string or a finite number, found an object',
  ],
  [
    'a misspelt property',
    '{"requestId":"a","click":1}',
    'click: wanted only model, requestId, index, item, outcome, value, timeMs, found an unknown name',
  ],
  [
    'many outcomes',
    `[${Array(10_001).fill('{"requestId":"a"}')}]`,
    'body: wanted at most 10000 values, found 10001',
  ],
];

test.each(badOutcomes)('http: events: refuses %s', async (_name, body, message) => {
  expect(await post(`${server.url}/v1/events`, body)).toMatchObject({
    status: 400,
    code: 'MILL_BAD_REQUEST',
    message,
  });
  expect(server.service.outcomes).toEqual([]);
});

const badJson: readonly (readonly [name: string, body: string, message: string])[] = [
  ['an empty body', '', 'line 1, column 1: wanted a value, found the end'],
  ['a body cut short', '{"items":[{"a":1}', 'line 1, column 18: wanted "," or "]", found the end'],
  [
    'a wrong token on the third line',
    '{\n  "items": [\n    {"a": tru}\n  ]\n}',
    'line 3, column 11: wanted a value, found "t"',
  ],
  ['NaN', '{"items":[{"a":NaN}]}', 'line 1, column 16: wanted a value, found "N"'],
  ['Infinity', '{"items":[{"a":-Infinity}]}', 'line 1, column 16: wanted a value, found "-"'],
  ['a trailing comma', '{"items":[],}', 'line 1, column 13: wanted a name in double quotes, found "}"'],
  ['text after the end', '{} {}', 'line 1, column 4: wanted the end, found "{"'],
];

test.each(badJson)('http: refuses %s as no JSON, naming the place', async (_name, body, message) => {
  const refusal = await post(`${server.url}/v1/score`, body);
  expect(refusal).toMatchObject({
    status: 400,
    code: 'MILL_BAD_JSON',
    message: `the body is not JSON: ${message}`,
  });
});

test('http: refuses bytes that are not UTF-8', async () => {
  const body = Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
  expect(await post(`${server.url}/v1/score`, body)).toMatchObject({ status: 400, code: 'MILL_BAD_JSON' });
});

test('http: refuses content types and encodings that it does not read', async () => {
  const url = `${server.url}/v1/score`;
  const body = '{"items":[{}]}';
  const wanted = { status: 400, code: 'MILL_BAD_REQUEST' };
  expect(await post(url, body, { 'content-type': 'text/plain' })).toMatchObject({
    ...wanted,
    message: 'header content-type: wanted application/json, found "text/plain"',
  });
  expect(await post(url, body, { 'content-type': 'nonsense' })).toMatchObject(wanted);
  expect(
    await post(url, body, { 'content-type': 'application/json', 'content-encoding': 'gzip' }),
  ).toMatchObject({
    ...wanted,
    message: 'header content-encoding: wanted identity (no compression), found "gzip"',
  });
  const bare = await fetch(url, { method: 'POST', body: new TextEncoder().encode(body) });
  expect(await refusalFrom(bare)).toMatchObject({
    ...wanted,
    message: 'header content-type: wanted application/json, found ""',
  });
  const empty = await fetch(url, { method: 'POST' });
  expect(await refusalFrom(empty)).toMatchObject({
    ...wanted,
    message: 'body: wanted an object, found null',
  });
});

test('http: refuses unknown routes, and says which methods a known path takes', async () => {
  const ask = async (path: string, method: string) =>
    refusalFrom(await fetch(`${server.url}${path}`, { method }));
  const wanted = { status: 404, code: 'MILL_ROUTE_UNKNOWN' };
  expect(await ask('/v3/score', 'GET')).toMatchObject({
    ...wanted,
    message: 'no route GET /v3/score; GET /openapi.json lists the routes',
  });
  expect(await ask('/v1/score?x=1', 'GET')).toMatchObject({
    ...wanted,
    message: 'no route GET /v1/score; it takes POST',
  });
  expect(await ask('/v1/models', 'DELETE')).toMatchObject({
    ...wanted,
    message: 'no route DELETE /v1/models; it takes GET',
  });
  expect(await ask('/v1/score', 'PROPFIND')).toMatchObject(wanted);
  const withBody = await fetch(`${server.url}/nowhere`, { method: 'POST', body: 'text' });
  expect(await refusalFrom(withBody)).toMatchObject(wanted);
});

test('http: refuses broken paths, names and queries', async () => {
  const put = async (path: string) =>
    refusalFrom(
      await fetch(`${server.url}${path}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      }),
    );
  const get = async (path: string) => refusalFrom(await fetch(`${server.url}${path}`));
  const wanted = { status: 400, code: 'MILL_BAD_REQUEST' };
  expect(await put('/v1/models/Upper')).toMatchObject({
    ...wanted,
    message:
      'params.name: wanted a lower-case letter, then up to 39 lower-case letters, digits and dashes, found the text "Upper"',
  });
  expect(await put(`/v1/models/${'a'.repeat(101)}`)).toMatchObject(wanted);
  expect(await put('/v1/models/%E0%A4%A')).toMatchObject(wanted);
  expect(await get('/v1/events/rejected?modle=demo')).toMatchObject({
    ...wanted,
    message: 'query.modle: wanted only model, found an unknown name',
  });
  expect(await get('/v1/events/rejected?model=a&model=b')).toMatchObject({
    ...wanted,
    message: 'query.model: wanted a string, found an array of 2',
  });
  expect(await get('/v1/models?x=1')).toMatchObject(wanted);
});

test('http: model files of any other type than an object are refused', async () => {
  const response = await fetch(`${server.url}/v1/models/demo`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '[1]',
  });
  expect(await refusalFrom(response)).toMatchObject({ code: 'MILL_BAD_REQUEST' });
});

test('http: errors of the service keep code, status, details and say when to come back', async () => {
  const errors = [
    new MillraceError('MILL_MODEL_UNKNOWN', 'no model "x"', { details: { model: 'x' } }),
    new MillraceError('MILL_FEATURE_INVALID', 'items[0].a: wanted a number, found "b"'),
    new MillraceError('MILL_OVERLOADED', 'the queue is full'),
    new MillraceError('MILL_SHARD_UNAVAILABLE', 'no owner answers'),
    new MillraceError('MILL_LOG_UNAVAILABLE', 'not stored'),
  ];
  const thrown = [...errors];
  const server = await listen({
    parts: {
      async score() {
        throw thrown.shift() ?? new Error('asked too often');
      },
    },
  });
  const refusals = [];
  for (const _error of errors) refusals.push(await post(`${server.url}/v1/score`, '{"items":[{}]}'));
  expect(refusals.map(({ status, code, retryAfter }) => [status, code, retryAfter])).toEqual([
    [404, 'MILL_MODEL_UNKNOWN', null],
    [400, 'MILL_FEATURE_INVALID', null],
    [429, 'MILL_OVERLOADED', '1'],
    [503, 'MILL_SHARD_UNAVAILABLE', '1'],
    [503, 'MILL_LOG_UNAVAILABLE', '1'],
  ]);
  expect(refusals[0]).toMatchObject({ message: 'no model "x"', details: { model: 'x' } });
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('http: a defect is answered MILL_INTERNAL and logged without the request’s content', async () => {
  const server = await listen({
    parts: {
      async score() {
        throw new TypeError('cannot read properties of undefined');
      },
    },
  });
  const refusal = await post(`${server.url}/v1/score`, '{"items":[{"secret":"rosebud"}]}');
  expect(refusal).toMatchObject({ status: 500, code: 'MILL_INTERNAL' });
  expect(refusal.message).not.toContain('undefined');
  const errors = server.log.filter(({ level }) => level === 'error');
  expect(errors).toHaveLength(1);
  const incident = refusal.details?.incident;
  expect(errors[0]?.fields).toMatchObject({ method: 'POST', route: '/v1/score', incident });
  expect(JSON.stringify(server.log)).not.toContain('rosebud');
});

test('http: an answer that cannot be serialised is a defect, not a broken connection', async () => {
  const server = await listen({ parts: { score: async () => JSON.parse('{"requestId":"r"}') } });
  expect(await post(`${server.url}/v1/score`, '{"items":[{}]}')).toMatchObject({
    status: 500,
    code: 'MILL_INTERNAL',
  });
});

test('http: a service that does not answer in time gives MILL_TIMEOUT', async () => {
  const server = await listen({ requestTimeoutMs: 30, parts: { score: () => new Promise(() => {}) } });
  expect(await post(`${server.url}/v1/score`, '{"items":[{}]}')).toMatchObject({
    status: 504,
    code: 'MILL_TIMEOUT',
    message: 'no answer within 30 ms',
    retryAfter: '1',
  });
});
