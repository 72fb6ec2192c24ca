/** The forms are those of TensorFlow Serving's REST page; requests are sent as its examples send them, by `curl -d`. */
import { expect, test } from 'vitest';
import { type ListenOptions, listen } from '../stub-service.ts';

async function open(options?: ListenOptions) {
  const server = await listen(options);
  const ask = async (path: string, body?: string | object) => {
    const response = await fetch(`${server.url}${path}`, {
      ...(body !== undefined && {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    });
    return [response.status, await response.json()] as const;
  };
  return { ...server, ask };
}

test('tfs: status of a model, of its version, of a label', async () => {
  const { ask } = await open();
  const status = {
    model_version_status: [
      { version: '7', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } },
    ],
  };
  expect(await ask('/v1/models/demo')).toEqual([200, status]);
  expect(await ask('/v1/models/demo/versions/7')).toEqual([200, status]);
  expect(await ask('/v1/models/demo/versions/6')).toEqual([
    404,
    { error: 'MILL_VERSION_UNKNOWN: model "demo" is served at version 7 alone, not at "6"' },
  ]);
  expect(await ask('/v1/models/demo/labels/stable')).toEqual([
    404,
    { error: expect.stringMatching(/^MILL_VERSION_UNKNOWN: model "demo" has no label "stable"/) },
  ]);
  expect(await ask('/v1/models/other')).toEqual([
    404,
    { error: 'MILL_MODEL_UNKNOWN: there is no model "other"' },
  ]);
});

test('tfs: metadata: one signature, every field an input', async () => {
  const { ask } = await open();
  const [status, body] = await ask('/v1/models/demo/metadata');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    model_spec: { name: 'demo', signature_name: '', version: '7' },
    metadata: {
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: {
              user: {
                dtype: 'DT_STRING',
                tensor_shape: { dim: [{ size: '-1', name: '' }], unknown_rank: false },
                name: 'user:0',
              },
              price: { dtype: 'DT_FLOAT' },
            },
            outputs: { score: { dtype: 'DT_FLOAT' } },
            method_name: 'tensorflow/serving/predict',
          },
        },
      },
    },
  });
  expect(await ask('/v1/models/demo/versions/7/metadata')).toEqual([200, body]);
});

test('tfs: predict: rows give predictions, one request a user', async () => {
  const { ask, service } = await open();
  const instances = [
    { user: 'u', item: 'a', genres: ['x', 'y'], price: 1.5 },
    { user: 'v', item: 'b' },
    { user: 'u', item: { b64: Buffer.from('c').toString('base64') } },
  ];
  const answer = [200, { predictions: [0.5, 0.5, Math.fround(1 / 3)] }];
  expect(await ask('/v1/models/demo:predict', { signature_name: 'serving_default', instances })).toEqual(
    answer,
  );
  expect(await ask('/v1/models/demo/versions/7:predict', { instances })).toEqual(answer);
  expect(service.scored.slice(0, 2)).toEqual([
    {
      model: 'demo',
      user: { user: 'u' },
      context: {},
      items: [
        { item: 'a', genres: ['x', 'y'], price: 1.5 },
        { item: 'c', genres: null, price: null },
      ],
      log: false,
    },
    {
      model: 'demo',
      user: { user: 'v' },
      context: {},
      items: [{ item: 'b', genres: null, price: null }],
      log: false,
    },
  ]);
});

test('tfs: predict: columns give outputs, and what all rows share is written once', async () => {
  const { ask, service } = await open();
  const inputs = { user: 'u', hour: [20], item: ['a', 'b'], genres: [['x'], ['y', 'z']] };
  expect(await ask('/v1/models/demo:predict', { inputs })).toEqual([
    200,
    { outputs: [0.5, Math.fround(1 / 3)] },
  ]);
  expect(service.scored).toEqual([
    {
      model: 'demo',
      user: { user: 'u' },
      context: { hour: 20 },
      items: [
        { item: 'a', genres: ['x'] },
        { item: 'b', genres: ['y', 'z'] },
      ],
      log: false,
    },
  ]);
});

test('tfs: predict: values in lists of one give predictions in lists, as of models with a dimension for the batch', async () => {
  const { ask, service } = await open();
  const third = Math.fround(1 / 3);
  const wide = [[0.5], [third]];
  const instances = [
    { user: ['u'], item: ['a'], genres: ['x', 'y'], price: [1.5] },
    { user: ['u'], item: ['b'], genres: [['z'], ['']], price: [[2.5]] },
  ];
  expect(await ask('/v1/models/demo:predict', { instances })).toEqual([200, { predictions: wide }]);
  const inputs = {
    user: [['u']],
    item: [['a'], ['b']],
    genres: [
      ['x', 'y'],
      ['z', ''],
    ],
    price: [[1.5], [2.5]],
  };
  expect(await ask('/v1/models/demo:predict', { inputs })).toEqual([200, { outputs: wide }]);
  const items = [
    { item: 'a', genres: ['x', 'y'], price: 1.5 },
    { item: 'b', genres: ['z', ''], price: 2.5 },
  ];
  expect(service.scored).toMatchObject([
    { user: { user: 'u' }, items },
    { user: { user: 'u' }, items },
  ]);
  // A scalar among them, and it is no such model.
  const mixed = { inputs: { ...inputs, price: [1.5, 2.5] } };
  expect(await ask('/v1/models/demo:predict', mixed)).toEqual([200, { outputs: [0.5, third] }]);
  expect(await ask('/v1/models/demo:regress', { examples: instances })).toEqual([
    200,
    { results: [0.5, third] },
  ]);
});

test('tfs: classify and regress: examples with a context', async () => {
  const { ask, service } = await open();
  const body = {
    signature_name: 'serving_default',
    context: { user: 'u', hour: 20 },
    examples: [{ item: 'a' }, { item: 'b' }],
  };
  const third = Math.fround(1 / 3);
  expect(await ask('/v1/models/demo:regress', body)).toEqual([200, { results: [0.5, third] }]);
  expect(await ask('/v1/models/demo:classify', body)).toEqual([
    200,
    {
      results: [
        [
          ['0', 0.5],
          ['1', 0.5],
        ],
        [
          ['0', 1 - third],
          ['1', third],
        ],
      ],
    },
  ]);
  expect(service.scored[0]).toMatchObject({
    user: { user: 'u' },
    context: { hour: 20 },
    items: [{ item: 'a' }, { item: 'b' }],
  });
});

test.each([
  ['neither form', {}, 'body: wanted instances or inputs, found neither'],
  ['both forms', { instances: [], inputs: {} }, 'found both'],
  ['no rows', { instances: [] }, 'rows: wanted 1 to 2000, found 0'],
  ['bare values', { instances: [1] }, 'instances[0]: wanted an object, found 1'],
  ['an unknown name', { instances: [{ tiem: 1 }] }, 'inputs.tiem: wanted only user, seen'],
  ['a signature that is no text', { signature_name: 1, instances: [{}] }, 'signature_name: wanted text'],
  [
    'two values of one',
    { instances: [{ item: ['a', 'b'] }] },
    'rows[0].item: wanted one value, or a list of one, found a list of 2',
  ],
  ['lists nine deep', { instances: [{ genres: [[[[[[[[['x']]]]]]]]] }] }, 'wanted 8 levels of lists at most'],
  ['a bad b64', { instances: [{ item: { b64: '%' } }] }, 'rows[0].item: wanted a value or {"b64"'],
  [
    'columns that differ',
    { inputs: { item: ['a', 'b'], price: [1] } },
    'inputs.price: wanted 2 rows, found 1',
  ],
])('tfs: predict: %s: refused', async (_what, body, message) => {
  const { ask, service } = await open();
  expect(await ask('/v1/models/demo:predict', body)).toEqual([
    400,
    { error: expect.stringContaining(message) },
  ]);
  expect(service.scored).toEqual([]);
});

test('tfs: other refusals have the same form', async () => {
  const { ask } = await open();
  expect(await ask('/v1/models/demo:predict', '{"instances": [NaN]}')).toEqual([
    400,
    { error: expect.stringMatching(/^MILL_BAD_JSON/) },
  ]);
  expect(await ask('/v1/models/demo:predict', '')).toEqual([
    400,
    { error: expect.stringContaining('found nothing') },
  ]);
  expect((await ask('/v1/models/other:predict', { instances: [{}] }))[0]).toBe(404);
  expect((await ask('/v1/models/demo/versions/6:predict', { instances: [{}] }))[0]).toBe(404);
  expect((await ask('/v1/models/demo/labels/canary:predict', { instances: [{}] }))[0]).toBe(404);
  expect(await ask('/v1/models/demo:explain', {})).toEqual([
    404,
    { error: expect.stringMatching(/^MILL_ROUTE_UNKNOWN: no route POST .*; calls are POST/) },
  ]);
});

test('tfs: the native routes below the same paths stay what they were', async () => {
  const { ask, url } = await open();
  expect(await ask('/v1/models')).toMatchObject([200, { models: [{ name: 'demo' }] }]);
  expect(await ask('/v1/models/demo/measures')).toMatchObject([200, { measures: [{ model: 'demo' }] }]);
  const put = await fetch(`${url}/v1/models/demo`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(put.status).toBe(201);
});
