import { connect, type Socket } from 'node:net';
import { applyGradients } from '@millrace/core';
import {
  createFrameReader,
  type Frame,
  frameBytesMax,
  frameKinds,
  isMillraceError,
  packedFrame,
  packedValueOf,
} from '@millrace/protocol';
import { createLogger, createManualClock, createMetrics, createTcpNetwork } from '@millrace/runtime';
import fc from 'fast-check';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { createModelShard, openPartition, takePartition } from '../src/model-shard.ts';
import { listenForPulls, type TcpServer } from '../src/tcp-server.ts';
import {
  blockOf,
  dim,
  file,
  frameFrom,
  idsTable,
  keysOn,
  layouts,
  pullFrame,
  quietLogger,
  rowsFrom,
} from './small-cluster.ts';

/** One server for all tests of this file: whatever one of them does to it, the others must not notice. */
const shard = createModelShard(file);
for (let partition = 0; partition < 4; partition += 1) {
  const state = takePartition(shard, partition);
  const payload = blockOf({ partition, sequence: 1, keys: keysOn(partition, 50), gradient: 8 });
  applyGradients(state, { sequence: 10 + partition, payload }, 'report');
  openPartition(shard, partition);
}
const counter = createMetrics({ service: 'test' }).counter({ name: 'mill_pulled_keys_total', help: 'Keys.' });
let pulledKeys = 0;
const clock = createManualClock(0);
const options = {
  network: createTcpNetwork(),
  clock,
  host: '127.0.0.1',
  port: 0,
  cluster: 'demo',
  shard: 'a',
  connectionsMax: 256,
  holdings: {
    models: new Map([[file.name, shard]]),
    tables: new Map(layouts.map(({ tableId }, table) => [tableId, { shard, table }])),
    mapOf: () => null,
  },
  logger: quietLogger,
  onPull(keys: number) {
    // A counter as in the process: it throws when it would go down.
    counter.inc(keys);
    pulledKeys += keys;
  },
};
const server: TcpServer = await listenForPulls(options);
afterAll(() => server.close());

const hello = (cluster = 'demo') =>
  packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, { cluster, role: 'test' });
const inspect = (requestId: number) =>
  packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { model: 'ads' });

interface Peer {
  readonly socket: Socket;
  /** Frames that came, copied. */
  readonly frames: Frame[];
  /** Resolves with the next `count` frames, rejects when the connection ends before. */
  next(count: number): Promise<readonly Frame[]>;
  /** Resolves with all frames once the server has closed. */
  readonly ended: Promise<readonly Frame[]>;
}

function dial(port = server.port): Peer {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const reader = createFrameReader();
  const frames: Frame[] = [];
  let taken = 0;
  let wake = () => {};
  socket.on('data', (chunk) => {
    reader.push(chunk, ({ bytes }) => frames.push(frameFrom(bytes)));
    wake();
  });
  // A refused peer that still writes may see a reset instead of an end.
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      resolve();
      wake();
    });
  });
  return {
    socket,
    frames,
    async next(count) {
      while (frames.length < taken + count) {
        if (socket.closed) throw new Error(`the server closed after ${frames.length} frames`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      taken += count;
      return frames.slice(taken - count, taken);
    },
    ended: closed.then(() => frames),
  };
}

/** Codes of refusals, and 'other' for other frames. */
const codesOf = (frames: readonly Frame[]) =>
  frames.map(({ header, bytes }) =>
    header.kind === frameKinds.refusal ? packedValueOf(bytes).code : 'other',
  );

async function expectStillServing(): Promise<void> {
  const peer = dial();
  peer.socket.write(hello());
  peer.socket.write(pullFrame({ table: idsTable, keys: keysOn(1, 2), requestId: 77 }));
  const [welcome, rows] = await peer.next(2);
  expect(packedValueOf(welcome.bytes)).toEqual({ cluster: 'demo', shard: 'a' });
  expect([rows.header.requestId, rowsFrom(rows).applied]).toEqual([77, [[1, 11]]]);
  peer.socket.end();
  await peer.ended;
}

test('tcp server: hello, welcome, then pulls and inspections', async () => {
  const before = pulledKeys;
  const peer = dial();
  peer.socket.write(hello());
  peer.socket.write(pullFrame({ table: idsTable, keys: keysOn(2, 3), requestId: 5 }));
  peer.socket.write(inspect(6));
  const [welcome, rows, report] = await peer.next(3);
  expect([welcome.header.kind, welcome.header.requestId]).toEqual([frameKinds.welcome, 0]);
  expect([rows.header.requestId, rowsFrom(rows).rows.length]).toEqual([5, 3]);
  expect([report.header.kind, report.header.requestId]).toEqual([frameKinds.report, 6]);
  expect(pulledKeys - before).toBe(3);
  peer.socket.destroy();
});

test('tcp server: pipelining: answers carry the id of their request, however the bytes are cut', async () => {
  const peer = dial();
  const requests = Array.from({ length: 300 }, (_, i) => {
    const keys = keysOn(i % 4, 1 + (i % 7));
    return i % 50 === 49
      ? pullFrame({ table: 99, keys, requestId: 1_000 + i })
      : pullFrame({ table: idsTable, keys, requestId: 1_000 + i });
  });
  const stream = Buffer.concat([hello(), ...requests]);
  // Cuts at every kind of place: within headers, within keys, several frames at once.
  for (let at = 0, size = 1; at < stream.length; at += size, size = (size * 7 + 3) % 251 || 1) {
    peer.socket.write(stream.subarray(at, at + size));
    if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await peer.next(1);
  const answers = await peer.next(requests.length);
  answers.forEach((frame, i) => {
    expect(frame.header.requestId).toBe(1_000 + i);
    if (i % 50 === 49) expect(codesOf([frame])).toEqual(['MILL_TABLE_UNKNOWN']);
    else {
      const { rows, applied } = rowsFrom(frame);
      expect([rows.length, applied]).toEqual([1 + (i % 7), [[i % 4, 10 + (i % 4)]]]);
      // SGD at rate 0.5 with gradient 8 has taken the wide weight from 0 to −4.
      expect(rows.every((row) => row.length === dim && row[0] === -4)).toBe(true);
    }
  });
  peer.socket.destroy();
});

test('tcp server: a peer that reads late gets every answer', async () => {
  const peer = dial();
  peer.socket.write(hello());
  await peer.next(1);
  peer.socket.pause();
  const keys = Array.from({ length: 20_000 }, (_, i) => i);
  for (let requestId = 1; requestId <= 180; requestId += 1) {
    peer.socket.write(pullFrame({ table: idsTable, keys, requestId }));
  }
  // 180 answers of 240 kB: more than the server holds unsent, so it stops reading until some are taken.
  await new Promise((resolve) => setImmediate(resolve));
  peer.socket.resume();
  const answers = await peer.next(180);
  expect(answers.map(({ header }) => header.requestId)).toEqual(Array.from({ length: 180 }, (_, i) => i + 1));
  peer.socket.destroy();
}, 20_000);

const good = () => pullFrame({ table: idsTable, keys: keysOn(0, 1) });
const changed = (frame: Uint8Array, change: (view: DataView) => void) => {
  change(new DataView(frame.buffer));
  return frame;
};

interface Refused {
  readonly title: string;
  readonly greets: boolean;
  readonly bytes: Uint8Array;
  readonly code: string;
}

const refusedCases: readonly Refused[] = [
  { title: 'no hello', greets: false, bytes: good(), code: 'MILL_FRAME_INVALID' },
  { title: 'another cluster', greets: false, bytes: hello('other'), code: 'MILL_CLUSTER_MISMATCH' },
  {
    title: 'a hello without a cluster',
    greets: false,
    bytes: packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, {}),
    code: 'MILL_CLUSTER_MISMATCH',
  },
  {
    title: 'a hello that is not MessagePack',
    greets: false,
    bytes: changed(hello(), (view) => view.setUint8(16, 0xc1)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'another protocol version',
    greets: false,
    bytes: changed(hello(), (view) => view.setUint8(5, 2)),
    code: 'MILL_PROTOCOL_VERSION',
  },
  {
    title: 'another protocol version after hello',
    greets: true,
    bytes: changed(good(), (view) => view.setUint8(5, 9)),
    code: 'MILL_PROTOCOL_VERSION',
  },
  { title: 'HTTP', greets: false, bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), code: 'MILL_FRAME_INVALID' },
  {
    title: 'another mark',
    greets: true,
    bytes: changed(good(), (view) => view.setUint8(4, 0x4e)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'a byte that must be 0',
    greets: true,
    bytes: changed(good(), (view) => view.setUint8(7, 1)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'an unknown kind',
    greets: true,
    bytes: changed(good(), (view) => view.setUint8(6, 8)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'a length that is no multiple of 4',
    greets: true,
    bytes: changed(good(), (view) => view.setUint32(0, 30, true)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'a length below the header',
    greets: true,
    bytes: changed(good(), (view) => view.setUint32(0, 12, true)),
    code: 'MILL_FRAME_INVALID',
  },
  {
    title: 'a length over the limit',
    greets: true,
    bytes: changed(good(), (view) => view.setUint32(0, frameBytesMax + 4, true)),
    code: 'MILL_FRAME_TOO_LARGE',
  },
  {
    title: 'the largest length that can be said',
    greets: true,
    bytes: changed(good(), (view) => view.setUint32(0, 0xffff_fffc, true)),
    code: 'MILL_FRAME_TOO_LARGE',
  },
];

test.each(refusedCases)(
  'tcp server: $title: a refusal by code, and the end',
  async ({ greets, bytes, code }) => {
    const peer = dial();
    if (greets) peer.socket.write(hello());
    peer.socket.write(bytes);
    const frames = await peer.ended;
    expect(codesOf(frames)).toEqual(greets ? ['other', code] : [code]);
    expect(frames.at(-1)!.header.requestId).toBe(0);
    await expectStillServing();
  },
);

test.each([0, 4, 8, 12, 20])(
  'tcp server: a pull of %d bytes behind its header is a refusal, and the process stays up',
  async (bytes) => {
    const peer = dial();
    peer.socket.write(hello());
    const short = good().slice(0, 16 + bytes);
    const padded = new Uint8Array(16 + bytes);
    padded.set(short);
    peer.socket.write(changed(padded, (view) => view.setUint32(0, padded.length, true)));
    const [, refused] = await peer.next(2);
    expect(codesOf([refused])).toEqual(['MILL_FRAME_INVALID']);
    peer.socket.destroy();
    await expectStillServing();
  },
);

test('tcp server: a second hello is no request, and the connection goes on', async () => {
  const peer = dial();
  peer.socket.write(Buffer.concat([hello(), hello(), good()]));
  const [, again, rows] = await peer.next(3);
  expect(codesOf([again, rows])).toEqual(['MILL_FRAME_INVALID', 'other']);
  peer.socket.destroy();
});

test('tcp server: a frame that is clipped and never goes on ends with its peer', async () => {
  const peer = dial();
  peer.socket.write(hello());
  await peer.next(1);
  peer.socket.end(good().slice(0, 19));
  expect(codesOf(await peer.ended)).toEqual(['other']);
  await expectStillServing();
});

test('tcp server: no bytes do any harm to the others', async () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  /** A real frame with some of its bytes changed, or clipped: gets further than random ones. */
  const bent = fc
    .tuple(
      fc.constantFrom(good(), hello(), inspect(3), pullFrame({ table: idsTable, keys: keysOn(3, 9) })),
      fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 4 }),
      fc.option(fc.nat(90)),
    )
    .map(([frame, changes, clip]) => {
      const copy = new Uint8Array(frame);
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy.slice(0, clip ?? copy.length);
    });
  const stream = fc
    .tuple(fc.boolean(), fc.array(fc.oneof(bytes, bent), { minLength: 1, maxLength: 4 }))
    .map(([greets, parts]) => Buffer.concat([...(greets ? [hello()] : []), ...parts]));
  const witness = dial();
  witness.socket.write(hello());
  await witness.next(1);
  let asked = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(stream, { minLength: 12, maxLength: 12 }), async (streams) => {
      const peers = streams.map((sent) => {
        const peer = dial();
        peer.socket.end(sent);
        return peer;
      });
      for (const frames of await Promise.all(peers.map((peer) => peer.ended))) {
        // Whatever came back is a well-formed answer: frames that could not be read would have thrown in dial().
        for (const { header } of frames) expect(header.kind).not.toBe(frameKinds.hello);
      }
      asked += 1;
      witness.socket.write(pullFrame({ table: idsTable, keys: keysOn(2, 1), requestId: asked }));
      const [answer] = await witness.next(1);
      expect([answer.header.requestId, rowsFrom(answer).rows[0][0]]).toEqual([asked, -4]);
    }),
    { numRuns: 200 },
  );
  witness.socket.destroy();
  await expectStillServing();
}, 120_000);

const helloWith = (claims: Record<string, unknown>) =>
  packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, claims);
const token = 'a token of the test';

test.each([
  ['no token', { cluster: 'demo' }, 'MILL_UNAUTHENTICATED', 'none'],
  ['another token', { cluster: 'demo', token: 'a token of another' }, 'MILL_UNAUTHENTICATED', 'another'],
  ['the beginning of it', { cluster: 'demo', token: token.slice(0, -1) }, 'MILL_UNAUTHENTICATED', 'another'],
  ['a token that is no text', { cluster: 'demo', token: [token] }, 'MILL_UNAUTHENTICATED', 'another'],
  ['no token and another cluster', { cluster: 'other' }, 'MILL_UNAUTHENTICATED', 'none'],
  ['the token and another cluster', { cluster: 'other', token }, 'MILL_CLUSTER_MISMATCH', 'other'],
])('tcp server: with a token: %s: a refusal by code, and the end', async (_title, claims, code, says) => {
  const logged: string[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line) => logged.push(line) },
  });
  const guarded = await listenForPulls({ ...options, token, logger });
  onTestFinished(() => guarded.close());
  const peer = dial(guarded.port);
  peer.socket.write(helloWith(claims));
  peer.socket.write(good());
  const frames = await peer.ended;
  expect(codesOf(frames)).toEqual([code]);
  expect(packedValueOf(frames[0].bytes).message).toContain(says);
  expect(logged.length).toBe(1);
  expect(JSON.parse(logged[0])).toMatchObject({ level: 'warn', code, msg: 'pull connection refused' });
  expect(logged[0]).not.toContain('a token of');
});

test('tcp server: with a token: who shows it is served; without one a token shown does no harm', async () => {
  const guarded = await listenForPulls({ ...options, token });
  onTestFinished(() => guarded.close());
  for (const port of [guarded.port, server.port]) {
    const peer = dial(port);
    peer.socket.write(helloWith({ cluster: 'demo', token }));
    peer.socket.write(good());
    expect(codesOf(await peer.next(2))).toEqual(['other', 'other']);
    peer.socket.end();
    await peer.ended;
  }
});

test('tcp server: a frame that stays incomplete, and a peer that says nothing, are let go', async () => {
  const ownClock = createManualClock(0);
  const one = await listenForPulls({ ...options, clock: ownClock });
  onTestFinished(() => one.close());
  const [silent, stuck, waiting] = [dial(one.port), dial(one.port), dial(one.port)];
  for (const peer of [stuck, waiting]) {
    peer.socket.write(hello());
    await peer.next(1);
  }
  // The answer to the first tells that the second, which is clipped, has come too.
  stuck.socket.write(Buffer.concat([good(), good().slice(0, 19)]));
  await stuck.next(1);
  ownClock.advanceBy(30_000);
  expect([silent, stuck, waiting].map(({ socket }) => socket.closed)).toEqual([false, false, false]);
  ownClock.advanceBy(15_000);
  expect(codesOf(await silent.ended)).toEqual(['MILL_FRAME_INVALID']);
  expect(codesOf(await stuck.ended)).toEqual(['other', 'other', 'MILL_FRAME_INVALID']);
  // One that has asked for all it wanted may stay.
  waiting.socket.write(good());
  expect(codesOf(await waiting.next(1))).toEqual(['other']);
});

test('tcp server: no more connections than its limit', async () => {
  const small = await listenForPulls({ ...options, connectionsMax: 2 });
  const first = dial(small.port);
  const second = dial(small.port);
  for (const peer of [first, second]) {
    peer.socket.write(hello());
    await peer.next(1);
  }
  const third = dial(small.port);
  third.socket.write(hello());
  expect(await third.ended).toEqual([]);
  first.socket.write(good());
  expect(codesOf(await first.next(1))).toEqual(['other']);
  await small.close();
});

test('tcp server: close: answers on their way go out, then connections end and the port is free', async () => {
  const one = await listenForPulls(options);
  const peer = dial(one.port);
  peer.socket.write(hello());
  peer.socket.write(good());
  await peer.next(2);
  await one.close();
  await peer.ended;
  const late = dial(one.port);
  expect(await late.ended).toEqual([]);
  const again = await listenForPulls({ ...options, port: one.port });
  expect(again.port).toBe(one.port);
  await again.close();
});

test('tcp server: a port that is taken is an error at start', async () => {
  const failed = await listenForPulls({ ...options, port: server.port }).catch((error: unknown) => error);
  expect([isMillraceError(failed), (failed as NodeJS.ErrnoException).code]).toEqual([false, 'EADDRINUSE']);
});
