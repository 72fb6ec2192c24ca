import { credentials, Metadata, makeClientConstructor, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect, test } from 'vitest';
import { healthServiceName, inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import type { Caller } from '../../src/scoring-service.ts';
import { bytesFromTensor } from '../../src/tensors/raw-tensor.ts';
import { answerTo, gate } from '../http/stub-service.ts';
import { clientOf, openGrpc, protos, refusalOf } from './grpc-clients.ts';

const third = Math.fround(1 / 3);
const inputs = [
  { name: 'user', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('u1')] } },
  { name: 'item', datatype: 'INT64', shape: [2], contents: { int64_contents: ['1', '9007199254740993'] } },
];

test('grpc: inference: live, ready and metadata', async () => {
  const { face, service } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  expect(await call('ServerLive', {})).toEqual({ live: true });
  expect(await call('ServerReady', {})).toEqual({ ready: true });
  service.ready = false;
  expect(await call('ServerReady', {})).toEqual({ ready: false });
  expect(await call('ModelReady', { name: 'demo' })).toEqual({ ready: true });
  expect(await call('ServerMetadata', {})).toMatchObject({ name: 'millrace' });
  const metadata = await call('ModelMetadata', { name: 'demo', version: '7' });
  expect(metadata).toMatchObject({
    name: 'demo',
    versions: ['7'],
    platform: 'millrace-wasm',
    outputs: [{ name: 'score', datatype: 'FP32', shape: ['-1'] }],
  });
  expect((metadata.inputs as object[])[1]).toEqual({ name: 'seen', datatype: 'BYTES', shape: ['-1', '-1'] });
  expect(await call('RepositoryIndex', {})).toEqual({
    models: [{ name: 'demo', version: '7', state: 'READY', reason: '' }],
  });
  expect(await call('RepositoryModelLoad', { model_name: 'demo' })).toEqual({});
  const parameters = { version: { string_param: '3' } };
  for (const verb of ['Load', 'Unload']) {
    await call(`RepositoryModel${verb}`, { model_name: 'demo' });
    await call(`RepositoryModel${verb}`, { model_name: 'demo', parameters });
  }
  expect(service.versionCalls.slice(-4)).toEqual([
    ['loadByPolicy', 'demo'],
    ['load', 'demo', 3],
    ['unloadUnlabelled', 'demo'],
    ['unload', 'demo', 3],
  ]);
});

test('grpc: inference: configuration and statistics', async () => {
  const { face } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  expect(await call('ModelConfig', { name: 'demo' })).toMatchObject({
    config: {
      name: 'demo',
      platform: 'millrace-wasm',
      backend: 'millrace',
      max_batch_size: 0,
      input: expect.arrayContaining([
        { name: 'seen', data_type: 'TYPE_STRING', dims: ['-1', '-1'], optional: true },
        { name: 'price', data_type: 'TYPE_FP32', dims: ['-1'], optional: true },
      ]),
      output: [{ name: 'score', data_type: 'TYPE_FP32', dims: ['-1'] }],
    },
  });
  const counts = {
    version: '7',
    last_inference: '1700000000000',
    inference_count: '5',
    execution_count: '2',
    inference_stats: {
      success: { count: '3', ns: '6750000' },
      fail: { count: '1', ns: '4000000' },
      queue: { count: '3', ns: '1500000' },
      compute_input: { count: '3', ns: '2000000' },
      compute_infer: { count: '3', ns: '3000000' },
      compute_output: { count: '3', ns: '250000' },
    },
  };
  for (const name of ['demo', ''])
    expect(await call('ModelStatistics', { name })).toEqual({ model_stats: [{ name: 'demo', ...counts }] });
});

test('grpc: inference: typed contents in, typed contents out', async () => {
  const { face, service } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  const parameters = { log: { bool_param: true } };
  const answer = await call('ModelInfer', { model_name: 'demo', id: 'r1', parameters, inputs });
  expect(answer).toMatchObject({
    model_name: 'demo',
    model_version: '7',
    id: 'r1',
    parameters: {
      version: { int64_param: '7' },
      staleness_ms: { double_param: 12.5 },
      degraded: { bool_param: false },
      engine: { string_param: 'wasm' },
      request_ids: { string_param: 'r1' },
    },
    outputs: [{ name: 'score', datatype: 'FP32', shape: ['2'], contents: { fp32_contents: [0.5, third] } }],
    raw_output_contents: [],
  });
  expect(service.scored).toEqual([
    {
      model: 'demo',
      requestId: 'r1',
      user: { user: 'u1' },
      context: {},
      items: [{ item: 1 }, { item: '9007199254740993' }],
      log: true,
    },
  ]);
});

test('grpc: inference: raw contents in, raw contents out', async () => {
  const { face, service } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  const raw = [
    bytesFromTensor({ name: '', datatype: 'BYTES', shape: [2], values: ['a', 'b'] }),
    bytesFromTensor({ name: '', datatype: 'FP32', shape: [2], values: [1.5, 2.5] }),
  ];
  const answer = await call('ModelInfer', {
    model_name: 'demo',
    inputs: [
      { name: 'item', datatype: 'BYTES', shape: [2] },
      { name: 'price', datatype: 'FP32', shape: [2] },
    ],
    raw_input_contents: raw,
  });
  expect(answer.outputs).toMatchObject([{ name: 'score', datatype: 'FP32', shape: ['2'], contents: null }]);
  const [bytes] = answer.raw_output_contents as Buffer[];
  expect([bytes.byteLength, bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([8, 0.5, third]);
  expect(service.scored[0].items).toEqual([
    { item: 'a', price: 1.5 },
    { item: 'b', price: 2.5 },
  ]);
});

const raw = Buffer.alloc(8);
test.each([
  [
    'raw and typed contents',
    { inputs, raw_input_contents: [raw, raw] },
    'inputs.user: wanted raw contents alone',
  ],
  [
    'raw contents for some',
    { inputs, raw_input_contents: [raw] },
    'raw_input_contents: wanted one for each of the 2',
  ],
  [
    'contents in the wrong place',
    { inputs: [{ ...inputs[1], contents: { int_contents: [1, 2] } }] },
    'inputs.item: wanted contents in int64_contents, found int_contents',
  ],
  [
    'FP16 as typed contents',
    { inputs: [{ ...inputs[1], datatype: 'FP16' }] },
    'contents in raw_input_contents',
  ],
  ['no inputs', {}, 'inputs: wanted at least one, found none'],
  [
    'no contents',
    { inputs: [{ name: 'item', datatype: 'INT8', shape: [1] }] },
    'wanted 1 values for shape [1], found 0',
  ],
  [
    'an empty parameter',
    { inputs, parameters: { log: {} } },
    'parameters.log: wanted a value, found nothing',
  ],
])('grpc: inference: %s: INVALID_ARGUMENT', async (_what, message, text) => {
  const { face, service } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  const refused = await call('ModelInfer', { model_name: 'demo', ...message }).catch(refusalOf);
  expect(refused).toEqual({
    code: status.INVALID_ARGUMENT,
    details: expect.stringContaining(text),
    mill: 'MILL_BAD_REQUEST',
  });
  expect(service.scored).toEqual([]);
});

test('grpc: inference: what is not there is NOT_FOUND', async () => {
  const { face } = await openGrpc();
  const { call } = clientOf(face.address, inferenceServiceName);
  const of = (method: string, message: object) => call(method, message).catch(refusalOf);
  const model = { code: status.NOT_FOUND, mill: 'MILL_MODEL_UNKNOWN' };
  const version = { code: status.NOT_FOUND, mill: 'MILL_VERSION_UNKNOWN' };
  expect(await of('ModelInfer', { model_name: 'other', inputs })).toMatchObject(model);
  expect(await of('ModelInfer', { model_name: 'demo', model_version: '6', inputs })).toMatchObject(version);
  // Whether something is ready that is not there has an answer, which Triton's clients ask for before they load it.
  expect(await of('ModelReady', { name: 'demo', version: '6' })).toEqual({ ready: false });
  expect(await of('ModelReady', { name: 'other' })).toEqual({ ready: false });
  expect(await of('ModelMetadata', { name: 'other' })).toMatchObject(model);
});

test('grpc: native: score, rank, outcomes and status are the native requests', async () => {
  const { face, service } = await openGrpc();
  const { call } = clientOf(face.address, nativeServiceName);
  const item = {
    values: { item: { integer: '9007199254740993' }, genres: { list: { values: [{ text: 'x' }] } } },
  };
  const request = {
    model: 'demo',
    requestId: 'r1',
    user: { values: { user: { text: 'u1' } } },
    context: { values: { hour: { number: 20 }, prime: { flag: true } } },
    items: [item, { values: { item: { integer: 5 } } }, {}],
  };
  const wanted = {
    model: 'demo',
    requestId: 'r1',
    user: { user: 'u1' },
    context: { hour: 20, prime: true },
    items: [{ item: '9007199254740993', genres: ['x'] }, { item: 5 }, {}],
  };
  expect(await call('Score', { ...request, log: false })).toMatchObject({
    requestId: 'r1',
    model: 'demo',
    version: '7',
    scores: [0.5, third, 0.25],
    stalenessMs: 12.5,
    degraded: false,
    engine: 'wasm',
  });
  await call('Score', { items: [{}] });
  expect(service.scored).toEqual([{ ...wanted, log: false }, { items: [{}] }]);
  await call('Rank', { ...request, exploration: { type: 'softmax', temperature: 0.5 }, count: 2 });
  expect(service.ranked).toEqual([
    { ...wanted, exploration: { type: 'softmax', temperature: 0.5 }, count: 2 },
  ]);
  const outcomes = [
    { requestId: 'r1', index: 1, value: 0 },
    { requestId: 'r1', item: { text: 'a' }, outcome: 'click', timeMs: '1700000000000' },
  ];
  expect(await call('SendOutcomes', { outcomes })).toEqual({ accepted: 2 });
  expect(service.outcomes).toEqual([
    { requestId: 'r1', index: 1, value: 0 },
    { requestId: 'r1', item: 'a', outcome: 'click', timeMs: 1_700_000_000_000 },
  ]);
  expect(await call('Status', {})).toMatchObject({
    cluster: 'test',
    models: [{ name: 'demo', version: '7', openImpressions: '2' }],
    shards: [{ id: 'shard-1', readyPartitions: 64, stalenessMs: 3.5 }],
    node: { scored: '3', meanBatchRows: 1.5 },
  });
});

test.each([
  ['Score', {}, 'items: wanted at least 1 values, found 0'],
  ['Score', { items: [{}], requestId: 'a b' }, 'requestId: wanted 1 to 64 letters'],
  ['Score', { items: [{ values: { price: { number: Number.NaN } } }] }, 'items[0].price: wanted'],
  ['Score', { items: [{ values: { ['__proto__']: { text: 'x' } } }] }, 'wanted names other than "__proto__"'],
  ['Rank', { items: [{}], exploration: {} }, 'exploration.type: wanted epsilon-greedy'],
  [
    'SendOutcomes',
    { outcomes: [{ requestId: 'r', index: 0, item: { text: 'a' } }] },
    'index or item, not both',
  ],
])('grpc: native: %s %j is checked as over HTTP', async (method, message, text) => {
  const { face } = await openGrpc();
  const refused = await clientOf(face.address, nativeServiceName).call(method, message).catch(refusalOf);
  expect(refused).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(text) });
});

test('grpc: bytes that are no message are the caller’s fault', async () => {
  const { face } = await openGrpc();
  const { client } = clientOf(face.address, nativeServiceName);
  const refused = await new Promise((resolve) => {
    const { path, responseDeserialize } = protos.service(nativeServiceName).Score;
    const bytes = () => Buffer.from([0x0a, 0xff]);
    client.makeUnaryRequest(path, bytes, responseDeserialize, {}, new Metadata(), {}, resolve);
  });
  expect(refusalOf(refused)).toMatchObject({
    code: status.INVALID_ARGUMENT,
    mill: 'MILL_BAD_REQUEST',
    details: expect.stringContaining('message: wanted the request of Score, found other bytes'),
  });
});

test('grpc: a message over the limit is refused', async () => {
  const { face } = await openGrpc();
  const items = [{ values: { item: { text: 'x'.repeat(5 * 1024 * 1024) } } }];
  const refused = await clientOf(face.address, nativeServiceName).call('Score', { items }).catch(refusalOf);
  expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

test('grpc: a deadline: the caller hears of it, and the service knows that nobody waits', async () => {
  const { opened, open } = gate();
  const callers: (Caller | undefined)[] = [];
  const { face } = await openGrpc({
    parts: {
      async score(request, caller) {
        callers.push(caller);
        await opened;
        return answerTo(request);
      },
    },
  });
  const { call } = clientOf(face.address, nativeServiceName);
  const unhurried = call('Score', { items: [{}] });
  await expect.poll(() => callers.length).toBe(1);
  const refused = await call('Score', { items: [{}] }, 200).catch(refusalOf);
  expect(refused).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await expect.poll(() => callers[1]?.gone).toBe(true);
  expect(callers[0]?.gone).toBe(false);
  open();
  expect(await unhurried).toMatchObject({ scores: [0.5] });
});

test('grpc: no answer within the time limit of the node is MILL_TIMEOUT; a defect is an incident', async () => {
  const { face, log, registry } = await openGrpc({
    requestTimeoutMs: 100,
    parts: {
      score: () => new Promise(() => {}),
      acceptOutcomes: () => Promise.reject(new Error('secret')),
    },
  });
  const { call } = clientOf(face.address, nativeServiceName);
  expect(await call('Score', { items: [{}] }).catch(refusalOf)).toMatchObject({
    code: status.DEADLINE_EXCEEDED,
    mill: 'MILL_TIMEOUT',
  });
  expect(await call('SendOutcomes', {}).catch(refusalOf)).toEqual({
    code: status.INTERNAL,
    details: "MILL_INTERNAL: a defect of Millrace; the node's log has it as incident incident-1",
    mill: 'MILL_INTERNAL',
  });
  expect(log.at(-1)).toMatchObject({
    level: 'error',
    fields: { incident: 'incident-1', method: 'SendOutcomes' },
  });
  const text = await registry.metrics();
  expect(text).toContain('millrace_grpc_requests_total{method="Score",status="DEADLINE_EXCEEDED"} 1');
  expect(text).toContain('millrace_grpc_requests_total{method="SendOutcomes",status="INTERNAL"} 1');
});

test('grpc: health: of the node and its services, as it changes', async () => {
  const { face, service, clock } = await openGrpc();
  const { client, call } = clientOf(face.address, healthServiceName);
  for (const name of ['', nativeServiceName, inferenceServiceName])
    expect(await call('Check', { service: name })).toEqual({ status: 'SERVING' });
  expect(await call('Check', { service: 'other' }).catch(refusalOf)).toMatchObject({
    code: status.NOT_FOUND,
  });
  const { path, requestSerialize, responseDeserialize } = protos.service(healthServiceName).Watch;
  const seen: unknown[] = [];
  const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
  watch.on('data', (message: { status: string }) => seen.push(message.status));
  const ended = new Promise((resolve) => watch.on('end', resolve));
  await expect.poll(() => seen).toEqual(['SERVING']);
  service.ready = false;
  clock.advanceTo(clock.now() + 250);
  await expect.poll(() => seen).toEqual(['SERVING', 'NOT_SERVING']);
  service.ready = true;
  clock.advanceTo(clock.now() + 250);
  await expect.poll(() => seen.length).toBe(3);
  await face.close();
  await ended;
  expect(seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING', 'NOT_SERVING']);
  expect(clock.timersWaiting).toBe(0);
});

test('grpc: reflection lists the services and describes them', async () => {
  const { face } = await openGrpc();
  const proto = new URL(
    '../../../../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    import.meta.url,
  );
  const definition = loadSync(proto.pathname, { keepCase: true })['grpc.reflection.v1.ServerReflection'];
  const Client = makeClientConstructor(definition as never, 'reflection');
  const client = new Client(face.address, credentials.createInsecure());
  const ask = (request: object) =>
    new Promise<unknown>((resolve, reject) => {
      const stream = client.ServerReflectionInfo();
      stream.on('data', resolve);
      stream.on('error', (error: ServiceError) => reject(error));
      stream.write(request);
      stream.end();
    });
  const listed = (await ask({ list_services: '' })) as {
    list_services_response: { service: { name: string }[] };
  };
  const names = listed.list_services_response.service.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([healthServiceName, inferenceServiceName, nativeServiceName]));
  const described = (await ask({ file_containing_symbol: nativeServiceName })) as {
    file_descriptor_response: { file_descriptor_proto: Buffer[] };
  };
  const text = described.file_descriptor_response.file_descriptor_proto
    .map((bytes) => bytes.toString('latin1'))
    .join();
  for (const name of ['Score', 'Rank', 'SendOutcomes', 'Status']) expect(text).toContain(name);
  client.close();
});

test('grpc: close: running calls finish, and the port is free', async () => {
  const { opened, open } = gate();
  const started = gate();
  const { face, clock } = await openGrpc({
    parts: {
      async score(request) {
        started.open();
        await opened;
        return answerTo(request);
      },
    },
  });
  const { call } = clientOf(face.address, nativeServiceName);
  const running = call('Score', { items: [{}] });
  await started.opened;
  const closing = face.close();
  open();
  expect(await running).toMatchObject({ scores: [0.5] });
  await closing;
  expect(clock.timersWaiting).toBe(0);
  const again = await openGrpc();
  await again.face.close();
  const refused = await call('Score', { items: [{}] }, 2_000).catch(refusalOf);
  expect([status.UNAVAILABLE, status.DEADLINE_EXCEEDED]).toContain(refused.code);
});
