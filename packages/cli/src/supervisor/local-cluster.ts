/**
 * A whole cluster on this machine, as separate processes: nats-server, shards, one inference node, one updater. Started in
 * the order in which they need each other, stopped in the reverse one.
 */
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Clock, spawnNatsServer } from '@millrace/runtime';
import { claimDirectory, type DirectoryClaim } from './cluster-directory.ts';
import {
  type ProcessPlan,
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

const readyMsMax = 60_000;
const stopMsMax = 15_000;
/** Below the ports that systems give to outgoing connections (32,768 on Linux, 49,152 elsewhere). */
const portMin = 15_000;
const portMax = 30_000;
const portTriesMax = 50;

export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const directory = resolve(options.dataDirectory);
  await mkdir(join(directory, 'logs'), { recursive: true });
  const claim = await claimDirectory(directory);
  try {
    return await startProcesses(options, directory, claim);
  } catch (error) {
    await claim.release();
    throw error;
  }
}

async function startProcesses(
  options: LocalClusterOptions,
  directory: string,
  claim: DirectoryClaim,
): Promise<LocalCluster> {
  const { clock, say, httpHost, engine } = options;
  const natsPort = await freePort('127.0.0.1', 0);
  const httpPort = await freePort(httpHost, options.httpPort);
  if (options.httpPort !== 0 && httpPort !== options.httpPort)
    say(`port ${options.httpPort} is taken, using ${httpPort}`);
  const natsUrl = `nats://127.0.0.1:${natsPort}`;
  const url = `http://${httpHost}:${httpPort}`;
  const processes: SupervisedProcess[] = [];
  const notice = noticeBoard({ url, natsUrl, processes, claim, options });

  const supervise = (name: string, plan: Pick<ProcessPlan, 'readyBy' | 'start'>) => {
    const logFile = join(directory, 'logs', `${name}.log`);
    const supervised = superviseProcess({ name, logFile, ...plan }, notice.watch, clock);
    processes.push(supervised);
    return supervised.firstReady(readyMsMax);
  };
  const startService = (name: string, args: readonly string[], settings: Record<string, string>) => {
    const env = { ...process.env, MILL_NATS_URL: natsUrl, ...settings };
    return supervise(name, { readyBy: 'message', start: (log) => startSelf(args, env, log) });
  };
  const startNats = async () => {
    const dataDirectory = join(directory, 'nats');
    const server = { binary: options.natsServer, dataDirectory, host: '127.0.0.1', port: natsPort };
    return (await spawnNatsServer(server)).child;
  };
  const close = async () => {
    for (const group of [['inference'], ['updater'], undefined, ['nats-server']]) {
      const members = processes.filter(({ name }) =>
        group ? group.includes(name) : name.startsWith('shard-'),
      );
      await Promise.all(members.map((member) => member.stop(stopMsMax)));
    }
    await claim.release();
  };

  try {
    say('starting nats-server');
    await supervise('nats-server', { readyBy: 'start', start: startNats });
    say(`starting ${options.shards} shards, one inference node, one updater`);
    const shards = Array.from({ length: options.shards }, (_, i) =>
      startService(`shard-${i}`, ['shard'], { MILL_SHARD_ID: `shard-${i}` }),
    );
    const inference = startService('inference', ['inference'], {
      MILL_HTTP_HOST: httpHost,
      MILL_HTTP_PORT: String(httpPort),
      MILL_ENGINE: engine,
    });
    const updater = startService('updater', ['updater'], { MILL_UPDATER_ENGINE: engine });
    await Promise.all([...shards, inference, updater]);
    await notice.open();
    return { url, natsUrl, processes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface NoticeInput {
  readonly url: string;
  readonly natsUrl: string;
  readonly processes: readonly SupervisedProcess[];
  readonly claim: DirectoryClaim;
  readonly options: LocalClusterOptions;
}

/** Keeps what others read of this cluster up to date, from its first being ready on. */
function noticeBoard({ url, natsUrl, processes, claim, options }: NoticeInput) {
  let opened = false;
  const publish = () => {
    const sights = processes.map(({ name, pid = null, restarts, ready }) => ({ name, pid, restarts, ready }));
    return claim.publish({ url, natsUrl, pid: process.pid, processes: sights });
  };
  const publishChange = () => {
    if (!opened) return;
    publish().catch((error: unknown) => options.say(`cluster.json not written: ${reasonFrom(error)}`));
  };
  const watch: ProcessWatch = {
    onDeath(name, reason, pauseMs) {
      options.watch.onDeath(name, reason, pauseMs);
      publishChange();
    },
    onReady(name, restarts) {
      options.watch.onReady(name, restarts);
      publishChange();
    },
  };
  return {
    watch,
    open() {
      opened = true;
      return publish();
    },
  };
}

/**
 * `wanted` when it can be listened on, else another. A process that restarts needs its port again, so one is taken that no
 * outgoing connection can be given meanwhile: a client that tries to reach a dead server could even meet itself there.
 */
async function freePort(host: string, wanted: number): Promise<number> {
  if (wanted !== 0 && (await isFree(host, wanted))) return wanted;
  for (let tries = 0; tries < portTriesMax; tries += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (await isFree(host, port)) return port;
  }
  throw new MillraceError(
    'MILL_CONFIG_INVALID',
    `no port of ${host} between ${portMin} and ${portMax} can be listened on`,
  );
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolveFree) => {
    const probe = createServer();
    probe.once('error', () => resolveFree(false));
    probe.listen(port, host, () => probe.close(() => resolveFree(true)));
  });
}
