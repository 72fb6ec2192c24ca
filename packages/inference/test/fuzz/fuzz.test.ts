/**
 * Mutated requests over every protocol, against a real core: no crash, no hang, and no refusal without a code of the table.
 * FUZZ_REQUESTS=100000 sends so many over each; FUZZ_SEED=… repeats a run, whose seed is part of every failure.
 */
import { status } from '@grpc/grpc-js';
import { type ErrorCode, errorTable } from '@millrace/protocol';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import { startHttp } from '../../src/http/start-http.ts';
import { bytesFromTensor } from '../../src/tensors/raw-tensor.ts';
import { clientOf, openGrpc, protos, refusalOf } from '../grpc/grpc-clients.ts';
import { demoFile } from '../http/stub-service.ts';
import { linear, openStage, quietLogger, sigmoid } from '../small-serving.ts';
import { mutatedBytes, mutatedJson, pick, type Random, randomFrom } from './mutations.ts';

const requests = Number(process.env.FUZZ_REQUESTS ?? 1_000);
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 1e9));
const inFlight = 16;
const hangMs = 20_000;
const timeout = 60_000 + 20 * requests;

interface Shot {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const json = { 'content-type': 'application/json' };
const features = { user: 'u', seen: 'a|b', hour: 3 };
const rows = [
  { item: 'a', genres: ['x', 'y'], price: 1.5 },
  { item: 7, genres: 'x|y', price: 0 },
];
const tensors = [
  { name: 'user', shape: [1], datatype: 'BYTES', data: ['u'] },
  {
    name: 'seen',
    shape: [2, 2],
    datatype: 'BYTES',
    data: [
      ['a', 'b'],
      ['c', ''],
    ],
  },
  { name: 'hour', shape: [1], datatype: 'FP32', data: [3] },
  { name: 'item', shape: [2], datatype: 'INT64', data: [1, '9007199254740993'] },
  { name: 'price', shape: [2, 1], datatype: 'FP64', data: [1.5, -2] },
];

/** Right requests of each protocol over HTTP. */
const protocols: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
  native: [
    [
      '/v1/score',
      { model: 'demo', requestId: 'r1', user: features, context: features, items: rows, log: false },
    ],
    [
      '/v1/rank',
      {
        model: 'demo',
        user: features,
        items: rows,
        exploration: { type: 'softmax', temperature: 1 },
        count: 1,
      },
    ],
    [
      '/v1/events',
      [
        { model: 'demo', requestId: 'r1', index: 0, value: 1 },
        { model: 'demo', requestId: 'r1', item: 'a' },
      ],
    ],
  ],
  oip: [
    [
      '/v2/models/demo/infer',
      { id: 'i', parameters: { log: false }, inputs: tensors, outputs: [{ name: 'score' }] },
    ],
    ['/v2/models/demo/versions/0/infer', { inputs: tensors, parameters: { binary_data_output: true } }],
    ['/v2/repository/index', { ready: true }],
  ],
  tfs: [
    [
      '/v1/models/demo:predict',
      { signature_name: 'serving_default', instances: rows.map((row) => ({ ...features, ...row })) },
    ],
    [
      '/v1/models/demo/versions/0:predict',
      { inputs: { user: 'u', item: ['a', { b64: 'Yg==' }], price: [1, 2] } },
    ],
    ['/v1/models/demo:classify', { context: features, examples: rows }],
    ['/v1/models/demo:regress', { context: features, examples: rows }],
  ],
};

function shotOf(random: Random, protocol: string): Shot {
  if (protocol === 'oip' && random() < 0.4) return binaryShot(random);
  const [path, right] = pick(random, protocols[protocol]);
  const changed = random() < 0.7 ? mutatedJson(random, right) : right;
  const text = Buffer.from(JSON.stringify(changed) ?? '');
  const body = random() < 0.3 ? mutatedBytes(random, text) : text;
  const odd = pick(random, [
    '/v1/models/%00:predict',
    '/v2/models/demo/versions/9/infer',
    '/v1/models/:predict',
    '/v2//infer',
  ]);
  return { path: random() < 0.05 ? odd : path, headers: json, body };
}

/** A request with binary tensors, and a header that may be wrong. */
function binaryShot(random: Random): Shot {
  const texts = bytesFromTensor({ name: '', datatype: 'BYTES', shape: [2], values: ['a', 'bc'] });
  const prices = bytesFromTensor({ name: '', datatype: 'FP32', shape: [2], values: [1, 2] });
  const right = {
    inputs: [
      { name: 'item', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: texts.byteLength } },
      { name: 'price', shape: [2], datatype: 'FP32', parameters: { binary_data_size: prices.byteLength } },
    ],
    outputs: [{ name: 'score', parameters: { binary_data: random() < 0.5 } }],
  };
  const head = Buffer.from(JSON.stringify(random() < 0.4 ? mutatedJson(random, right) : right) ?? '');
  const body = Buffer.concat([head, mutatedBytes(random, Buffer.concat([texts, prices]))]);
  const length =
    random() < 0.8 ? head.byteLength : pick(random, [-1, 0, 1, 1e9, Number.NaN, head.byteLength - 1]);
  return {
    path: '/v2/models/demo/infer',
    headers: { 'inference-header-content-length': String(length) },
    body,
  };
}

/** Sends `requests` shots, so many at a time; gives back how often each outcome came. */
async function sendAll(send: (random: Random) => Promise<string>): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  let sent = 0;
  const lane = async () => {
    while (sent < requests) {
      sent += 1;
      const outcome = await send(randomFrom(seed + sent));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return outcomes;
}

/** What is wrong with an answer, or its code; 'ok' when it scored. */
function outcomeOf(path: string, httpStatus: number, body: string): string {
  if (httpStatus === 200) return 'ok';
  const { error } = JSON.parse(body) as { error: string | { code: string } };
  const code = typeof error === 'string' ? error.split(':')[0] : error.code;
  const isPlain = typeof error === 'string';
  const kind = errorTable[code as ErrorCode];
  const isForeign = path.startsWith('/v2') || path.startsWith('/v1/models/');
  if (isPlain !== isForeign) return `wrong form: ${body}`;
  if (kind === undefined || kind.http !== httpStatus || httpStatus >= 500)
    return `uncoded ${httpStatus}: ${body}`;
  return code;
}

test.each(Object.keys(protocols))('fuzz: %s over HTTP', { timeout }, async (protocol) => {
  const { core } = await openStage([linear, demoFile]);
  const http = await startHttp({
    service: core,
    logger: quietLogger,
    registry: new Registry(),
    port: 0,
    connectionsMax: 100,
    requestTimeoutMs: 10_000,
  });
  const outcomes = await sendAll(async (random) => {
    const { path, headers, body } = shotOf(random, protocol);
    const signal = AbortSignal.timeout(hangMs);
    const response = await fetch(`${http.url}${path}`, { method: 'POST', headers, body, signal });
    return outcomeOf(path, response.status, await response.text());
  });
  await http.close();
  expectCoded(outcomes);
  const { scores } = await core.score({ model: 'ads', items: [{ ad: 'x' }] });
  expect(scores).toEqual([sigmoid(0)]);
});

const featureMessage = { values: { user: { text: 'u' }, hour: { number: 3 }, item: { integer: '7' } } };
const scoreMessage = {
  model: 'demo',
  user: featureMessage,
  items: [featureMessage, featureMessage],
  log: false,
};
const calls: readonly (readonly [string, string, object])[] = [
  [nativeServiceName, 'Score', scoreMessage],
  [
    nativeServiceName,
    'Rank',
    { ...scoreMessage, exploration: { type: 'softmax', temperature: 1 }, count: 1 },
  ],
  [nativeServiceName, 'SendOutcomes', { outcomes: [{ model: 'demo', requestId: 'r', index: 1 }] }],
  [
    inferenceServiceName,
    'ModelInfer',
    {
      model_name: 'demo',
      parameters: { log: { bool_param: false } },
      inputs: [
        { name: 'user', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('u')] } },
        { name: 'item', datatype: 'INT64', shape: [2], contents: { int64_contents: [1, 2] } },
        { name: 'price', datatype: 'FP32', shape: [2], contents: { fp32_contents: [1, 2] } },
      ],
    },
  ],
  [
    inferenceServiceName,
    'ModelInfer',
    {
      model_name: 'demo',
      inputs: [{ name: 'item', datatype: 'INT64', shape: [2] }],
      raw_input_contents: [Buffer.alloc(16, 1)],
    },
  ],
  [inferenceServiceName, 'ModelMetadata', { name: 'demo', version: '0' }],
];

test('fuzz: gRPC, native and Open Inference Protocol', { timeout }, async () => {
  const { core } = await openStage([linear, demoFile]);
  const { face } = await openGrpc({ service: core });
  const clients = new Map(
    [nativeServiceName, inferenceServiceName].map((name) => [name, clientOf(face.address, name)]),
  );
  const outcomes = await sendAll(async (random) => {
    const [service, method, right] = pick(random, calls);
    const bytes = mutatedBytes(random, protos.service(service)[method].requestSerialize(right));
    const answered = clients.get(service)?.callBytes(method, bytes, hangMs);
    const error = await answered?.then(
      () => null,
      (error: unknown) => refusalOf(error),
    );
    if (!error) return 'ok';
    const kind = errorTable[error.mill as ErrorCode];
    const isCoded = kind !== undefined && status[kind.grpc] === error.code && kind.http < 500;
    return isCoded ? String(error.mill) : `uncoded ${error.code}: ${error.details}`;
  });
  expectCoded(outcomes);
  expect((await core.score({ model: 'ads', items: [{ ad: 'x' }] })).scores).toEqual([sigmoid(0)]);
});

/** Some were right, some were wrong, and each of those was told by a code. */
function expectCoded(outcomes: ReadonlyMap<string, number>): void {
  const bad = [...outcomes.keys()].filter(
    (outcome) => outcome !== 'ok' && !Object.hasOwn(errorTable, outcome),
  );
  expect({ seed, bad }).toEqual({ seed, bad: [] });
  expect(outcomes.get('ok')).toBeGreaterThan(0);
  expect(outcomes.get('MILL_BAD_REQUEST')).toBeGreaterThan(0);
  expect([...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(requests);
}
