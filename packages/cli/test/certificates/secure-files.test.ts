import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeSecureFiles, type SecureFile } from '../../src/certificates/secure-files.ts';

const nowMs = Date.UTC(2030, 5, 1);
const base = { nowMs, days: 30, hosts: ['nats', '10.0.0.7', '::1'], seenAt: '/certs/', authority: null };
const contentOf = (files: readonly SecureFile[], name: string) =>
  files.find((file) => file.name === name)?.content ?? '';

test('secure files: the certificate is signed by the authority, for the hosts given', async () => {
  const files = await makeSecureFiles(base);
  const authority = new X509Certificate(contentOf(files, 'ca.pem'));
  const node = new X509Certificate(contentOf(files, 'node.pem'));
  expect([authority.ca, node.ca]).toEqual([true, false]);
  expect(node.checkIssued(authority)).toBe(true);
  expect(node.verify(authority.publicKey)).toBe(true);
  for (const host of ['millrace-shard', 'nats']) expect(node.checkHost(host)).toBe(host);
  for (const address of ['10.0.0.7', '::1']) expect(node.checkIP(address)).toBe(address);
  expect(node.checkHost('elsewhere')).toBeUndefined();
  // Server and client.
  expect(node.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect([Date.parse(node.validFrom), Date.parse(node.validTo)]).toEqual([
    nowMs - 5 * 60_000,
    nowMs + 30 * 86_400_000,
  ]);
  expect(Date.parse(authority.validTo)).toBe(nowMs + 3_650 * 86_400_000);
});

test('secure files: the settings name them all, where the processes see them, and hold no secret', async () => {
  const files = await makeSecureFiles(base);
  expect(contentOf(files, 'millrace.env').trimEnd().split('\n')).toEqual([
    'MILL_CLUSTER_TOKEN_FILE=/certs/cluster-token',
    'MILL_TLS_CA=/certs/ca.pem',
    'MILL_TLS_CERT=/certs/node.pem',
    'MILL_TLS_KEY=/certs/node-key.pem',
    'MILL_NATS_USER=millrace',
    'MILL_NATS_PASSWORD_FILE=/certs/nats-password',
    'MILL_NATS_TLS_CA=/certs/ca.pem',
    'MILL_NATS_TLS_CERT=/certs/node.pem',
    'MILL_NATS_TLS_KEY=/certs/node-key.pem',
  ]);
  expect(files.filter(({ isSecret }) => isSecret).map(({ name }) => name)).toEqual([
    'ca-key.pem',
    'node-key.pem',
    'cluster-token',
    'nats-password',
    'nats-user.conf',
  ]);
});

test('secure files: token and password are long, and new each time', async () => {
  const [first, second] = await Promise.all([makeSecureFiles(base), makeSecureFiles(base)]);
  const secrets = [first, second].flatMap((files) =>
    ['cluster-token', 'nats-password'].map((name) => contentOf(files, name)),
  );
  for (const text of secrets) expect(text).toMatch(/^[0-9a-f]{64}\n$/);
  expect(new Set(secrets).size).toBe(4);
  expect(contentOf(first, 'nats-user.conf')).toContain(contentOf(first, 'nats-password').trim());
});

test('secure files: a renewed certificate is of the same authority, and nothing else is made', async () => {
  const files = await makeSecureFiles(base);
  const authority = { certificate: contentOf(files, 'ca.pem'), key: contentOf(files, 'ca-key.pem') };
  const renewed = await makeSecureFiles({ ...base, authority, nowMs: nowMs + 86_400_000 });
  expect(renewed.map(({ name }) => name)).toEqual(['node.pem', 'node-key.pem']);
  const node = new X509Certificate(contentOf(renewed, 'node.pem'));
  expect(node.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
  expect(Date.parse(node.validTo)).toBe(nowMs + 31 * 86_400_000);
});
