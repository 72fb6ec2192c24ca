/**
 * Finds a nats-server, or gets one. In this order: the path in MILL_NATS_SERVER; PATH and the usual places; the copy in
 * `.millrace/bin`; the system's package (unpacked there with apt-get, which changes nothing else on the machine); Homebrew;
 * the official release, pinned and checked. As a command it prints the path: `node scripts/nats-server.mjs`.
 * Plain JavaScript without dependencies, since it runs before there are any.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, realpathSync } from 'node:fs';
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where a copy of the project's own goes. */
export const cacheDirectory = fileURLToPath(new URL('../.millrace/bin', import.meta.url));

/** The oldest server that has what the bus is written against. */
export const versionWanted = '2.9';

/**
 * The official release that is fetched when nothing else is there. Checksums of the archives are those that the project's
 * own container images check (nats-io/nats-docker). For macOS there are none from such a source, so it takes Homebrew.
 */
export const release = {
  version: '2.11.17',
  sha256: {
    'linux-amd64': 'ad608dd0ea8bbfa58c40e3b8f58ed67478eec26166ec49c502db8d17589b51b5',
    'linux-arm64': 'd21df24f262f34f8bf6d1f0bca557c08429e433fd9f60f6983105539ae517feb',
  },
};

/** An archive of 7 MB comes well within this on a slow line. */
const downloadMsMax = 300_000;
const packageMsMax = 300_000;
/** Directories that are often not on the PATH of a plain user. */
const usualDirectories = ['/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'];

/**
 * Absolute path of a nats-server that runs and is new enough.
 * Throws an Error whose message is one sentence that says what to do.
 */
export async function findNatsServer(options) {
  const { say, allowInstall = true, env = process.env, directory = cacheDirectory } = options;
  if (env.MILL_NATS_SERVER) return fromSetting(env.MILL_NATS_SERVER);
  const found = await firstUsable(candidatesFrom(env.PATH ?? '', directory), say);
  if (found !== null) return found;
  if (!allowInstall) throw new Error(adviceFrom([]));
  const reasons = [];
  for (const { name, get } of sources) {
    try {
      const path = await get({ say, directory });
      if (path !== null && (await versionOf(path)) !== null) return path;
    } catch (error) {
      reasons.push(`${name}: ${firstLineOf(error)}`);
    }
  }
  throw new Error(adviceFrom(reasons));
}

/** Where a nats-server may be already, best first. */
export function candidatesFrom(path, directory) {
  const directories = [
    ...path.split(delimiter).filter((part) => part !== ''),
    ...usualDirectories,
    directory,
  ];
  return [...new Set(directories.map((part) => resolve(part, 'nats-server')))];
}

/** True when `version` (`2.9.10`) is not older than `wanted` (`2.9`). */
export function isVersionEnough(version, wanted = versionWanted) {
  const [major, minor] = version.split('.').map(Number);
  const [majorWanted, minorWanted] = wanted.split('.').map(Number);
  return major > majorWanted || (major === majorWanted && minor >= minorWanted);
}

/** The archive of the pinned release for a platform as Node names it; null where no checksum is known. */
export function assetFor(platform, architecture) {
  const target = `${platform}-${architecture === 'x64' ? 'amd64' : architecture}`;
  const sha256 = release.sha256[target];
  if (sha256 === undefined) return null;
  const name = `nats-server-v${release.version}-${target}`;
  const base = 'https://github.com/nats-io/nats-server/releases/download';
  return { name, url: `${base}/v${release.version}/${name}.tar.gz`, sha256 };
}

/** Throws unless the file's SHA-256 is `sha256` (hexadecimal). */
export async function assertChecksum(file, sha256) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const found = hash.digest('hex');
  if (found !== sha256) throw new Error(`checksum must be ${sha256}, got ${found}; nothing of it was kept`);
}

/** Fetches an archive, checks it and puts its nats-server into `directory`; leaves nothing else there. */
export async function installRelease(asset, directory) {
  return unpackInto(directory, async (temporary) => {
    const archive = join(temporary, 'archive.tar.gz');
    const response = await fetch(asset.url, { signal: AbortSignal.timeout(downloadMsMax) });
    if (!response.ok || response.body === null) throw new Error(`${asset.url} answered ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(archive));
    await assertChecksum(archive, asset.sha256);
    await run('tar', ['-xzf', archive, '-C', temporary, `${asset.name}/nats-server`]);
    return join(temporary, asset.name, 'nats-server');
  });
}

const sources = [
  { name: 'apt-get', get: fromDebian },
  { name: 'Homebrew', get: fromHomebrew },
  { name: 'official release', get: fromRelease },
];

async function fromSetting(setting) {
  const path = resolve(setting);
  const version = await versionOf(path);
  if (version !== null && isVersionEnough(version)) return path;
  const found = version === null ? 'which does not run' : `which is version ${version}`;
  throw new Error(
    `MILL_NATS_SERVER must be the path of a nats-server ${versionWanted} or newer, got "${setting}", ${found}.`,
  );
}

async function firstUsable(candidates, say) {
  for (const path of candidates) {
    const version = await versionOf(path);
    if (version === null) continue;
    if (isVersionEnough(version)) return path;
    say(`${path} is version ${version}; ${versionWanted} or newer is needed`);
  }
  return null;
}

/** The package is fetched and unpacked rather than installed: installing would start a server on port 4222. */
async function fromDebian({ say, directory }) {
  if (process.platform !== 'linux' || !hasCommand('apt-get') || !hasCommand('dpkg-deb')) return null;
  say('fetching nats-server with apt-get');
  return unpackInto(directory, async (temporary) => {
    await downloadPackage(temporary).catch(async (error) => {
      await updatePackageLists(error);
      await downloadPackage(temporary);
    });
    const archive = (await readdir(temporary)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get fetched no package');
    await run('dpkg-deb', ['-x', join(temporary, archive), temporary]);
    return join(temporary, 'usr/sbin/nats-server');
  });
}

function downloadPackage(directory) {
  return run('apt-get', ['download', '-q', 'nats-server'], { cwd: directory, timeout: packageMsMax });
}

/** Needs root, or sudo without a password; without either, the reason why it was wanted stands. */
async function updatePackageLists(reason) {
  const command = ['apt-get', 'update', '-q'];
  if (process.getuid?.() !== 0) {
    await run('sudo', ['-n', 'true']).catch(() => {
      throw reason;
    });
    command.unshift('sudo', '-n');
  }
  await run(command[0], command.slice(1), { timeout: packageMsMax });
}

async function fromHomebrew({ say }) {
  if (!hasCommand('brew')) return null;
  say('installing nats-server with Homebrew');
  await run('brew', ['install', '--quiet', 'nats-server'], { timeout: 2 * packageMsMax });
  const { stdout } = await run('brew', ['--prefix', 'nats-server']);
  return join(stdout.trim(), 'bin', 'nats-server');
}

async function fromRelease({ say, directory }) {
  const asset = assetFor(process.platform, process.arch);
  if (asset === null) {
    throw new Error(`no checksum is known for ${process.platform} on ${process.arch}`);
  }
  say(`fetching nats-server ${release.version} from its releases`);
  return installRelease(asset, directory);
}

/** Runs `unpack` in a temporary directory beside the goal and moves the binary that it names into place. */
async function unpackInto(directory, unpack) {
  await mkdir(directory, { recursive: true });
  const temporary = await mkdtemp(join(directory, '.new-'));
  try {
    const binary = await unpack(temporary);
    await chmod(binary, 0o755);
    const path = join(directory, 'nats-server');
    await rename(binary, path);
    return path;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** `2.9.10`, or null when there is nothing there that runs and says its version. */
async function versionOf(path) {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

function hasCommand(name) {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((part) => part !== '');
  return directories.some((directory) => existsSync(join(directory, name)));
}

function adviceFrom(reasons) {
  const tried = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
  return (
    `No nats-server was found${reasons.length === 0 ? '' : ' or could be fetched'}${tried}: ` +
    'install it with `apt-get install nats-server` or `brew install nats-server`, ' +
    'or set MILL_NATS_SERVER to the path of one.'
  );
}

function firstLineOf(error) {
  const text = typeof error.stderr === 'string' && error.stderr.trim() !== '' ? error.stderr : error.message;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${text.trim().split('\n')[0]}${cause}`;
}

const isCommand = process.argv[1] !== undefined && existsSync(process.argv[1]);
if (isCommand && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await findNatsServer({ say: (line) => console.error(line) }));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
