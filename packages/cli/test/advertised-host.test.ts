import { hostname, networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { advertisedHost } from '../src/advertised-host.ts';

const external = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4');

test('advertised host: one address listened on: it is that one', async () => {
  expect(await advertisedHost({ host: '10.1.2.3', natsUrls: ['nats://127.0.0.1:4222'] })).toBe('10.1.2.3');
});

test('advertised host: every address listened on and NATS on this machine: its host name', async () => {
  for (const natsUrl of ['nats://127.0.0.1:4222', '127.0.0.1', 'nats://[::1]:4222']) {
    expect(await advertisedHost({ host: '0.0.0.0', natsUrls: [natsUrl] }), natsUrl).toBe(hostname());
  }
});

// Skipped on a machine that no other could reach: one that has only its loopback address.
test.skipIf(external === undefined)(
  'advertised host: every address listened on: the one from which NATS is reached, the first that can be looked up',
  async () => {
    const { address } = external!;
    // To reach one of its own addresses, a machine uses that very address.
    const natsUrls = ['nats://no name', `nats://${address}:4222`];
    expect(await advertisedHost({ host: '0.0.0.0', natsUrls })).toBe(address);
    expect(await advertisedHost({ host: '::', natsUrls: [address] })).toBe(address);
  },
);
