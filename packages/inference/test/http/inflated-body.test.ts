import { deflateSync, gzipSync } from 'node:zlib';
import { bodyBytesMax } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { listen } from './stub-service.ts';

const path = '/v1/models/demo:predict';
const text = JSON.stringify({ instances: [{ item: 'a' }] });

async function open() {
  const { url, service } = await listen();
  const post = async (encoding: string, body: string | Buffer, to = path) => {
    const headers = { 'content-encoding': encoding, 'content-type': 'application/json' };
    const response = await fetch(`${url}${to}`, { method: 'POST', headers, body });
    return [response.status, await response.json()] as const;
  };
  return { post, service };
}

test('http: foreign protocols: a body may be gzip or deflate', async () => {
  const { post, service } = await open();
  for (const [encoding, body] of [
    ['gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['identity', text],
  ] as const)
    expect(await post(encoding, body)).toEqual([200, { predictions: [0.5] }]);
  expect(service.scored.length).toBe(3);
});

test.each([
  [
    'br',
    gzipSync(text),
    400,
    'MILL_BAD_REQUEST: header content-encoding: wanted one of identity, gzip, deflate',
  ],
  ['constructor', text, 400, 'MILL_BAD_REQUEST: header content-encoding: wanted one of'],
  ['gzip', text, 400, 'MILL_BAD_REQUEST: body: wanted gzip, found other bytes'],
  ['gzip', gzipSync(text).subarray(0, -4), 400, 'MILL_BAD_REQUEST: body: wanted gzip, found other bytes'],
  ['gzip', gzipSync('{'), 400, 'MILL_BAD_JSON'],
  ['gzip', gzipSync(Buffer.alloc(bodyBytesMax + 1, 32)), 413, 'MILL_BODY_TOO_LARGE: body: wanted at most'],
])(
  'http: foreign protocols: %s that is not right is refused (%#)',
  async (encoding, body, status, message) => {
    const { post, service } = await open();
    expect(await post(encoding, body)).toEqual([status, { error: expect.stringContaining(message) }]);
    expect(service.scored).toEqual([]);
  },
);

test('http: the native API takes no compressed body', async () => {
  const { post } = await open();
  const [status, body] = await post('gzip', gzipSync(JSON.stringify({ items: [{}] })), '/v1/score');
  expect([status, body]).toMatchObject([400, { error: { code: 'MILL_BAD_REQUEST' } }]);
});
