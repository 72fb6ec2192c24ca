/** The search for nats-server: what needs no network. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  assertChecksum,
  assetFor,
  candidatesFrom,
  findNatsServer,
  installRelease,
  isVersionEnough,
  release,
} from '../scripts/nats-server.mjs';

const run = promisify(execFile);
const say = () => undefined;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mill-script-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test.for([
  ['linux', 'x64', 'linux-amd64'],
  ['linux', 'arm64', 'linux-arm64'],
])('nats-server script: asset: %s %s', ([platform, architecture, target]) => {
  const name = `nats-server-v${release.version}-${target}`;
  expect(assetFor(platform!, architecture!)).toEqual({
    name,
    url: `https://github.com/nats-io/nats-server/releases/download/v${release.version}/${name}.tar.gz`,
    sha256: release.sha256[target!],
  });
});

test('nats-server script: asset: none where no checksum is known', () => {
  expect([assetFor('darwin', 'arm64'), assetFor('linux', 'ia32'), assetFor('win32', 'x64')]).toEqual([
    null,
    null,
    null,
  ]);
});

test('nats-server script: pins: a final release, and whole SHA-256 sums', () => {
  expect(release.version).toMatch(/^\d+\.\d+\.\d+$/);
  for (const sum of Object.values(release.sha256)) expect(sum).toMatch(/^[0-9a-f]{64}$/);
});

test('nats-server script: version: 2.9 and newer are enough', () => {
  const versions = ['2.8.4', '2.9.10', '2.10.0', '3.0.0', '1.99.0'];
  expect(versions.map((version) => isVersionEnough(version))).toEqual([false, true, true, true, false]);
});

test('nats-server script: candidates: PATH first, then the usual places, then the own copy, each once', () => {
  const candidates = candidatesFrom('/usr/local/bin::/home/x/bin:/usr/sbin', '/project/.millrace/bin');
  expect(candidates.slice(0, 3)).toEqual([
    '/usr/local/bin/nats-server',
    '/home/x/bin/nats-server',
    '/usr/sbin/nats-server',
  ]);
  expect(candidates.at(-1)).toBe('/project/.millrace/bin/nats-server');
  expect(new Set(candidates).size).toBe(candidates.length);
});

test('nats-server script: checksum: of "abc", right and wrong', async () => {
  const file = join(directory, 'abc');
  await writeFile(file, 'abc');
  const right = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  await assertChecksum(file, right);
  await expect(assertChecksum(file, right.replace('b', 'c'))).rejects.toThrow(/checksum must be/);
});

test('nats-server script: setting: the path in MILL_NATS_SERVER wins', async () => {
  const path = await fakeServer(join(directory, 'mine'), '2.11.0');
  expect(await findNatsServer({ say, env: { MILL_NATS_SERVER: path, PATH: '/usr/sbin' } })).toBe(path);
});

test('nats-server script: setting: a path that does not run, or is too old, is said so', async () => {
  const missing = findNatsServer({ say, env: { MILL_NATS_SERVER: join(directory, 'none') } });
  await expect(missing).rejects.toThrow(/MILL_NATS_SERVER must be .* which does not run\.$/);
  const path = await fakeServer(join(directory, 'old'), '2.8.4');
  const old = findNatsServer({ say, env: { MILL_NATS_SERVER: path } });
  await expect(old).rejects.toThrow(/which is version 2\.8\.4\.$/);
});

test('nats-server script: search: one that is too old is passed over, and said so', async () => {
  await fakeServer(join(directory, 'old', 'nats-server'), '2.7.0');
  const path = await fakeServer(join(directory, 'new', 'nats-server'), '2.9.10');
  const lines: string[] = [];
  const found = await findNatsServer({
    say: (line) => lines.push(line),
    env: { PATH: `${join(directory, 'old')}:${join(directory, 'new')}` },
    allowInstall: false,
  });
  expect(found).toBe(path);
  expect(lines).toEqual([
    `${join(directory, 'old', 'nats-server')} is version 2.7.0; 2.9 or newer is needed`,
  ]);
});

test('nats-server script: release: an archive with the right checksum is unpacked, and nothing else stays', async () => {
  const { asset, close } = await servedArchive('2.11.17');
  const goal = join(directory, 'bin');
  const path = await installRelease(asset, goal);
  await close();
  expect(path).toBe(join(goal, 'nats-server'));
  expect(await readdir(goal)).toEqual(['nats-server']);
  expect((await run(path, ['--version'])).stdout).toContain('v2.11.17');
});

test('nats-server script: release: a wrong checksum refuses and leaves nothing behind', async () => {
  const { asset, close } = await servedArchive('2.11.17');
  const goal = join(directory, 'bin');
  const wrong = { ...asset, sha256: '0'.repeat(64) };
  await expect(installRelease(wrong, goal)).rejects.toThrow(/checksum must be 0+, got [0-9a-f]{64}/);
  await close();
  expect(await readdir(goal)).toEqual([]);
});

test('nats-server script: release: an address that has nothing refuses and leaves nothing behind', async () => {
  const { asset, close } = await servedArchive('2.11.17');
  const goal = join(directory, 'bin');
  await expect(installRelease({ ...asset, url: `${asset.url}.none` }, goal)).rejects.toThrow(/answered 404/);
  await close();
  expect(await readdir(goal)).toEqual([]);
});

test('nats-server script: command: prints the path alone', async () => {
  const path = await fakeServer(join(directory, 'nats-server'), '2.9.10');
  const script = new URL('../scripts/nats-server.mjs', import.meta.url).pathname;
  const { stdout } = await run(process.execPath, [script], { env: { MILL_NATS_SERVER: path } });
  expect(stdout).toBe(`${path}\n`);
});

async function fakeServer(path: string, version: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

/** An archive like the official one, with a script in place of the server, served on this machine. */
async function servedArchive(version: string) {
  const name = `nats-server-v${version}-linux-amd64`;
  await fakeServer(join(directory, 'archive', name, 'nats-server'), version);
  const archive = join(directory, `${name}.tar.gz`);
  await run('tar', ['-czf', archive, '-C', join(directory, 'archive'), name]);
  const bytes = await readFile(archive);
  const server: Server = createServer((request, response) => {
    if (request.url === `/${name}.tar.gz`) response.end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    asset: {
      name,
      url: `http://127.0.0.1:${port}/${name}.tar.gz`,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
