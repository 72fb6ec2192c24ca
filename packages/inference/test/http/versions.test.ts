/** Versions as the faces name them. */
import { MillraceError, type ModelListing, type ScoreRequest } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { answerTo, demoListing, listen, withObjects } from './stub-service.ts';

const listing: ModelListing = {
  ...demoListing,
  versions: [
    { version: 2, labels: ['stable'], state: 'READY', reason: '' },
    { version: 3, labels: [], state: 'FAILED', reason: 'damaged' },
    { version: 7, labels: ['canary'], state: 'READY', reason: '' },
  ],
};

/** Answers as the version or label that is asked for. */
async function open() {
  const asked: ScoreRequest[] = [];
  const server = await listen({
    parts: {
      models: () => [listing],
      async score(request) {
        asked.push(withObjects(request));
        if (request.version === 3) throw new MillraceError('MILL_NOT_READY', 'not loaded');
        const number = request.label === 'stable' ? 2 : request.label === 'canary' ? 7 : request.version;
        return {
          ...answerTo(request),
          ...(typeof number === 'number' && { modelVersion: number }),
          ...(request.label !== undefined && { label: request.label }),
        };
      },
    },
  });
  const ask = async (path: string, body?: object, method = body ? 'POST' : 'GET') => {
    const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(server.url + path, { method, ...init });
    return [response.status, await response.json()] as const;
  };
  const { versionCalls } = server.service;
  return { asked, ask, versionCalls };
}

const inputs = [{ name: 'user', shape: [1], datatype: 'BYTES', data: ['u'] }];

test('versions: native: requests name a version or a label, answers say which it was', async () => {
  const { ask, asked } = await open();
  const items = [{ item: 'a' }];
  expect((await ask('/v1/score', { items, version: 2 }))[1]).toMatchObject({ modelVersion: 2, version: 7 });
  expect((await ask('/v1/score', { items, label: 'canary' }))[1]).toMatchObject({
    modelVersion: 7,
    label: 'canary',
  });
  expect((await ask('/v1/score', { items, version: 'live' }))[1]).not.toHaveProperty('modelVersion');
  expect(asked.map(({ version, label }) => version ?? label)).toEqual([2, 'canary', 'live']);
  for (const bad of [{ version: 0 }, { version: 'dead' }, { version: 1.5 }, { label: '1' }, { label: 'a b' }])
    expect((await ask('/v1/score', { items, ...bad }))[1]).toMatchObject({
      error: { code: 'MILL_BAD_REQUEST' },
    });
});

test('versions: oip: paths name them, metadata and index list them', async () => {
  const { ask, asked } = await open();
  const [, metadata] = await ask('/v2/models/demo');
  expect(metadata).toMatchObject({ versions: ['2', '7', 'live'] });
  expect(await ask('/v2/models/demo/versions/2/infer', { inputs })).toMatchObject([
    200,
    { model_version: '2' },
  ]);
  // 7 is a version here, though the live line is at sequence 7 too.
  expect(await ask('/v2/models/demo/versions/7/infer', { inputs })).toMatchObject([
    200,
    { model_version: '7' },
  ]);
  expect(await ask('/v2/models/demo/versions/live/infer', { inputs })).toMatchObject([200, {}]);
  expect(asked.map(({ version }) => version)).toEqual([2, 7, 'live']);
  expect(await ask('/v2/models/demo/versions/2/ready')).toEqual([200, { name: 'demo', ready: true }]);
  expect(await ask('/v2/models/demo/versions/3/ready')).toEqual([503, { name: 'demo', ready: false }]);
  const [status, { error }] = (await ask('/v2/models/demo/versions/4/infer', { inputs })) as [
    number,
    { error: string },
  ];
  expect([status, error]).toEqual([
    404,
    'MILL_VERSION_UNKNOWN: model "demo" has no version "4"; there are versions live, 2, 3, 7 and labels canary, stable',
  ]);
  expect((await ask('/v2/repository/index', {}))[1]).toEqual([
    { name: 'demo', version: '2', state: 'READY', reason: '' },
    { name: 'demo', version: '3', state: 'UNAVAILABLE', reason: 'damaged' },
    { name: 'demo', version: '7', state: 'READY', reason: '' },
    { name: 'demo', version: 'live', state: 'READY', reason: '' },
  ]);
});

test('versions: tfs: paths name versions and labels', async () => {
  const { ask, asked } = await open();
  const instances = [{ user: 'u', item: 'a' }];
  expect((await ask('/v1/models/demo/versions/2:predict', { instances }))[0]).toBe(200);
  expect((await ask('/v1/models/demo/labels/canary:predict', { instances }))[0]).toBe(200);
  expect((await ask('/v1/models/demo/labels/live:predict', { instances }))[0]).toBe(200);
  expect(asked.map(({ version, label }) => version ?? label)).toEqual([2, 'canary', 'live']);
  expect((await ask('/v1/models/demo/versions/3:predict', { instances }))[0]).toBe(503);
  const ok = { error_code: 'OK', error_message: '' };
  expect(await ask('/v1/models/demo')).toEqual([
    200,
    {
      model_version_status: [
        { version: '2', state: 'AVAILABLE', status: ok },
        { version: '3', state: 'END', status: { error_code: 'UNAVAILABLE', error_message: 'damaged' } },
        { version: '7', state: 'AVAILABLE', status: ok },
      ],
    },
  ]);
  expect(await ask('/v1/models/demo/labels/stable')).toEqual([
    200,
    { model_version_status: [{ version: '2', state: 'AVAILABLE', status: ok }] },
  ]);
  expect((await ask('/v1/models/demo/labels/stable/metadata'))[1]).toMatchObject({
    model_spec: { version: '2' },
  });
  expect(await ask('/v1/models/demo/labels/beta')).toEqual([
    404,
    {
      error:
        'MILL_VERSION_UNKNOWN: model "demo" has no label "beta"; there are versions live, 2, 3, 7 and labels canary, stable',
    },
  ]);
});

test('versions: admin: every change reaches the core as it was asked for', async () => {
  const { ask, versionCalls } = await open();
  const of = '/v1/models/demo';
  expect(await ask(`${of}/versions`, { note: 'n', labels: ['stable'] })).toMatchObject([201, { version: 1 }]);
  await ask(`${of}/labels/stable`, { version: 2, reason: 'r', from: null }, 'PUT');
  await ask(`${of}/labels/stable?reason=gone`, undefined, 'DELETE');
  await ask(`${of}/labels/stable/rollback?reason=bad`, undefined, 'POST');
  await ask(`${of}/policy`, { type: 'latest' }, 'PUT');
  await ask(`${of}/policy`, { type: 'specific', versions: [2, 7] }, 'PUT');
  await ask(`${of}/versions/3/load`, undefined, 'POST');
  await ask(`${of}/versions/3/unload`, undefined, 'POST');
  await ask(`${of}/versions/3`, undefined, 'DELETE');
  expect(versionCalls).toEqual([
    ['take', 'demo', { note: 'n', labels: ['stable'] }],
    ['setLabel', 'demo', 'stable', { version: 2, reason: 'r', from: null }],
    ['unsetLabel', 'demo', 'stable', 'gone'],
    ['rollBackLabel', 'demo', 'stable', 'bad'],
    ['setPolicy', 'demo', { type: 'latest', count: 1 }],
    ['setPolicy', 'demo', { type: 'specific', versions: [2, 7] }],
    ['load', 'demo', 3],
    ['unload', 'demo', 3],
    ['remove', 'demo', 3],
  ]);
  const refused = async (body: object) => (await ask(`${of}/policy`, body, 'PUT'))[0];
  expect(await refused({ type: 'specific' })).toBe(400);
  expect(await refused({ type: 'all', count: 1 })).toBe(400);
  expect(await refused({ type: 'latest', versions: [] })).toBe(400);
  expect(await refused({ type: 'none' })).toBe(400);
  expect((await ask(`${of}/versions/0/load`, undefined, 'POST'))[0]).toBe(400);
});
