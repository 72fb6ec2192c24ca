/**
 * A whole cluster on this machine, as separate processes: nats-server, shards, one inference node, one updater. Started in
 * the order in which they need each other, stopped in the reverse one.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { MillraceError } from '@millrace/protocol';
import { type Clock, spawnNatsServer } from '@millrace/runtime';
import {
  type ProcessWatch,
  type SupervisedProcess,
  startSelf,
  superviseProcess,
} from './supervised-process.ts';

export interface LocalClusterOptions {
  readonly dataDirectory: string;
  readonly natsServer: string;
  readonly shards: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly engine: string;
  readonly clock: Clock;
  readonly watch: ProcessWatch;
  /** Told in plain words what is being done. */
  readonly say: (line: string) => void;
}

export interface LocalCluster {
  readonly url: string;
  readonly natsUrl: string;
  readonly processes: readonly SupervisedProcess[];
  /** Drains and ends everything. */
  close(): Promise<void>;
}

/** What a running cluster leaves in its data directory, so that other commands find it. */
export interface ClusterAddress {
  readonly url: string;
  readonly natsUrl: string;
  readonly pid: number;
}

const readyMsMax = 60_000;
const stopMsMax = 15_000;
const addressFile = 'cluster.json';

export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const directory = resolve(options.dataDirectory);
  await mkdir(join(directory, 'logs'), { recursive: true });
  await refuseSecond(directory);
  const { clock, watch, say } = options;
  const natsPort = await freePort('127.0.0.1', 0);
  const httpPort = await freePort(options.httpHost, options.httpPort);
  if (options.httpPort !== 0 && httpPort !== options.httpPort)
    say(`port ${options.httpPort} is taken, using ${httpPort}`);
  const natsUrl = `nats://127.0.0.1:${natsPort}`;
  const url = `http://${options.httpHost}:${httpPort}`;
  const processes: SupervisedProcess[] = [];
  const logOf = (name: string) => join(directory, 'logs', `${name}.log`);

  const startService = (name: string, args: readonly string[], settings: Record<string, string>) => {
    const env = { ...process.env, MILL_NATS_URL: natsUrl, ...settings };
    const supervised = superviseProcess(
      { name, logFile: logOf(name), readyBy: 'message', start: (log) => startSelf(args, env, log) },
      watch,
      clock,
    );
    processes.push(supervised);
    return supervised.firstReady(readyMsMax);
  };

  const close = async () => {
    for (const group of [['inference'], ['updater'], undefined, ['nats-server']]) {
      const members = processes.filter(({ name }) =>
        group ? group.includes(name) : name.startsWith('shard-'),
      );
      await Promise.all(members.map((member) => member.stop(stopMsMax)));
    }
    await rm(join(directory, addressFile), { force: true });
  };

  try {
    say('starting nats-server');
    const nats = superviseProcess(
      {
        name: 'nats-server',
        logFile: logOf('nats-server'),
        readyBy: 'start',
        start: async () => {
          const dataDirectory = join(directory, 'nats');
          const server = { binary: options.natsServer, dataDirectory, host: '127.0.0.1', port: natsPort };
          return (await spawnNatsServer(server)).child;
        },
      },
      watch,
      clock,
    );
    processes.push(nats);
    await nats.firstReady(readyMsMax);
    say(`starting ${options.shards} shards, one inference node, one updater`);
    const shards = Array.from({ length: options.shards }, (_, i) =>
      startService(`shard-${i}`, ['shard'], { MILL_SHARD_ID: `shard-${i}` }),
    );
    const inference = startService('inference', ['inference'], {
      MILL_HTTP_HOST: options.httpHost,
      MILL_HTTP_PORT: String(httpPort),
      MILL_ENGINE: options.engine,
    });
    const updater = startService('updater', ['updater'], { MILL_UPDATER_ENGINE: options.engine });
    await Promise.all([...shards, inference, updater]);
    const address: ClusterAddress = { url, natsUrl, pid: process.pid };
    await writeFile(join(directory, addressFile), `${JSON.stringify(address)}\n`);
    return { url, natsUrl, processes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The cluster that runs from a data directory, null when none does. */
export async function runningClusterIn(dataDirectory: string): Promise<ClusterAddress | null> {
  const text = await readFile(join(dataDirectory, addressFile), 'utf8').catch(() => null);
  if (text === null) return null;
  const address = JSON.parse(text) as ClusterAddress;
  return isAlive(address.pid) ? address : null;
}

/** Two nats-servers on one directory would destroy it. */
async function refuseSecond(directory: string): Promise<void> {
  const running = await runningClusterIn(directory);
  if (running) {
    const message = `a cluster already runs from ${directory} (process ${running.pid}, ${running.url}); stop it, or give another --data`;
    throw new MillraceError('MILL_CONFIG_INVALID', message);
  }
  await endOrphan(join(directory, 'nats', 'nats-server.pid'));
}

/** A supervisor that was killed leaves its nats-server behind; it holds the directory and has to end first. */
async function endOrphan(pidFile: string): Promise<void> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'nats-server');
  if (!command.includes('nats-server')) return;
  process.kill(pid, 'SIGTERM');
  for (let tries = 0; tries < 100 && isAlive(pid); tries += 1)
    await new Promise((done) => setTimeout(done, 100));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `wanted` when it can be listened on, else one that the system picks. */
function freePort(host: string, wanted: number): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const probe = createServer();
    probe.once('error', (error) => (wanted === 0 ? reject(error) : resolvePort(freePort(host, 0))));
    probe.listen(wanted, host, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address ? address.port : wanted;
      probe.close(() => resolvePort(port));
    });
  });
}
