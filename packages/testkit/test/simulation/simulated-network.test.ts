import type { Wire, WireEvents } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createSimulatedNetwork } from '../../src/simulation/simulated-network.ts';
import { fairWeather, smallProcess, smallWorld } from './small-world.ts';

/** An end that keeps what it reads. */
function keeper() {
  const room = new Uint8Array(7);
  const kept = { bytes: [] as number[], closed: [] as (string | null)[] };
  const events: WireEvents = {
    room: () => room,
    onFilled: (bytes) => void kept.bytes.push(...room.subarray(0, bytes)),
    onClosed: (reason) => void kept.closed.push(reason),
  };
  return { kept, events };
}

async function open(seed = 1) {
  const world = smallWorld(seed);
  const network = createSimulatedNetwork(world, fairWeather());
  const [client, shard] = [smallProcess(world, 'client'), smallProcess(world, 'shard')];
  const server = keeper();
  const ends: { wire: Wire | null } = { wire: null };
  const listening = network.of(shard).listen({
    host: 'shard',
    port: 0,
    connectionsMax: 1,
    onConnection(wire) {
      ends.wire = wire;
      return server.events;
    },
    onRefused: () => new Uint8Array(0),
    onFailed: () => undefined,
  });
  await world.runUntil(1);
  const { port } = await listening;
  const own = network.of(client);
  const near = keeper();
  const wire = own.connect({ host: 'shard', port }, near.events);
  return { world, network, client, shard, own, port, wire, near: near.kept, far: server.kept, ends };
}

const numbers = Uint8Array.from({ length: 200 }, (_, i) => i);

test.each([1, 2, 3, 4])('simulated network: bytes come in order, cut anywhere (seed %i)', async (seed) => {
  const { world, wire, far } = await open(seed);
  let sent = 0;
  const onSent = () => {
    sent += 1;
  };
  for (let at = 0; at < 200; at += 50) wire.write(numbers.subarray(at, at + 50), onSent);
  expect(far.bytes).toEqual([]);
  await world.runUntil(500);
  expect(far.bytes).toEqual([...numbers]);
  expect([sent, wire.unsentBytes]).toEqual([4, 0]);
});

test('simulated network: what is sent into a cut waits for its end; nobody hears of it meanwhile', async () => {
  const { world, network, wire, near, far } = await open(6);
  await world.runUntil(100);
  network.cut('client', 'shard');
  wire.write(numbers);
  await world.runUntil(2_000);
  expect([far.bytes, near.closed]).toEqual([[], []]);
  network.healAll();
  await world.runUntil(4_000);
  // The connection lived through it, or both sides know that it did not.
  if (near.closed.length === 0) expect(far.bytes).toEqual([...numbers]);
  else expect([near.closed, far.closed]).toEqual([['connection reset'], ['connection reset']]);
});

test('simulated network: nobody listens, one too many, one that ends in order', async () => {
  const { world, own, port, wire, near, far, ends } = await open();
  const refused = keeper();
  own.connect({ host: 'shard', port: port + 1 }, refused.events);
  await world.runUntil(100);
  expect(refused.kept.closed).toEqual(['connection refused']);
  const turnedAway = keeper();
  own.connect({ host: 'shard', port }, turnedAway.events);
  await world.runUntil(200);
  expect(turnedAway.kept.closed).toEqual(['turned away']);
  ends.wire?.end(numbers);
  await world.runUntil(400);
  expect(near.bytes).toEqual([...numbers]);
  expect([near.closed, far.closed]).toEqual([[null], [null]]);
  wire.write(numbers);
  await world.runUntil(500);
  expect(far.bytes).toEqual([]);
});

test('simulated network: a process that dies resets its connections, or is silent for good', async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 12; seed += 1) {
    const { world, wire, shard, near } = await open(seed);
    await world.runUntil(100);
    shard.kill();
    await world.runUntil(200);
    seen.add(near.closed.length === 0 ? 'silent' : String(near.closed[0]));
    if (near.closed.length > 0) continue;
    wire.write(numbers);
    await world.runUntil(20_000);
    expect(near.closed).toEqual(['the other side is silent']);
  }
  expect([...seen].sort()).toEqual(['reset by the other side', 'silent']);
});
