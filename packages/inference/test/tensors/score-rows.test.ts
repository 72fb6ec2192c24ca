import type { ScoreResponse } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { columnsFrom } from '../../src/tensors/columns.ts';
import { type InferRequest, infer } from '../../src/tensors/infer.ts';
import { groupsFrom } from '../../src/tensors/score-rows.ts';
import { type Tensor, tensorHead, tensorOf } from '../../src/tensors/tensor.ts';
import { answerTo, demoFile, stubService } from '../http/stub-service.ts';
import { linear, openStage, sigmoid, turn } from '../small-serving.ts';

const tensor = (name: string, datatype: string, shape: number[], values: readonly unknown[]): Tensor =>
  tensorOf(tensorHead(name, datatype, shape), values);
const grouped = (...tensors: Tensor[]) => groupsFrom(columnsFrom(demoFile, tensors));
const asked = (inputs: readonly Tensor[], change: Partial<InferRequest> = {}): InferRequest => ({
  model: 'demo',
  version: '',
  id: '',
  parameters: {},
  inputs,
  outputs: [],
  ...change,
});

test('rows: what users share is given once, and items come as they are', () => {
  const { rows, groups } = grouped(
    tensor('user', 'INT64', [1], ['9007199254740993']),
    tensor('hour', 'INT32', [1, 1], [20]),
    tensor('item', 'BYTES', [2], ['a', 'b']),
    tensor('genres', 'BYTES', [2, 2], ['x', 'y', 'z', '']),
    tensor('seen', 'BYTES', [1], ['a|b']),
    tensor('price', 'FP64', [2], [1.5, 2]),
  );
  expect(rows).toBe(2);
  expect(groups).toEqual([
    {
      user: { user: '9007199254740993', seen: 'a|b' },
      context: { hour: 20 },
      items: [
        { item: 'a', genres: ['x', 'y'], price: 1.5 },
        { item: 'b', genres: ['z', ''], price: 2 },
      ],
      places: [0, 1],
    },
  ]);
});

test('rows: each user in his context is one request, in the order of first appearance', () => {
  const { groups } = grouped(
    tensor('user', 'BYTES', [4], ['u', 'v', 'u', 'u']),
    tensor('hour', 'INT32', [4], [1, 1, 1, 2]),
    tensor('item', 'INT64', [4], [10, 11, 12, 13]),
  );
  expect(groups.map(({ user, context, places }) => [user.user, context.hour, places])).toEqual([
    ['u', 1, [0, 2]],
    ['v', 1, [1]],
    ['u', 2, [3]],
  ]);
});

test('rows: scores have a second dimension where every input of one value a row has one', () => {
  const item = (shape: number[]) => tensor('item', 'BYTES', shape, ['a', 'b']);
  const price = (shape: number[]) => tensor('price', 'FP32', shape, [1, 2]);
  const genres = tensor('genres', 'BYTES', [2, 1], ['x', 'y']);
  const user = tensor('user', 'BYTES', [1, 1], ['u']);
  expect(grouped(user, item([2, 1]), price([2, 1]), genres).shape).toEqual([2, 1]);
  expect(grouped(user, item([2, 1]), price([2])).shape).toEqual([2]);
  expect(grouped(item([2]), genres).shape).toEqual([2]);
  expect(grouped(genres).shape).toEqual([2]);
  expect(grouped(user, item([2, 1])).groups).toEqual(
    grouped(tensor('user', 'BYTES', [1], ['u']), item([2])).groups,
  );
});

test.each([
  [
    'an input that the model lacks',
    [tensor('tiem', 'BYTES', [1], ['a'])],
    'inputs.tiem: wanted only user, seen',
  ],
  [
    'an input twice',
    [tensor('item', 'BYTES', [1], ['a']), tensor('item', 'BYTES', [1], ['b'])],
    'each input once',
  ],
  [
    'an id as a float',
    [tensor('item', 'FP32', [1], [1])],
    'inputs.item.datatype: wanted BYTES, BOOL or an integer',
  ],
  ['a number as text', [tensor('price', 'BYTES', [1], ['1'])], 'inputs.price.datatype: wanted a float'],
  ['a list of truth values', [tensor('genres', 'BOOL', [1, 1], [true])], 'inputs.genres.datatype'],
  [
    'two ids a row',
    [tensor('item', 'INT64', [1, 2], [1, 2])],
    'inputs.item.shape: wanted [n] or [n, 1], found [1, 2]',
  ],
  ['three dimensions', [tensor('genres', 'INT64', [1, 1, 1], [1])], 'wanted [n] or [n, k]'],
  ['no rows', [tensor('item', 'INT64', [0], [])], 'inputs: wanted 1 to 2000 rows, found 0'],
  [
    'item rows that differ',
    [tensor('item', 'INT64', [2], [1, 2]), tensor('price', 'INT8', [1], [1])],
    'inputs.price: wanted 2 rows, found 1',
  ],
  [
    'user rows that differ',
    [tensor('item', 'INT64', [3], [1, 2, 3]), tensor('user', 'INT8', [2], [1, 2])],
    'inputs.user: wanted 1 or 3 rows, found 2',
  ],
])('rows: %s: refused', (_what, tensors, message) => {
  expect(() => grouped(...tensors)).toThrow(message);
});

test('infer: gives the very scores of the native request, in the order of the rows', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('a', 1).set('b', -2);
  const inputs = [
    tensor('who', 'BYTES', [3], ['u', 'v', 'u']),
    tensor('ad', 'BYTES', [3], ['a', 'b', 'c']),
    tensor('price', 'INT8', [3], [0, 0, 0]),
  ];
  const { scores } = await infer(core, asked(inputs, { model: linear.name }));
  expect(Array.from(scores)).toEqual([1, -2, 0].map((z) => Math.fround(sigmoid(z))));
  const native = await core.score({ user: { who: 'v' }, items: [{ ad: 'b', price: 0 }] });
  expect(scores[1]).toBe(Math.fround(native.scores[0]));
});

test('infer: logs nothing unless it is told to, and then under its id', async () => {
  const { core, events } = await openStage();
  const inputs = [tensor('who', 'BYTES', [3], ['u', 'v', 'u']), tensor('ad', 'BYTES', [3], ['a', 'b', 'c'])];
  await infer(core, asked(inputs, { model: linear.name, id: 'quiet one' }));
  await turn();
  expect(await events()).toEqual([]);
  const answer = await infer(core, asked(inputs, { model: linear.name, id: 'r', parameters: { log: true } }));
  await turn();
  expect(await events()).toMatchObject([
    { requestId: 'r.0', user: { who: 'u' }, items: [{ ad: 'a' }, { ad: 'c' }] },
    { requestId: 'r.1', user: { who: 'v' }, items: [{ ad: 'b' }] },
  ]);
  expect(answer.parameters.request_ids).toBe('r.0,r.1');
  const badId = infer(
    core,
    asked(inputs, { model: linear.name, id: 'quiet one', parameters: { log: true } }),
  );
  await expect(badId).rejects.toMatchObject({ code: 'MILL_BAD_REQUEST' });
});

test('infer: users whom an experiment sends different ways: each has the version, label and engine that scored him', async () => {
  const ways: readonly Partial<ScoreResponse>[] = [
    { modelVersion: 3, version: 40, label: 'canary', arm: 'e/b', engine: 'onnx' },
    {},
    { modelVersion: 2, version: 30 },
  ];
  const service = stubService({
    score: async (request) => ({ ...answerTo(request), ...ways[Number(request.user?.user)] }),
  });
  const of = (...users: number[]) => infer(service, asked([tensor('user', 'INT8', [users.length], users)]));
  const mixed = await of(1, 0, 1, 2);
  expect(mixed.version).toBe('');
  expect(mixed.parameters).toEqual({
    version: 40,
    versions: '7,40,30',
    model_versions: 'live,3,2',
    labels: ',canary,',
    arms: ',e/b,',
    staleness_ms: 12.5,
    degraded: false,
    engines: 'wasm,onnx,wasm',
  });
  expect(await of(0, 0)).toMatchObject({
    version: '3',
    parameters: { version: 40, label: 'canary', arms: 'e/b', engine: 'onnx' },
  });
  expect(Object.keys((await of(0, 0)).parameters)).not.toContain('model_versions');
  expect((await of(1)).version).toBe('7');
});

test('infer: a version must be the current one, and answers of several say so', async () => {
  const inputs = [tensor('user', 'INT8', [2], [1, 2])];
  let version = 7;
  const service = stubService({
    async score(request) {
      version += 1;
      return { ...answerTo(request), version };
    },
  });
  const { parameters } = await infer(service, asked(inputs));
  expect(parameters).toMatchObject({ version: 9, versions: '8,9', staleness_ms: 12.5, degraded: false });
  const unknown = { code: 'MILL_VERSION_UNKNOWN', details: { version: 7 } };
  await expect(infer(service, asked(inputs, { version: '8' }))).rejects.toMatchObject(unknown);
  // Named rightly, and swapped while it was scored.
  await expect(infer(service, asked(inputs, { version: '7' }))).rejects.toMatchObject({
    code: 'MILL_VERSION_UNKNOWN',
  });
});
