import { writeFile } from 'node:fs/promises';
import { readTlsIdentity } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { certifiedFiles, identityFiles } from './certified-files.ts';

test('tls files: what the command makes is an identity, and tells when it ends', async () => {
  const nowMs = Date.now();
  const { identity } = await certifiedFiles({ nowMs, days: 3 });
  const { ca, cert, key, expiresMs } = await identity();
  expect(ca).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
  expect(cert).not.toBe(ca);
  expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  // A certificate's times are whole seconds.
  expect(Math.abs(expiresMs - (nowMs + 3 * 86_400_000))).toBeLessThan(1_000);
});

test('tls files: none set is no identity', async () => {
  const nothing = identityFiles(() => '', { ca: null, cert: null, key: null });
  expect(await readTlsIdentity(nothing, 0)).toBeNull();
});

test('tls files: some of the three are not enough', async () => {
  const { path } = await certifiedFiles();
  const some = identityFiles(path, { cert: null, key: null });
  await expect(readTlsIdentity(some, Date.now())).rejects.toMatchObject({
    code: 'MILL_CONFIG_INVALID',
    message: expect.stringMatching(/MILL_TLS_CERT and MILL_TLS_KEY must be the path of a file, got nothing$/),
  });
});

test('tls files: each fault names its setting and its file', async () => {
  const files = await certifiedFiles();
  const others = await certifiedFiles();
  const { path } = files;
  await writeFile(path('text.pem'), 'a shopping list\n');
  await writeFile(path('bent.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  await writeFile(
    path('locked.pem'),
    '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n',
  );
  const cases = [
    [{ ca: path('absent.pem') }, /^MILL_TLS_CA \(.*absent\.pem\) cannot be read: ENOENT/],
    [{ ca: path('text.pem') }, /^MILL_TLS_CA \(.*text\.pem\) must hold a certificate in PEM, got none$/],
    [{ cert: path('bent.pem') }, /^MILL_TLS_CERT \(.*bent\.pem\) must hold certificates in PEM: /],
    [{ cert: path('node-key.pem') }, /^MILL_TLS_CERT \(.*node-key\.pem\) must hold a certificate in PEM/],
    [{ key: path('text.pem') }, /^MILL_TLS_KEY \(.*text\.pem\) must be a private key in PEM$/],
    [{ key: path('locked.pem') }, /^MILL_TLS_KEY \(.*locked\.pem\) must be a key without a pass phrase$/],
    [
      { key: others.path('node-key.pem') },
      /^MILL_TLS_KEY \(.*\) does not fit the certificate of MILL_TLS_CERT \(.*\)$/,
    ],
  ] as const;
  for (const [instead, says] of cases) {
    await expect(readTlsIdentity(identityFiles(path, instead), Date.now())).rejects.toMatchObject({
      code: 'MILL_CONFIG_INVALID',
      message: expect.stringMatching(says),
    });
  }
});

test('tls files: a certificate counts from its first moment to its last', async () => {
  const startMs = Date.UTC(2030, 0, 1);
  const { path } = await certifiedFiles({ nowMs: startMs, days: 10 });
  const read = (nowMs: number) => readTlsIdentity(identityFiles(path), nowMs);
  await expect(read(startMs - 6 * 60_000)).rejects.toThrow(/^MILL_TLS_CA .* is not valid before /);
  // Some minutes earlier are allowed, for clocks that are behind.
  expect(await read(startMs - 4 * 60_000)).not.toBeNull();
  expect(await read(startMs + 10 * 86_400_000 - 1_000)).not.toBeNull();
  await expect(read(startMs + 10 * 86_400_000)).rejects.toThrow(
    /^MILL_TLS_CERT .* has expired: it was valid until /,
  );
});
