import { messageBytesMax } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { natsConfigFrom } from '../src/nats-process.ts';

const options = {
  binary: 'nats-server',
  dataDirectory: '/a dir/with "quotes"',
  host: '127.0.0.1',
  port: 4_222,
};

test('nats process: configuration: paths are quoted, JetStream is on, and every message of ours fits', () => {
  const text = natsConfigFrom(options, 'mill-1', '/x.log');
  expect(text).toContain('store_dir: "/a dir/with \\"quotes\\"/jetstream"');
  expect(text).toContain('server_name: "mill-1"');
  expect(text).toContain('port: 4222');
  expect(text).not.toContain('client_advertise');
  const megabytes = Number(/max_payload: (\d+)MB/.exec(text)?.[1]);
  expect(megabytes * 1024 * 1024).toBeGreaterThan(messageBytesMax);
});

test('nats process: configuration: an advertised address and a storage limit are written', () => {
  const more = { ...options, clientAdvertise: 'nats.internal:4222', storageBytesMax: 1_000_000 };
  const text = natsConfigFrom(more, 'mill-1', '/x.log');
  expect(text).toContain('client_advertise: "nats.internal:4222"');
  expect(text).toContain('max_file_store: 1000000');
});

test('nats process: configuration: a server of a cluster knows its name, its port and its peers', () => {
  const cluster = { name: 'mill', port: 6_222, routes: ['nats://a:6222', 'nats://b:6222'] };
  const text = natsConfigFrom({ ...options, cluster }, 'mill-1', '/x.log');
  expect(text).toMatch(
    /cluster \{\n {2}name: "mill"\n {2}host: "127.0.0.1"\n {2}port: 6222\n {2}routes: \["nats:\/\/a:6222","nats:\/\/b:6222"\]\n\}\n$/,
  );
  expect(natsConfigFrom(options, 'mill-1', '/x.log')).not.toContain('cluster');
});
