/**
 * The examples of TensorFlow Serving's REST page, as it prints them, but for the server's address and the name of the model:
 * `half_plus_three` has one input, `x`. What a model makes of it is another matter; the forms are the page's.
 */
import type { ModelFile } from '@millrace/protocol';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { startHttp } from '../../../src/http/start-http.ts';
import { linear, openStage, quietLogger } from '../../small-serving.ts';

const oneInput: ModelFile = {
  ...linear,
  name: 'half-plus-three',
  item: 'x',
  fields: [{ name: 'x', type: 'sparse', scope: 'item', table: 'ids' }],
};
const named: ModelFile = {
  ...linear,
  name: 'sensors',
  item: 'tag',
  fields: [
    { name: 'tag', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'signal', type: 'multi', scope: 'item', table: 'ids' },
    { name: 'sensor', type: 'multi', scope: 'item', table: 'ids' },
  ],
};
const oneText: ModelFile = { ...linear, name: 'words', item: 'tag', fields: [named.fields[0]] };
const captions: ModelFile = {
  ...linear,
  name: 'captions',
  item: 'image',
  fields: ['image', 'caption'].map((name) => ({ name, type: 'sparse', scope: 'item', table: 'ids' })),
};

async function open() {
  const files = [oneInput, named, oneText, captions].map((file, i) => ({
    ...file,
    tables: [{ ...linear.tables[0], name: `ids-${i}` }],
    fields: file.fields.map((field) => ({ ...field, table: `ids-${i}` })),
  }));
  const { core } = await openStage(files);
  const http = await startHttp({
    service: core,
    logger: quietLogger,
    registry: new Registry(),
    port: 0,
    connectionsMax: 10,
    requestTimeoutMs: 5_000,
  });
  onTestFinished(() => http.close());
  /** `curl [-d DATA] URL`. */
  return async (path: string, data?: string) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const sent = data === undefined ? {} : { method: 'POST', headers, body: data };
    const response = await fetch(`${http.url}/v1/models/${path}`, sent);
    return [response.status, await response.json()] as const;
  };
}

/** Of a model that has learned nothing. */
const half = 0.5;

test('tfs: the documented calls of half_plus_three', async () => {
  const curl = await open();
  expect(await curl('half-plus-three')).toEqual([
    200,
    {
      model_version_status: [
        { version: '0', state: 'LOADING', status: { error_code: 'OK', error_message: '' } },
      ],
    },
  ]);
  expect((await curl('half-plus-three/metadata'))[0]).toBe(200);
  expect(await curl('half-plus-three:predict', '{"instances": [1.0,2.0,5.0]}')).toEqual([
    200,
    { predictions: [half, half, half] },
  ]);
  const regress = '{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}';
  expect(await curl('half-plus-three:regress', regress)).toEqual([200, { results: [half, half] }]);
  expect(await curl('half:predict', '{"instances": [1.0,5.0]}')).toEqual([
    404,
    { error: expect.stringContaining('half') },
  ]);
});

test('tfs: the documented forms: rows, columns, one input, binary values', async () => {
  const curl = await open();
  const rows = `{
    "instances": [
      { "tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]] },
      { "tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]] }
    ]
  }`;
  expect(await curl('sensors:predict', rows)).toEqual([200, { predictions: [half, half] }]);
  const columns = `{
    "inputs": {
      "tag": ["foo", "bar"],
      "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
      "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]
    }
  }`;
  expect(await curl('sensors:predict', columns)).toEqual([200, { outputs: [half, half] }]);
  expect(await curl('words:predict', '{"instances": [ "foo", "bar", "baz" ]}')).toEqual([
    200,
    { predictions: [half, half, half] },
  ]);
  expect(await curl('words:predict', '{"inputs": [ "foo", "bar" ]}')).toEqual([
    200,
    { outputs: [half, half] },
  ]);
  // Every model has an id of its items, so one with a single input has no place for matrices.
  expect(await curl('words:predict', '{"instances": [ [[1, 2]], [[3, 4]] ]}')).toEqual([
    400,
    { error: expect.stringContaining('wanted one value, or a list of one, found a list of 2') },
  ]);
  expect(await curl('words:predict', '{"instances": [ [["foo"]], [["bar"]] ]}')).toEqual([
    200,
    { predictions: [[half], [half]] },
  ]);
  const images = `{
    "signature_name": "classify_objects",
    "examples": [
      { "image": { "b64": "aW1hZ2UgYnl0ZXM=" }, "caption": "seaside" },
      { "image": { "b64": "YXdlc29tZSBpbWFnZSBieXRlcw==" }, "caption": "mountains" }
    ]
  }`;
  const classes = [
    ['0', half],
    ['1', half],
  ];
  expect(await curl('captions:classify', images)).toEqual([200, { results: [classes, classes] }]);
  const context = '{"context": {"caption": "seaside"}, "examples": [{"image": "a"}, {"image": ["b"]}]}';
  expect(await curl('captions:regress', context)).toEqual([200, { results: [half, half] }]);
  // What the page allows and no feature can be.
  const tokens = '{"example": [{"sensor_readings": [ 1.0, -3.14, NaN, Infinity ]}]}';
  expect(await curl('sensors:classify', tokens)).toEqual([
    400,
    { error: expect.stringMatching(/^MILL_BAD_JSON: .* found "N"$/) },
  ]);
});
