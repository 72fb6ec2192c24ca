import { encodeGradientBlock } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createNatsLink, type NatsLink } from '../../src/simulation/nats-link.ts';
import { createProcessBus } from '../../src/simulation/process-bus.ts';
import { createSimulatedNats } from '../../src/simulation/simulated-nats.ts';
import type { Weather } from '../../src/simulation/weather.ts';
import type { World } from '../../src/simulation/world.ts';
import { fairWeather, smallProcess, smallWorld } from './small-world.ts';

const subject = 'mill.gradients.m.0';
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function open(weather: Weather = fairWeather(), world: World = smallWorld()) {
  const nats = createSimulatedNats(world);
  const process = smallProcess(world, 'a');
  const link: NatsLink = createNatsLink(process, weather);
  const bus: Bus = createProcessBus(link, nats);
  /** The outcome of a promise after some virtual time. */
  const after = async <T>(ms: number, promise: Promise<T>): Promise<T | string> => {
    let outcome: T | string = 'nothing yet';
    promise.then(
      (value) => {
        outcome = value;
      },
      (error: { code?: string }) => {
        outcome = String(error.code);
      },
    );
    await world.runUntil(world.nowMs + ms);
    return outcome;
  };
  return { world, nats, process, link, bus, after };
}

test('process bus: overlapping appends are stored in order and answered, late', async () => {
  const { bus, after, nats } = open();
  const both = Promise.all([
    bus.append('gradients', subject, bytesOf('a')),
    bus.append('gradients', subject, bytesOf('b')),
  ]);
  expect(await after(0, both)).toBe('nothing yet');
  expect(await after(50, both)).toEqual([1, 2]);
  expect(nats.subject('gradients', subject).messages.map(({ payload }) => textOf(payload))).toEqual([
    'a',
    'b',
  ]);
});

test('process bus: an append on its way over a cut connection fails; a reader goes on after the cut where it was', async () => {
  const { bus, after, nats, link } = open();
  const read: number[] = [];
  const reading = bus.read('gradients', {
    subject,
    from: 1,
    onMessage: ({ sequence }) => void read.push(sequence),
    onError: () => undefined,
  });
  await after(50, reading);
  nats.append('gradients', subject, bytesOf('a'), undefined);
  await after(50, reading);
  expect(read).toEqual([1]);
  const append = bus.append('gradients', subject, bytesOf('lost'));
  link.cut();
  expect(await after(6_000, append)).toBe('MILL_LOG_UNAVAILABLE');
  expect(bus.connected).toBe(false);
  nats.append('gradients', subject, bytesOf('b'), undefined);
  nats.append('gradients', subject, bytesOf('c'), undefined);
  expect(read).toEqual([1]);
  link.heal();
  await after(2_000, reading);
  expect(read).toEqual([1, 2, 3]);
});

test('process bus: a block is passed over once, comes to whoever looks again, and in the end by itself', async () => {
  const { bus, after, nats } = open(fairWeather({ skipped: 1 }));
  for (const sequence of [1, 2, 3]) {
    const chain = {
      producer: 'p',
      sequence,
      previous: sequence - 1,
      model: 'm',
      fingerprint: 1,
      partition: 0,
    };
    nats.append('gradients', subject, encodeGradientBlock({ ...chain, timeMs: 0, sections: [] }), undefined);
  }
  const look = async (ms: number) => {
    const read: number[] = [];
    const reader = await after(
      ms,
      bus.read('gradients', {
        subject,
        from: 1,
        onMessage: ({ sequence }) => void read.push(sequence),
        onError: () => undefined,
      }),
    );
    await after(100, (reader as { close(): Promise<void> }).close());
    return read;
  };
  expect(await look(100)).toEqual([2, 3]);
  expect(await look(100)).toEqual([1, 3]);
  expect(await look(4_000)).toEqual([1, 2, 3]);
  const fresh = open(fairWeather({ skipped: 1 }));
  fresh.nats.append('gradients', subject, bytesOf('no block'), undefined);
  fresh.nats.append('gradients', subject, bytesOf('nor this'), undefined);
  const read: number[] = [];
  const options = { subject, from: 1, onError: () => undefined };
  const reading = fresh.bus.read('gradients', {
    ...options,
    onMessage: ({ sequence }) => void read.push(sequence),
  });
  await fresh.after(4_000, reading);
  // What follows does not build on what was missed, which thus comes first.
  expect(read).toEqual([1, 2]);
});

test('process bus: a write whose answer is lost is stored all the same; a refused one is not', async () => {
  const unanswered = open(fairWeather({ unanswered: 1 }));
  expect(await unanswered.after(100, unanswered.bus.append('gradients', subject, bytesOf('a')))).toBe(
    'MILL_LOG_UNAVAILABLE',
  );
  expect(unanswered.nats.headOf('gradients', subject)).toBe(1);
  const refused = open(fairWeather({ refused: 1 }));
  expect(await refused.after(100, refused.bus.append('gradients', subject, bytesOf('a')))).toBe(
    'MILL_LOG_UNAVAILABLE',
  );
  expect(refused.nats.headOf('gradients', subject)).toBe(0);
});

test('process bus: compare-and-set has one winner; a watch gives what is there, then changes', async () => {
  const { bus, after } = open();
  const kv = await bus.kv('maps');
  const first = kv.putIf('m', bytesOf('1'), 0);
  const second = kv.putIf('m', bytesOf('2'), 0);
  expect(await after(100, Promise.all([first, second]))).toEqual([1, null]);
  const seen: string[] = [];
  await after(
    100,
    kv.watch(
      (change) => void seen.push(change.kind === 'put' ? textOf(change.entry.value) : `gone ${change.key}`),
    ),
  );
  expect(seen).toEqual(['1']);
  await after(100, kv.put('m', bytesOf('3')));
  await after(100, kv.delete('m'));
  expect(seen).toEqual(['1', '3', 'gone m']);
});

test('process bus: the newest message outlives a trim, and reading begins with what is left', async () => {
  const { bus, after, nats } = open();
  for (const text of ['a', 'b', 'c']) nats.append('gradients', subject, bytesOf(text), undefined);
  await after(50, bus.trim('gradients', subject, 3));
  const read: number[] = [];
  await after(
    50,
    bus.read('gradients', {
      subject,
      from: 1,
      onMessage: ({ sequence }) => void read.push(sequence),
      onError: () => undefined,
    }),
  );
  expect(read).toEqual([3]);
  await after(50, bus.trim('gradients', subject, 100));
  expect(nats.headOf('gradients', subject)).toBe(3);
});
