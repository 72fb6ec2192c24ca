/** Input that is wrong in every way, at every door of a real cluster: each gets its code, and nothing goes down. */
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import {
  createFrameReader,
  type ErrorCode,
  errorTable,
  frameBytesMax,
  frameKinds,
  type ModelFile,
  packedFrame,
  packedValueOf,
  pullFrameBytes,
  writeFrameHeader,
} from '@millrace/protocol';
import { countingModel, eventually, type LocalClusterFixture, startLocalCluster } from '@millrace/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

const ads: ModelFile = {
  name: 'ads',
  label: 'click',
  item: 'ad',
  partitions: 4,
  tables: [{ name: 'weights', wide: { optimizer: { type: 'ftrl', alpha: 0.1 } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'weights' },
    { name: 'tags', type: 'multi', scope: 'item', table: 'weights' },
    { name: 'price', type: 'dense', scope: 'item', table: 'weights' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

let cluster: LocalClusterFixture;

beforeAll(async () => {
  cluster = await startLocalCluster();
  await cluster.client.createModel(ads);
  await cluster.client.waitUntilReady();
});

afterEach(async () => {
  // Whatever a test sent: a score succeeds, and every process is the one that was started.
  const { scores, degraded } = await cluster.client.score({ model: 'ads', items: [{ ad: 'a1', price: 2 }] });
  expect({ scores, degraded }).toEqual({ scores: [0.5], degraded: false });
  const { processes } = await cluster.sight();
  expect(processes.map(({ restarts, ready }) => ({ restarts, ready }))).toEqual(
    processes.map(() => ({ restarts: 0, ready: true })),
  );
});

afterAll(() => cluster?.remove());

describe('bodies', () => {
  const score = '/v1/score';
  const events = '/v1/events';
  const item = (features: string) => `{"model":"ads","items":[${features}]}`;
  const cases: readonly {
    what: string;
    path: string;
    body: string | Buffer;
    code: ErrorCode;
    says: string;
  }[] = [
    { what: 'no JSON', path: score, body: '{"items": [', code: 'MILL_BAD_JSON', says: 'line 1' },
    { what: 'empty', path: score, body: '', code: 'MILL_BAD_JSON', says: '' },
    { what: 'NaN', path: score, body: item('{"price":NaN}'), code: 'MILL_BAD_JSON', says: 'column' },
    {
      what: 'bytes that are not UTF-8',
      path: score,
      body: Buffer.of(0x22, 0xff, 0x22),
      code: 'MILL_BAD_JSON',
      says: 'UTF-8',
    },
    {
      what: '1e999',
      path: score,
      body: item('{"price":1e999}'),
      code: 'MILL_BAD_REQUEST',
      says: 'items[0].price',
    },
    {
      what: 'a number beyond exact integers',
      path: score,
      body: item('{"ad":9007199254740993}'),
      code: 'MILL_BAD_REQUEST',
      says: 'items[0].ad',
    },
    {
      what: 'text for a number',
      path: score,
      body: item('{"price":"cheap"}'),
      code: 'MILL_FEATURE_INVALID',
      says: 'price',
    },
    {
      what: 'a list for one value',
      path: score,
      body: item('{"ad":["a1","a2"]}'),
      code: 'MILL_FEATURE_INVALID',
      says: 'ad',
    },
    {
      what: 'an object for a feature',
      path: score,
      body: item('{"ad":{"id":1}}'),
      code: 'MILL_BAD_REQUEST',
      says: 'items[0].ad',
    },
    {
      what: 'no items',
      path: score,
      body: '{"model":"ads","items":[]}',
      code: 'MILL_BAD_REQUEST',
      says: 'at least 1',
    },
    {
      what: 'too many items',
      path: score,
      body: item(Array(2_001).fill('{}').join()),
      code: 'MILL_BAD_REQUEST',
      says: 'at most 2000',
    },
    {
      what: 'too many values',
      path: score,
      body: item(`{"tags":[${Array(1_001).fill(1).join()}]}`),
      code: 'MILL_BAD_REQUEST',
      says: 'at most 1000',
    },
    {
      what: 'too long a value',
      path: score,
      body: item(`{"ad":"${'x'.repeat(1_025)}"}`),
      code: 'MILL_BAD_REQUEST',
      says: 'at most 1024',
    },
    {
      what: 'items of a wrong type',
      path: score,
      body: '{"model":"ads","items":"a1"}',
      code: 'MILL_BAD_REQUEST',
      says: 'items',
    },
    {
      what: 'an unknown property',
      path: score,
      body: '{"model":"ads","items":[{}],"limit":3}',
      code: 'MILL_BAD_REQUEST',
      says: 'limit',
    },
    {
      what: 'a key that reaches for the prototype',
      path: score,
      body: '{"model":"ads","items":[{"__proto__":{"ad":1}}]}',
      code: 'MILL_BAD_REQUEST',
      says: '__proto__',
    },
    {
      what: 'a bad request id',
      path: score,
      body: '{"model":"ads","requestId":"a b","items":[{}]}',
      code: 'MILL_BAD_REQUEST',
      says: 'requestId',
    },
    {
      what: 'an unknown model',
      path: score,
      body: '{"model":"nobody","items":[{}]}',
      code: 'MILL_MODEL_UNKNOWN',
      says: 'nobody',
    },
    {
      what: 'a model name that is none',
      path: score,
      body: '{"model":"../ads","items":[{}]}',
      code: 'MILL_BAD_REQUEST',
      says: 'model',
    },
    {
      what: 'an outcome without an id',
      path: events,
      body: '{"model":"ads"}',
      code: 'MILL_BAD_REQUEST',
      says: 'requestId',
    },
    {
      what: 'an outcome of value −1',
      path: events,
      body: '{"model":"ads","requestId":"r","value":-1}',
      code: 'MILL_BAD_REQUEST',
      says: 'value',
    },
    {
      what: 'an outcome with index and item',
      path: events,
      body: '{"model":"ads","requestId":"r","index":0,"item":"a"}',
      code: 'MILL_BAD_REQUEST',
      says: 'not both',
    },
    {
      what: 'one bad outcome among good ones',
      path: events,
      body: '[{"model":"ads","requestId":"r"},{"model":"ads","requestId":7}]',
      code: 'MILL_BAD_REQUEST',
      says: '[1].requestId',
    },
    {
      what: 'an outcome of an unknown model',
      path: events,
      body: '[{"model":"ads","requestId":"r"},{"model":"nobody","requestId":"r"}]',
      code: 'MILL_MODEL_UNKNOWN',
      says: 'nobody',
    },
    { what: 'a number for a body', path: events, body: '7', code: 'MILL_BAD_REQUEST', says: 'body' },
  ];

  test.for(cases)('bad input: $path: $what is refused with its code', async ({ path, body, code, says }) => {
    const refusal = await post(path, body);
    expect(refusal.status).toBe(errorTable[code].http);
    expect(refusal.error).toMatchObject({ code, retry: errorTable[code].retry });
    expect(refusal.error.message).toContain(says);
  });

  test.for([score, events])('bad input: %s: a body of 10 MB is refused', async (path) => {
    const body = Buffer.alloc(10_000_000, ' ');
    const refusal = await post(path, body);
    expect(refusal).toMatchObject({ status: 413, error: { code: 'MILL_BODY_TOO_LARGE' } });
  });

  test('bad input: refused outcomes leave nothing in the log', async () => {
    const bus = await cluster.bus();
    const before = await bus.logState('events');
    await post(events, '[{"model":"ads","requestId":"r"},{"model":"nobody","requestId":"r"}]');
    await post(events, '[{"model":"ads","requestId":"r"},{"model":"ads","requestId":7}]');
    expect((await bus.logState('events')).lastSequence).toBe(before.lastSequence);
  });
});

describe('models', () => {
  const put = (name: string, file: unknown) => send('PUT', `/v1/models/${name}`, JSON.stringify(file));

  test('bad input: a model file that breaks a rule is refused with path, wanted and found', async () => {
    const { status, error } = await put('bad', {
      ...ads,
      name: 'bad',
      fields: [{ name: 'ad', type: 'sparse' }],
    });
    expect({ status, code: error.code }).toEqual({ status: 400, code: 'MILL_MODEL_INVALID' });
    expect(error.message).toContain('fields[0].table');
  });

  test.for([
    { what: 'under another name', name: 'other', file: ads },
    { what: 'of no fields', name: 'ads', file: { name: 'ads' } },
    { what: 'that is nested deep', name: 'ads', file: nested(2_000) },
  ])('bad input: a model file $what is refused', async ({ name, file }) => {
    expect(await put(name, file)).toMatchObject({ status: 400, error: { code: 'MILL_MODEL_INVALID' } });
  });

  test('bad input: a path or method that is not there is refused', async () => {
    expect(await send('GET', '/v1/nothing')).toMatchObject({
      status: 404,
      error: { code: 'MILL_ROUTE_UNKNOWN' },
    });
    expect(await send('DELETE', '/v1/score')).toMatchObject({ error: { code: 'MILL_ROUTE_UNKNOWN' } });
  });
});

test('bad input: an outcome of an unknown impression is accepted, then told as rejected', async () => {
  await cluster.client.createModel(countingModel('brief', { joinWindowMs: 200 }));
  await cluster.client.waitUntilReady();
  await cluster.client.sendOutcomes({ model: 'brief', requestId: 'nobody-saw' });
  await eventually(
    async () => {
      const [rejected] = await cluster.client.rejectedOutcomes('brief');
      expect(rejected).toMatchObject({ code: 'MILL_IMPRESSION_UNKNOWN', requestId: 'nobody-saw' });
    },
    { withinMs: 20_000 },
  );
});

describe('frames', () => {
  const hello = packedFrame(
    frameKinds.hello,
    { requestId: 0, epoch: 0 },
    { cluster: 'millrace', role: 'test' },
  );

  test.for([
    {
      what: 'text',
      bytes: () => Buffer.from('GET / HTTP/1.1\r\nhost: shard\r\n\r\n'),
      code: 'MILL_FRAME_INVALID',
    },
    { what: 'zeros', bytes: () => Buffer.alloc(64), code: 'MILL_FRAME_INVALID' },
    {
      what: 'a length over the limit',
      bytes: () => header({ bytes: frameBytesMax + 4 }),
      code: 'MILL_FRAME_TOO_LARGE',
    },
    { what: 'a length of 4 GiB', bytes: () => header({ bytes: 0xffff_fffc }), code: 'MILL_FRAME_TOO_LARGE' },
    {
      what: 'a length shorter than a header',
      bytes: () => header({ bytes: 12 }),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'another protocol version',
      bytes: () => withByte(header({}), 5, 9),
      code: 'MILL_PROTOCOL_VERSION',
    },
    { what: 'an unknown kind', bytes: () => withByte(header({}), 6, 200), code: 'MILL_FRAME_INVALID' },
    { what: 'a pull before hello', bytes: () => pull({ count: 1, keys: 1 }), code: 'MILL_FRAME_INVALID' },
    {
      what: 'another cluster',
      bytes: () => packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, { cluster: 'x' }),
      code: 'MILL_CLUSTER_MISMATCH',
    },
    {
      what: 'a hello that is no MessagePack',
      bytes: () => withBody(frameKinds.hello, Buffer.alloc(8, 0xc1)),
      code: 'MILL_FRAME_INVALID',
    },
  ])('bad input: frames: $what ends the connection with its code', async ({ bytes, code }) => {
    const { refusals, ended } = await talk(bytes());
    expect(refusals).toMatchObject([{ code }]);
    expect(ended).toBe(true);
  });

  test.for([
    {
      what: 'a pull without its count',
      bytes: () => withBody(frameKinds.pull, Buffer.alloc(0)),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'a pull with fewer keys than it says',
      bytes: () => pull({ count: 9, keys: 1 }),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'a pull with more keys than it says',
      bytes: () => pull({ count: 1, keys: 9 }),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'a pull of 4 billion keys',
      bytes: () => pull({ count: 0xffff_ffff, keys: 1 }),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'a pull of an unknown table',
      bytes: () => pull({ count: 1, keys: 1 }),
      code: 'MILL_TABLE_UNKNOWN',
    },
    {
      what: 'an inspect of an unknown model',
      bytes: () => packedFrame(frameKinds.inspect, { requestId: 5, epoch: 0 }, { model: 'x' }),
      code: 'MILL_MODEL_UNKNOWN',
    },
    {
      what: 'an inspect that is no MessagePack',
      bytes: () => withBody(frameKinds.inspect, Buffer.alloc(4, 0xc1)),
      code: 'MILL_FRAME_INVALID',
    },
    {
      what: 'an answer in place of a question',
      bytes: () => withBody(frameKinds.rows, Buffer.alloc(16)),
      code: 'MILL_FRAME_INVALID',
    },
  ])('bad input: frames: $what is answered with its code', async ({ bytes, code }) => {
    const { refusals } = await talk(Buffer.concat([hello, bytes()]));
    expect(refusals).toMatchObject([{ code }]);
  });

  test('bad input: frames: a frame cut short by the end of the connection harms nobody', async () => {
    const whole = Buffer.concat([hello, pull({ count: 100, keys: 100 })]);
    for (const length of [3, 15, hello.length + 7, hello.length + 20, whole.length - 1]) {
      const { refusals } = await talk(whole.subarray(0, length), 'end');
      expect(refusals).toEqual([]);
    }
  });

  test('bad input: frames: 300 connections of random bytes harm nobody', async () => {
    const random = randomBytesFrom(12_345);
    for (let round = 0; round < 30; round += 1) {
      // Half of them get past the greeting, and a third of those past the header.
      const talks = Array.from({ length: 10 }, (_, i) => {
        const noise = random(1 + ((round * 37) % 300));
        const framed = i % 3 === 0 ? withBody(1 + (i % 7), random(4 * (round % 9))) : noise;
        return talk(i % 2 === 0 ? framed : Buffer.concat([hello, framed]), 'end');
      });
      await Promise.all(talks);
    }
  });
});

interface Refused {
  readonly status: number;
  readonly error: { readonly code: string; readonly message: string; readonly retry: string };
}

function post(path: string, body: string | Buffer): Promise<Refused> {
  return send('POST', path, body);
}

/** Sends bytes as they are, which a client of the API would not. */
function send(method: string, path: string, body: string | Buffer = ''): Promise<Refused> {
  return new Promise((resolve, reject) => {
    const headers =
      method === 'GET' || method === 'DELETE'
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = httpRequest(`${cluster.url}${path}`, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, error: JSON.parse(text).error }),
      );
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Sends bytes to a shard's port; resolves once it has refused something, or ended the connection, or `until` says so. */
async function talk(bytes: Uint8Array, until: 'refusal' | 'end' = 'refusal') {
  const { shards } = await cluster.client.status();
  const [host, port] = shards[0].address.split(':');
  const socket: Socket = connect({ host, port: Number(port) });
  const reader = createFrameReader();
  const refusals: Readonly<Record<string, unknown>>[] = [];
  let ended = false;
  const done = new Promise<void>((resolve) => {
    socket.once('close', () => {
      ended = true;
      resolve();
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      reader.push(chunk, (frame) => {
        if (frame.header.kind !== frameKinds.refusal) return;
        refusals.push(packedValueOf(frame.bytes));
        // After a refusal without a request the shard ends the connection; else it is for us to end it.
        if (frame.header.requestId !== 0) socket.end();
      });
    });
  });
  if (until === 'end') socket.end(bytes);
  else socket.write(bytes);
  await done;
  return { refusals, ended };
}

function header({ bytes = 16 }: { bytes?: number }): Buffer {
  const frame = Buffer.alloc(16);
  const view = new DataView(frame.buffer, frame.byteOffset, 16);
  writeFrameHeader(view, 0, { bytes, kind: frameKinds.hello, requestId: 0, epoch: 0 });
  return frame;
}

function withByte(frame: Buffer, at: number, value: number): Buffer {
  frame[at] = value;
  return frame;
}

function withBody(kind: number, body: Uint8Array): Buffer {
  const frame = Buffer.concat([header({ bytes: 16 + body.length }), body]);
  frame[6] = kind;
  frame[8] = 5;
  return frame;
}

function pull({ count, keys }: { count: number; keys: number }): Buffer {
  const frame = withBody(frameKinds.pull, Buffer.alloc(pullFrameBytes(keys) - 16));
  frame.writeUInt32LE(7, 16);
  frame.writeUInt32LE(count, 20);
  return frame;
}

function nested(depth: number): object {
  let value: object = {};
  for (let i = 0; i < depth; i += 1) value = { net: value };
  return value;
}

/** Bytes that are the same in every run: a linear congruential generator. */
function randomBytesFrom(seed: number): (count: number) => Buffer {
  let state = seed;
  return (count) => {
    const bytes = Buffer.alloc(count);
    for (let i = 0; i < count; i += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      bytes[i] = state >>> 24;
    }
    return bytes;
  };
}
