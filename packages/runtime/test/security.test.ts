import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMillraceError } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { type Environment, readConfig } from '../src/config.ts';
import { readSecurity, type Security } from '../src/security.ts';
import { securitySettings } from '../src/security-settings.ts';

const read = async (env: Environment): Promise<Security> =>
  readSecurity(readConfig(securitySettings, env), 0);

async function fileOf(content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-security-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'file'), content);
  return join(directory, 'file');
}

/** Message of a MILL_CONFIG_INVALID. */
async function faultOf(env: Environment): Promise<string> {
  const error = await read(env).catch((thrown: unknown) => thrown);
  if (!isMillraceError(error, 'MILL_CONFIG_INVALID')) throw new Error(`wanted a fault, got ${String(error)}`);
  return error.message;
}

const token = 'sixteen-letters!';

test('security: nothing is set: no token, no TLS, no credentials', async () => {
  expect(await read({})).toEqual({ tls: null, token: null, nats: {}, expiresMs: Infinity });
});

test('security: a token comes from the environment, or from a file without the blanks around it', async () => {
  expect((await read({ MILL_CLUSTER_TOKEN: token })).token).toBe(token);
  const path = await fileOf(` ${token}\r\n`);
  expect((await read({ MILL_CLUSTER_TOKEN_FILE: path })).token).toBe(token);
  expect(await faultOf({ MILL_CLUSTER_TOKEN_FILE: path, MILL_CLUSTER_TOKEN: token })).toMatch(
    /^MILL_CLUSTER_TOKEN and MILL_CLUSTER_TOKEN_FILE must not be set together/,
  );
});

test('security: a token that is short, or not one word, is told of without being told', async () => {
  const wanted = /must (be|hold) 16 to 1,024 printable characters, got another text of \d+ characters$/;
  for (const bad of ['fifteen-letters', 'two words of a token', 'ends with umlaut ä']) {
    for (const fault of [
      await faultOf({ MILL_CLUSTER_TOKEN: bad }),
      await faultOf({ MILL_CLUSTER_TOKEN_FILE: await fileOf(bad) }),
    ]) {
      expect(fault).toMatch(wanted);
      expect(fault).not.toContain(bad);
    }
  }
  expect(await faultOf({ MILL_CLUSTER_TOKEN_FILE: '/absent' })).toMatch(
    /^MILL_CLUSTER_TOKEN_FILE \(\/absent\) cannot be read: ENOENT/,
  );
});

test('security: NATS: a user with its password, a token, or a file of credentials', async () => {
  const user = { MILL_NATS_USER: 'mill' };
  const withPassword = { credentials: { kind: 'password', user: 'mill', password: 'p!' } };
  expect((await read({ ...user, MILL_NATS_PASSWORD: 'p!' })).nats).toEqual(withPassword);
  expect((await read({ ...user, MILL_NATS_PASSWORD_FILE: await fileOf('p!\n') })).nats).toEqual(withPassword);
  expect((await read({ MILL_NATS_TOKEN: 't' })).nats).toEqual({ credentials: { kind: 'token', token: 't' } });
  const creds = '-----BEGIN NATS USER JWT-----\nx\n-----BEGIN USER NKEY SEED-----\ny\n';
  expect((await read({ MILL_NATS_CREDS: await fileOf(creds) })).nats).toEqual({
    credentials: { kind: 'creds', creds },
  });
});

test('security: NATS: each fault names its setting, and no secret', async () => {
  const cases: readonly [Environment, RegExp][] = [
    [{ MILL_NATS_USER: 'mill' }, /^MILL_NATS_PASSWORD or MILL_NATS_PASSWORD_FILE must be set/],
    [{ MILL_NATS_PASSWORD: 'hunter2' }, /^MILL_NATS_USER must be set, since a password is$/],
    [{ MILL_NATS_PASSWORD: 'two words' }, /^MILL_NATS_PASSWORD must be 1 to 1,024 printable characters/],
    [
      { MILL_NATS_USER: 'mill', MILL_NATS_PASSWORD: 'hunter2', MILL_NATS_TOKEN: 'hunter2' },
      /^MILL_NATS_USER and MILL_NATS_TOKEN must not be set together/,
    ],
    [{ MILL_NATS_CREDS: '/absent' }, /^MILL_NATS_CREDS \(\/absent\) cannot be read/],
    [
      { MILL_NATS_CREDS: await fileOf('hunter2') },
      /^MILL_NATS_CREDS \(.*\) must hold a user JWT and its seed/,
    ],
    [
      { MILL_NATS_TLS_CERT: '/cert' },
      /^MILL_NATS_TLS_CERT, MILL_NATS_TLS_KEY go together; MILL_NATS_TLS_KEY must/,
    ],
    [{ MILL_NATS_TLS_CA: '/absent' }, /^MILL_NATS_TLS_CA \(\/absent\) cannot be read/],
  ];
  for (const [env, says] of cases) {
    const fault = await faultOf(env);
    expect(fault).toMatch(says);
    expect(fault).not.toMatch(/hunter2|two words/);
  }
});
