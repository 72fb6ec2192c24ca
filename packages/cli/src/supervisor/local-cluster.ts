/**
 * A whole cluster on this machine, as separate processes: nats-server, shards, inference nodes, one updater. Started in
 * the order in which they need each other, stopped in the reverse one.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { reasonFrom } from '@millrace/protocol';
import { type Clock, spawnNatsServer } from '@millrace/runtime';
import { claimDirectory, type DirectoryClaim } from './cluster-directory.ts';
import { freePorts } from './free-ports.ts';
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
  /** Inference nodes. */
  readonly inference: number;
  readonly httpHost: string;
  /** Of the first inference node; the others have the next ones. */
  readonly httpPort: number;
  /** 0 takes a free one. */
  readonly natsPort: number;
  /** Addresses under which single processes reach nats-server, by their names; all others reach it directly. */
  readonly natsVia: ReadonlyMap<string, string>;
  readonly engine: string;
  readonly clock: Clock;
  readonly watch: ProcessWatch;
  /** Told in plain words what is being done. */
  readonly say: (line: string) => void;
}

export interface LocalCluster {
  /** Of all inference nodes. */
  readonly urls: readonly [string, ...string[]];
  readonly natsUrl: string;
  readonly processes: readonly SupervisedProcess[];
  /** Drains and ends everything. */
  close(): Promise<void>;
}

const readyMsMax = 60_000;
const stopMsMax = 15_000;

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
  const { clock, say, httpHost, engine, natsVia } = options;
  const natsPort = await freePorts({ host: '127.0.0.1', first: options.natsPort, count: 1 });
  const httpPort = await freePorts({ host: httpHost, first: options.httpPort, count: options.inference });
  if (options.natsPort !== 0 && natsPort !== options.natsPort)
    say(`port ${options.natsPort} is taken, nats-server is on ${natsPort}`);
  if (options.httpPort !== 0 && httpPort !== options.httpPort)
    say(`port ${options.httpPort} is taken, using ${httpPort}`);
  const natsUrl = `nats://127.0.0.1:${natsPort}`;
  // Inference nodes have this environment too.
  const scheme = process.env.MILL_HTTP_TLS_CERT ? 'https' : 'http';
  const urlOf = (node: number) => `${scheme}://${httpHost}:${httpPort + node}`;
  const nodes = Array.from({ length: options.inference }, (_, i) => i);
  const urls = [urlOf(0), ...nodes.slice(1).map(urlOf)] as const;
  const processes: SupervisedProcess[] = [];
  const notice = noticeBoard({ urls, natsUrl, processes, claim, options });

  const supervise = (name: string, plan: Pick<ProcessPlan, 'readyBy' | 'start'>) => {
    const logFile = join(directory, 'logs', `${name}.log`);
    const supervised = superviseProcess({ name, logFile, ...plan }, notice.watch, clock);
    processes.push(supervised);
    return supervised.firstReady(readyMsMax);
  };
  const startService = (name: string, args: readonly string[], settings: Record<string, string>) => {
    const env = { ...process.env, MILL_NATS_URL: natsVia.get(name) ?? natsUrl, ...settings };
    return supervise(name, { readyBy: 'message', start: (log) => startSelf(args, env, log) });
  };
  const startNats = async () => {
    const dataDirectory = join(directory, 'nats');
    const server = { binary: options.natsServer, dataDirectory, host: '127.0.0.1', port: natsPort };
    return (await spawnNatsServer(server)).child;
  };
  const close = async () => {
    for (const group of [/^inference/, /^updater$/, /^shard-/, /^nats-server$/]) {
      const members = processes.filter(({ name }) => group.test(name));
      await Promise.all(members.map((member) => member.stop(stopMsMax)));
    }
    await claim.release();
  };

  try {
    say('starting nats-server');
    await supervise('nats-server', { readyBy: 'start', start: startNats });
    say(
      `starting ${counted(options.shards, 'shard')}, ${counted(options.inference, 'inference node')}, one updater`,
    );
    const shards = Array.from({ length: options.shards }, (_, i) =>
      startService(`shard-${i}`, ['shard'], {
        MILL_SHARD_ID: `shard-${i}`,
        MILL_SHARD_DATA: join(directory, 'shards', `shard-${i}`),
      }),
    );
    const inference = nodes.map((i) =>
      startService(inferenceName(i), ['inference'], {
        MILL_HTTP_HOST: httpHost,
        MILL_HTTP_PORT: String(httpPort + i),
        MILL_ENGINE: engine,
      }),
    );
    const updater = startService('updater', ['updater'], { MILL_UPDATER_ENGINE: engine });
    await Promise.all([...shards, ...inference, updater]);
    await notice.open();
    return { urls, natsUrl, processes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function inferenceName(node: number): string {
  return node === 0 ? 'inference' : `inference-${node}`;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `one ${noun}` : `${count} ${noun}s`;
}

interface NoticeInput {
  readonly urls: LocalCluster['urls'];
  readonly natsUrl: string;
  readonly processes: readonly SupervisedProcess[];
  readonly claim: DirectoryClaim;
  readonly options: LocalClusterOptions;
}

/** Keeps what others read of this cluster up to date, from its first being ready on. */
function noticeBoard({ urls, natsUrl, processes, claim, options }: NoticeInput) {
  let opened = false;
  const publish = () => {
    const sights = processes.map(({ name, pid = null, restarts, ready }) => ({ name, pid, restarts, ready }));
    return claim.publish({ url: urls[0], urls, natsUrl, pid: process.pid, processes: sights });
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
