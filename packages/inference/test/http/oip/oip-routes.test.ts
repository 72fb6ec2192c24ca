import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { serverVersion } from '../../../src/tensors/metadata.ts';
import { bytesFromTensor } from '../../../src/tensors/raw-tensor.ts';
import { answerTo, type ListenOptions, listen } from '../stub-service.ts';

async function open(options?: ListenOptions) {
  const server = await listen(options);
  return {
    ...server,
    async get(path: string) {
      const response = await fetch(`${server.url}${path}`);
      return [response.status, await response.json()] as const;
    },
    async post(path: string, body?: unknown) {
      const response = await fetch(`${server.url}${path}`, {
        method: 'POST',
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return [response.status, await response.json()] as const;
    },
  };
}

const inputs = [
  { name: 'user', shape: [1], datatype: 'BYTES', data: ['u1'] },
  { name: 'item', shape: [2], datatype: 'INT64', data: [1, '9007199254740993'] },
];

test('oip: server: metadata, live and ready', async () => {
  const { get, service } = await open();
  const extensions = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'];
  expect(await get('/v2')).toEqual([200, { name: 'millrace', version: serverVersion, extensions }]);
  expect(await get('/v2/health/live')).toEqual([200, { live: true }]);
  expect(await get('/v2/health/ready')).toEqual([200, { ready: true }]);
  service.ready = false;
  expect(await get('/v2/health/ready')).toEqual([503, { ready: false }]);
  const manifest = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
  expect(serverVersion).toBe(manifest.version);
});

test('oip: model: metadata names every field as an input', async () => {
  const { get } = await open();
  const metadata = {
    name: 'demo',
    versions: ['7'],
    platform: 'millrace-wasm',
    inputs: [
      { name: 'user', datatype: 'BYTES', shape: [-1] },
      { name: 'seen', datatype: 'BYTES', shape: [-1, -1] },
      { name: 'hour', datatype: 'FP32', shape: [-1] },
      { name: 'item', datatype: 'BYTES', shape: [-1] },
      { name: 'genres', datatype: 'BYTES', shape: [-1, -1] },
      { name: 'price', datatype: 'FP32', shape: [-1] },
    ],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [-1] }],
  };
  expect(await get('/v2/models/demo')).toEqual([200, metadata]);
  expect(await get('/v2/models/demo/versions/7')).toEqual([200, metadata]);
  expect(await get('/v2/models/demo/ready')).toEqual([200, { name: 'demo', ready: true }]);
  expect(await get('/v2/models/demo/versions/7/ready')).toEqual([200, { name: 'demo', ready: true }]);
  for (const path of ['/v2/models/demo/versions/6', '/v2/models/demo/versions/6/ready']) {
    const error = 'MILL_VERSION_UNKNOWN: model "demo" is served at version 7 alone, not at "6"';
    expect(await get(path)).toEqual([404, { error }]);
  }
  expect(await get('/v2/models/other')).toEqual([
    404,
    { error: 'MILL_MODEL_UNKNOWN: there is no model "other"' },
  ]);
  expect(await get('/v2/other')).toEqual([
    404,
    { error: 'MILL_ROUTE_UNKNOWN: no route GET /v2/other; GET /v2 is where the protocol begins' },
  ]);
});

test('oip: repository: index, load and unload', async () => {
  const { post, service } = await open();
  const listed = [{ name: 'demo', version: '7', state: 'READY', reason: '' }];
  expect(await post('/v2/repository/index')).toEqual([200, listed]);
  expect(await post('/v2/repository/index', { ready: true })).toEqual([200, listed]);
  expect(await post('/v2/repository/index', { ready: 1 })).toEqual([
    400,
    { error: 'MILL_BAD_REQUEST: ready: wanted true or false, found 1' },
  ]);
  expect(await post('/v2/repository/models/demo/load', {})).toEqual([200, {}]);
  expect((await post('/v2/repository/models/other/load', {}))[0]).toBe(404);
  expect(await post('/v2/repository/models/demo/unload', {})).toEqual([200, {}]);
  for (const verb of ['load', 'unload'])
    expect(await post(`/v2/repository/models/demo/${verb}`, { parameters: { version: '3' } })).toEqual([
      200,
      {},
    ]);
  expect(service.versionCalls).toEqual([
    ['loadByPolicy', 'demo'],
    ['unloadUnlabelled', 'demo'],
    ['load', 'demo', 3],
    ['unload', 'demo', 3],
  ]);
  const unload = '/v2/repository/models/demo/unload';
  expect(await post(unload, { parameters: { unload_dependents: false } })).toEqual([200, {}]);
  for (const named of ['config', 'file:1/model.onnx'])
    expect(await post('/v2/repository/models/demo/load', { parameters: { [named]: 'x' } })).toEqual([
      400,
      { error: `MILL_BAD_REQUEST: parameters: wanted only version, found ${named}` },
    ]);
  expect(await post(unload, { parameters: { version: 'x' } })).toEqual([
    400,
    {
      error: 'MILL_BAD_REQUEST: parameters.version: wanted the number of a version, found the text "x"',
    },
  ]);
});

test('oip: infer: JSON in, JSON out', async () => {
  const { post, service } = await open();
  expect(await post('/v2/models/demo/infer', { id: 'my id', inputs })).toEqual([
    200,
    {
      model_name: 'demo',
      model_version: '7',
      id: 'my id',
      parameters: { version: 7, staleness_ms: 12.5, degraded: false, engine: 'wasm' },
      outputs: [{ name: 'score', datatype: 'FP32', shape: [2], data: [0.5, Math.fround(1 / 3)] }],
    },
  ]);
  expect(service.scored).toEqual([
    {
      model: 'demo',
      user: { user: 'u1' },
      context: {},
      items: [{ item: 1 }, { item: '9007199254740993' }],
      log: false,
    },
  ]);
  expect((await post('/v2/models/demo/versions/7/infer', { inputs }))[0]).toBe(200);
  expect((await post('/v2/models/demo/versions/6/infer', { inputs }))[0]).toBe(404);
  await post('/v2/models/demo/infer', { id: 'r1', parameters: { log: true }, inputs });
  expect(service.scored.at(-1)).toMatchObject({ requestId: 'r1', log: true });
});

test('oip: infer: [n, 1] in, nested or flat, [n, 1] out', async () => {
  const { post, service } = await open();
  const users = { name: 'user', shape: [1, 1], datatype: 'BYTES', data: [['u1']] };
  for (const data of [
    [[1], ['9007199254740993']],
    [1, '9007199254740993'],
  ]) {
    const wide = [users, { name: 'item', shape: [2, 1], datatype: 'INT64', data }];
    expect(await post('/v2/models/demo/infer', { inputs: wide })).toMatchObject([
      200,
      { outputs: [{ name: 'score', datatype: 'FP32', shape: [2, 1], data: [0.5, Math.fround(1 / 3)] }] },
    ]);
    expect(service.scored.at(-1)).toMatchObject({
      user: { user: 'u1' },
      items: [{ item: 1 }, { item: '9007199254740993' }],
    });
  }
});

test('oip: infer: rows that different versions scored have no version in common', async () => {
  const { post } = await open({
    parts: {
      score: async (request) => ({ ...answerTo(request), modelVersion: request.user?.user === 'u1' ? 3 : 4 }),
    },
  });
  const mixed = [{ name: 'user', shape: [2], datatype: 'BYTES', data: ['u1', 'u2'] }];
  const [, body] = await post('/v2/models/demo/infer', { inputs: mixed });
  expect(body).toMatchObject({ parameters: { model_versions: '3,4' } });
  expect(Object.keys(body as object)).not.toContain('model_version');
});

test('oip: infer: bytes in, bytes out', async () => {
  const { url, service } = await open();
  const texts = bytesFromTensor({ name: '', datatype: 'BYTES', shape: [2], values: ['a', 'b'] });
  const prices = bytesFromTensor({ name: '', datatype: 'FP32', shape: [2], values: [1.5, 2.5] });
  const head = JSON.stringify({
    inputs: [
      { name: 'item', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: texts.byteLength } },
      { name: 'hour', shape: [1], datatype: 'INT8', data: [3] },
      { name: 'price', shape: [2], datatype: 'FP32', parameters: { binary_data_size: prices.byteLength } },
    ],
    outputs: [{ name: 'score', parameters: { binary_data: true } }],
  });
  const ask = (length: string, body: Buffer) =>
    fetch(`${url}/v2/models/demo/infer`, {
      method: 'POST',
      headers: { 'inference-header-content-length': length, 'content-type': 'application/octet-stream' },
      body,
    });
  const body = Buffer.concat([Buffer.from(head), texts, prices]);
  const response = await ask(String(head.length), body);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream']);
  const answer = Buffer.from(await response.arrayBuffer());
  const cut = Number(response.headers.get('inference-header-content-length'));
  expect(JSON.parse(answer.subarray(0, cut).toString())).toMatchObject({
    model_name: 'demo',
    outputs: [{ name: 'score', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }],
  });
  expect([answer.readFloatLE(cut), answer.readFloatLE(cut + 4)]).toEqual([0.5, Math.fround(1 / 3)]);
  expect(service.scored[0]).toMatchObject({
    context: { hour: 3 },
    items: [
      { item: 'a', price: 1.5 },
      { item: 'b', price: 2.5 },
    ],
  });
  for (const length of ['-1', '1.5', 'x', '', String(body.byteLength + 1)]) {
    const refused = await ask(length, body);
    expect([length, refused.status, await refused.json()]).toEqual([
      length,
      400,
      { error: expect.stringMatching(/^MILL_BAD_REQUEST: header inference-header-content-length: wanted/) },
    ]);
  }
  for (const cutBody of [body.subarray(0, -1), Buffer.concat([body, Buffer.from([0])])]) {
    const refused = await ask(String(head.length), cutBody);
    const error = expect.stringMatching(/binary_data_size|bytes behind the JSON/);
    expect([refused.status, await refused.json()]).toEqual([400, { error }]);
  }
});

test.each([
  ['nothing', undefined, 'MILL_BAD_REQUEST: body: wanted an object, found nothing'],
  ['no inputs', {}, 'MILL_BAD_REQUEST: inputs: wanted a value, found nothing'],
  ['an empty list', { inputs: [] }, 'MILL_BAD_REQUEST: inputs: wanted at least 1 values, found 0'],
  [
    'no data',
    { inputs: [{ name: 'item', shape: [1], datatype: 'INT8' }] },
    'wanted data or binary_data_size, found neither',
  ],
  [
    'shared memory',
    { inputs: [{ ...inputs[0], parameters: { shared_memory_region: 'r' } }] },
    'no shared_memory_region',
  ],
  [
    'classification',
    { inputs, outputs: [{ name: 'score', parameters: { classification: 3 } }] },
    'no classification',
  ],
  [
    'another output',
    { inputs, outputs: [{ name: 'logit' }] },
    'outputs: wanted only score, found the text "logit"',
  ],
  [
    'a long text',
    { inputs: [{ ...inputs[0], data: ['x'.repeat(1_025)] }] },
    'user.user: wanted at most 1024 characters',
  ],
  ['log that is no flag', { inputs, parameters: { log: 'yes' } }, 'parameters.log: wanted true or false'],
])('oip: infer: %s: refused', async (_what, body, message) => {
  const { post, service } = await open();
  expect(await post('/v2/models/demo/infer', body)).toEqual([
    400,
    { error: expect.stringContaining(message) },
  ]);
  expect(service.scored).toEqual([]);
});

test('oip: infer: a body that is not JSON says where', async () => {
  const { url } = await open();
  const response = await fetch(`${url}/v2/models/demo/infer`, { method: 'POST', body: '{"inputs": [' });
  expect([response.status, await response.json()]).toEqual([
    400,
    { error: expect.stringMatching(/^MILL_BAD_JSON: the body is not JSON: line 1, column 13/) },
  ]);
});

test('oip: infer: a defect is an incident, told without its text', async () => {
  const { post, log } = await open({ parts: { score: () => Promise.reject(new Error('secret')) } });
  const [status, body] = await post('/v2/models/demo/infer', { inputs });
  expect([status, body]).toEqual([
    500,
    { error: expect.stringMatching(/^MILL_INTERNAL: a defect of Millrace/) },
  ]);
  expect(log.at(-1)).toMatchObject({ level: 'error', message: 'request failed' });
});

test('oip: model: configuration and statistics, as tritonclient asks for them', async () => {
  const { get } = await open();
  const config = await get('/v2/models/demo/config');
  expect(config).toEqual([
    200,
    {
      name: 'demo',
      platform: 'millrace-wasm',
      backend: 'millrace',
      max_batch_size: 0,
      input: [
        { name: 'user', data_type: 'TYPE_STRING', dims: [-1], optional: true },
        { name: 'seen', data_type: 'TYPE_STRING', dims: [-1, -1], optional: true },
        { name: 'hour', data_type: 'TYPE_FP32', dims: [-1], optional: true },
        { name: 'item', data_type: 'TYPE_STRING', dims: [-1], optional: true },
        { name: 'genres', data_type: 'TYPE_STRING', dims: [-1, -1], optional: true },
        { name: 'price', data_type: 'TYPE_FP32', dims: [-1], optional: true },
      ],
      output: [{ name: 'score', data_type: 'TYPE_FP32', dims: [-1] }],
      dynamic_batching: {},
    },
  ]);
  expect(await get('/v2/models/demo/versions/7/config')).toEqual(config);
  const stats = {
    model_stats: [
      {
        name: 'demo',
        version: '7',
        last_inference: 1_700_000_000_000,
        inference_count: 5,
        execution_count: 2,
        inference_stats: {
          success: { count: 3, ns: 6_750_000 },
          fail: { count: 1, ns: 4_000_000 },
          queue: { count: 3, ns: 1_500_000 },
          compute_input: { count: 3, ns: 2_000_000 },
          compute_infer: { count: 3, ns: 3_000_000 },
          compute_output: { count: 3, ns: 250_000 },
        },
      },
    ],
  };
  for (const path of ['/v2/models/stats', '/v2/models/demo/stats', '/v2/models/demo/versions/7/stats'])
    expect(await get(path)).toEqual([200, stats]);
  for (const part of ['config', 'stats']) {
    expect((await get(`/v2/models/other/${part}`))[0]).toBe(404);
    expect((await get(`/v2/models/demo/versions/6/${part}`))[0]).toBe(404);
  }
});
