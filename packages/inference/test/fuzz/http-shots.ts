/** Requests over HTTP that are right, and what fuzzing makes of them. */
import { bytesFromTensor } from '../../src/tensors/raw-tensor.ts';
import { mutatedBytes, mutatedJson, pick, type Random } from './mutations.ts';
import type { Shot } from './pipelined.ts';

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

/** Right requests by protocol: path and body. */
export const httpProtocols: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
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
      {
        id: 'i',
        parameters: { log: false, priority: 1, timeout: 5_000_000 },
        inputs: tensors,
        outputs: [{ name: 'score' }],
      },
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
    [
      '/v1/models/demo:predict',
      { signature_name: 'predict', instances: [{ item: ['a'], genres: [['x'], ['y']], price: [[1]] }] },
    ],
    ['/v1/models/demo:predict', { inputs: { item: [['a'], ['b']], price: [[1], [2]] } }],
    ['/v1/models/demo:classify', { context: features, examples: rows }],
    ['/v1/models/demo:regress', { context: features, examples: rows }],
  ],
};

const oddPaths = [
  '/v1/models/%00:predict',
  '/v1/models/%zz:predict',
  '/v2/models/demo/versions/9/infer',
  `/v2/models/${'m'.repeat(200)}/infer`,
  '/v1/models/:predict',
  '/v1/models/demo/labels/stable:predict',
  '/v2//infer',
  '/v1/score?x=%ff',
];

/** Headers that are read, with values that are not meant. */
const oddHeaders: readonly (readonly [string, string])[] = [
  ['x-request-timeout-ms', '-1'],
  ['x-request-timeout-ms', '999999999'],
  ['grpc-timeout', '1x'],
  ['grpc-timeout', '99999999H'],
  ['content-type', 'text/plain'],
  ['content-type', 'application/x-ndjson'],
  ['content-type', 'application/json; charset=latin1'],
  ['content-type', ';;;'],
  ['content-encoding', 'gzip'],
  ['authorization', 'Basic ÿ'],
  ['traceparent', '00-0-0-zz'],
  ['accept', '\u00ff/*'],
];

export function httpShotOf(random: Random, protocol: string): Shot {
  if (protocol === 'oip' && random() < 0.4) return binaryShot(random);
  const [path, right] = pick(random, httpProtocols[protocol]);
  const changed = random() < 0.7 ? mutatedJson(random, right) : right;
  const text = Buffer.from(JSON.stringify(changed) ?? '');
  const body = random() < 0.3 ? mutatedBytes(random, text) : text;
  const odd = random() < 0.05 ? [pick(random, oddHeaders)] : [];
  return {
    path: random() < 0.05 ? pick(random, oddPaths) : path,
    headers: { ...json, ...Object.fromEntries(odd) },
    body,
  };
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
