import { frameKinds, packedFrame, packedValueOf } from '@millrace/protocol';
import { createManualClock, createTcpNetwork, type ManualClock } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createShardConnection, type ShardConnection } from '../src/shard-connection.ts';
import { type ScriptedShard, scriptShard } from './scripted-shard.ts';

const requestTimeoutMs = 400;

interface Stage {
  readonly clock: ManualClock;
  readonly connection: ShardConnection;
  /** Sends a request that says `n`; resolves to what the answer says. */
  ask(n: number): Promise<unknown>;
}

function connectTo(port: number): Stage {
  const clock = createManualClock(0);
  const connection = createShardConnection({
    network: createTcpNetwork(),
    address: { shard: 's', host: '127.0.0.1', port },
    cluster: 'demo',
    role: 'test',
    clock,
    requestTimeoutMs,
  });
  onTestFinished(() => connection.close());
  return {
    clock,
    connection,
    async ask(n) {
      const requestId = connection.nextRequestId();
      const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { n });
      let said: unknown;
      await connection.request(frame, requestId, (answer) => {
        said = packedValueOf(answer.bytes).said;
      });
      return said;
    },
  };
}

/** Answers `n` times ten. */
const timesTen = (frame: { header: { requestId: number }; bytes: Uint8Array }) => {
  const { n } = packedValueOf(frame.bytes);
  const options = { requestId: frame.header.requestId, epoch: 0 };
  return packedFrame(frameKinds.report, options, { said: 10 * (n as number) });
};

const refusal = (requestId: number, code: string) =>
  packedFrame(frameKinds.refusal, { requestId, epoch: 0 }, { code, message: `refused ${requestId}` });

/** Lets sockets and promises go on until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('shard connection: requests go out on one connection and come back', async () => {
  const shard = await scriptShard(timesTen);
  const { ask } = connectTo(shard.port);
  expect(await Promise.all([ask(1), ask(2), ask(3)])).toEqual([10, 20, 30]);
  expect(await ask(4)).toBe(40);
  expect(shard.connections).toBe(1);
});

test('shard connection: answers are matched by id, in whatever order they come', async () => {
  const shard: ScriptedShard = await scriptShard();
  const { ask } = connectTo(shard.port);
  const answers = [ask(1), ask(2), ask(3)];
  await shard.untilAsked(3);
  for (const i of [2, 0, 1]) shard.send(timesTen(shard.asked[i]));
  expect(await Promise.all(answers)).toEqual([10, 20, 30]);
});

test('shard connection: a refusal is the error of its request alone', async () => {
  const shard = await scriptShard((frame) => {
    const isSecond = packedValueOf(frame.bytes).n === 2;
    return isSecond ? refusal(frame.header.requestId, 'MILL_NOT_READY') : timesTen(frame);
  });
  const { ask } = connectTo(shard.port);
  const [first, second, third] = await Promise.allSettled([ask(1), ask(2), ask(3)]);
  expect([first, third]).toEqual([
    { status: 'fulfilled', value: 10 },
    { status: 'fulfilled', value: 30 },
  ]);
  expect(second).toMatchObject({
    status: 'rejected',
    reason: { code: 'MILL_NOT_READY', message: 'refused 2' },
  });
});

test('shard connection: what a reader of an answer throws is the error of its request alone', async () => {
  const shard = await scriptShard(timesTen);
  const { ask, connection } = connectTo(shard.port);
  const requestId = connection.nextRequestId();
  const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { n: 1 });
  const bad = connection.request(frame, requestId, () => {
    throw new TypeError('cannot read it');
  });
  const good = ask(2);
  await expect(bad).rejects.toThrow('cannot read it');
  expect(await good).toBe(20);
  expect(shard.connections).toBe(1);
});

test('shard connection: when it breaks, all that waits fails at once', async () => {
  const shard = await scriptShard();
  const { ask } = connectTo(shard.port);
  const waiting = Promise.allSettled([ask(1), ask(2), ask(3)]);
  await shard.untilAsked(3);
  shard.drop();
  for (const outcome of await waiting) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'MILL_SHARD_UNAVAILABLE' } });
  }
});

test.each([
  ['a refusal of the connection', () => refusal(0, 'MILL_FRAME_INVALID'), /refused 0/],
  ['bytes that are no frame', () => new Uint8Array(64).fill(7), /wanted a Millrace frame/],
])('shard connection: %s ends it, with the reason', async (_title, bytes, reason) => {
  const shard = await scriptShard();
  const { ask } = connectTo(shard.port);
  const waiting = ask(1);
  waiting.catch(() => {});
  await shard.untilAsked(1);
  shard.send(bytes());
  await expect(waiting).rejects.toMatchObject({
    code: 'MILL_SHARD_UNAVAILABLE',
    message: expect.stringMatching(reason),
  });
});

test.each(['MILL_UNAUTHENTICATED', 'MILL_TLS_REQUIRED', 'MILL_CLUSTER_MISMATCH', 'MILL_PROTOCOL_VERSION'])(
  'shard connection: %s is told by its code, and no connection is tried for 5 s',
  async (code) => {
    const shard = await scriptShard();
    const { ask, clock, connection } = connectTo(shard.port);
    const told = { code, message: `shard s at 127.0.0.1:${shard.port} refuses this client: refused 0` };
    const waiting = Promise.allSettled([ask(1), ask(2)]);
    await shard.untilAsked(2);
    shard.send(refusal(0, code));
    for (const outcome of await waiting) expect(outcome).toMatchObject({ status: 'rejected', reason: told });
    clock.advanceBy(4_999);
    expect(connection.pausing).toBe(true);
    await expect(ask(3)).rejects.toMatchObject(told);
    expect(shard.connections).toBe(1);
    clock.advanceBy(1);
    const again = ask(4);
    await shard.untilAsked(3);
    shard.send(timesTen(shard.asked[2]));
    expect(await again).toBe(40);
    expect(shard.connections).toBe(2);
  },
);

test('shard connection: after a break it waits before it connects anew, twice as long each time, at most a second', async () => {
  const shard = await scriptShard();
  const { port } = shard;
  await shard.close();
  const { ask, clock, connection } = connectTo(port);
  const refuses = () => expect(ask(1)).rejects.toMatchObject({ code: 'MILL_SHARD_UNAVAILABLE' });
  for (const pauseMs of [50, 100, 200, 400, 800, 1_000, 1_000]) {
    expect(connection.pausing).toBe(false);
    await refuses();
    expect(connection.pausing).toBe(true);
    clock.advanceBy(pauseMs - 1);
    expect(connection.pausing).toBe(true);
    // Fails without a try: nothing was sent, so the pause is not made longer.
    await refuses();
    clock.advanceBy(1);
  }
});

test('shard connection: a welcome makes the next pause short again', async () => {
  const shard = await scriptShard((frame, socket) => {
    if (packedValueOf(frame.bytes).n !== 0) return timesTen(frame);
    socket.destroy();
    return undefined;
  });
  const { ask, clock, connection } = connectTo(shard.port);
  for (let round = 0; round < 4; round += 1) {
    expect(await ask(3)).toBe(30);
    await expect(ask(0)).rejects.toMatchObject({ code: 'MILL_SHARD_UNAVAILABLE' });
    expect(connection.pausing).toBe(true);
    clock.advanceBy(50);
    expect(connection.pausing).toBe(false);
  }
  expect(shard.connections).toBe(4);
});

test('shard connection: a request without an answer times out, and its late answer is dropped', async () => {
  const shard = await scriptShard();
  const { ask, clock } = connectTo(shard.port);
  const slow = ask(1);
  slow.catch(() => {});
  await shard.untilAsked(1);
  clock.advanceBy(requestTimeoutMs - 1);
  const next = ask(2);
  await shard.untilAsked(2);
  // Looked at every quarter of the limit.
  clock.advanceBy(requestTimeoutMs / 4);
  await expect(slow).rejects.toMatchObject({ code: 'MILL_TIMEOUT' });
  shard.send(timesTen(shard.asked[0]));
  shard.send(timesTen(shard.asked[1]));
  expect(await next).toBe(20);
  expect(shard.connections).toBe(1);
});

test('shard connection: no timer runs while nothing waits', async () => {
  const shard = await scriptShard(timesTen);
  const { ask, clock } = connectTo(shard.port);
  await ask(1);
  clock.advanceBy(requestTimeoutMs);
  expect(clock.timersWaiting).toBe(0);
});

test('shard connection: more than 4,096 waiting requests are overload', async () => {
  const shard = await scriptShard();
  const { ask, connection } = connectTo(shard.port);
  const waiting = Array.from({ length: 4_096 }, (_, n) => ask(n));
  const outcomes = Promise.allSettled(waiting);
  await expect(ask(0)).rejects.toMatchObject({ code: 'MILL_OVERLOADED' });
  await shard.untilAsked(4_096);
  shard.send(timesTen(shard.asked[7]));
  expect(await waiting[7]).toBe(70);
  // One place is free again.
  const last = ask(9);
  last.catch(() => {});
  await shard.untilAsked(4_097);
  connection.close();
  expect((await outcomes).filter(({ status }) => status === 'rejected').length).toBe(4_095);
  await expect(last).rejects.toMatchObject({ code: 'MILL_SHARD_UNAVAILABLE' });
});

test('shard connection: close: what waits fails, and so does what comes', async () => {
  const shard = await scriptShard();
  const { ask, clock, connection } = connectTo(shard.port);
  const waiting = ask(1);
  waiting.catch(() => {});
  await shard.untilAsked(1);
  connection.close();
  await expect(waiting).rejects.toMatchObject({ code: 'MILL_SHARD_UNAVAILABLE' });
  await expect(ask(2)).rejects.toMatchObject({ code: 'MILL_SHARD_UNAVAILABLE' });
  expect(clock.timersWaiting).toBe(0);
  await until(() => shard.connections === 1);
});

test('shard connection: request ids ascend from 1', () => {
  const { connection } = connectTo(1);
  expect([connection.nextRequestId(), connection.nextRequestId(), connection.nextRequestId()]).toEqual([
    1, 2, 3,
  ]);
});
