/**
 * A whole cluster for a test, as a user gets it: `millrace up` in a process of its own on a temporary directory and free
 * ports, with nats-server, two shards, an inference node and an updater as its children. The test looks at it from outside:
 * through the public API, the processes, the shards' port and the log.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createShardConnection } from '@millrace/client';
import { frameKinds, type PartitionReport, packedFrame, packedValueOf } from '@millrace/protocol';
import { type Bus, connectNatsBus, createLogger, createTcpNetwork, systemClock } from '@millrace/runtime';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { eventually } from './eventually.ts';
import { startMillrace, textOf } from './run-millrace.ts';

export type ProcessName = 'nats-server' | 'shard-0' | 'shard-1' | 'inference' | 'updater';

/** What `cluster.json` tells. */
export interface ClusterSight {
  readonly url: string;
  readonly natsUrl: string;
  /** Of the supervisor. */
  readonly pid: number;
  readonly processes: readonly ProcessSight[];
}

export interface ProcessSight {
  readonly name: string;
  readonly pid: number | null;
  readonly restarts: number;
  readonly ready: boolean;
}

export interface StopResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
  /** Processes of the cluster that live on. */
  readonly survivors: readonly number[];
}

export interface LocalClusterFixture {
  readonly directory: string;
  /** These three are of the present run; a second start has others. */
  readonly url: string;
  readonly natsUrl: string;
  readonly client: MillraceClient;
  /** What the supervisor has said so far in the present run. */
  readonly said: string;
  sight(): Promise<ClusterSight>;
  processOf(name: ProcessName): Promise<ProcessSight>;
  /** Kills a process as a crash would; resolves at once, to a wait until the supervisor has it up again. */
  kill(name: ProcessName): Promise<{ readonly back: Promise<ProcessSight> }>;
  /** Sends a signal to a process. */
  signal(name: ProcessName, signal: NodeJS.Signals): Promise<void>;
  /** A connection of the test's own to the cluster's logs, one a run; closed when the cluster stops. */
  bus(): Promise<Bus>;
  /** What a shard holds of a model, straight from its port. */
  inspect(shard: string, model: string): Promise<readonly PartitionReport[]>;
  /** SIGTERM to the supervisor, and its end. */
  stop(): Promise<StopResult>;
  /** SIGKILL to the supervisor alone. */
  killSupervisor(): Promise<void>;
  /** Starts again on the same directory. */
  start(): Promise<void>;
  /** Stops what runs and removes the directory. */
  remove(): Promise<void>;
}

const startMsMax = 60_000;
const backMsMax = 60_000;

/** Starts a cluster and resolves once it is up. */
export async function startLocalCluster(): Promise<LocalClusterFixture> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-cluster-'));
  let run = await startRun(directory, 0);

  const fixture: LocalClusterFixture = {
    directory,
    get url() {
      return run.first.url;
    },
    get natsUrl() {
      return run.first.natsUrl;
    },
    get client() {
      return run.client;
    },
    get said() {
      return run.said();
    },
    sight: () => readSight(directory),
    processOf: async (name) => processIn(await readSight(directory), name),
    async kill(name) {
      const pid = await pidOf(directory, name);
      process.kill(pid, 'SIGKILL');
      const isBack = async () => {
        const now = processIn(await readSight(directory), name);
        if (!now.ready || now.pid === pid) throw new Error(`${name} is not back: ${run.said()}`);
        return now;
      };
      const back = eventually(isBack, { withinMs: backMsMax });
      back.catch(() => undefined);
      return { back };
    },
    async signal(name, signal) {
      process.kill(await pidOf(directory, name), signal);
    },
    bus() {
      const logger = createLogger({ service: 'test', level: 'silent' });
      run.bus ??= connectNatsBus({ servers: [run.first.natsUrl], name: 'test', logger });
      return run.bus;
    },
    inspect: (shard, model) => inspectShard(run.client, shard, model),
    stop: () => stopRun(run, directory),
    async killSupervisor() {
      await closeClients(run);
      const ended = endOf(run.child);
      process.kill(run.first.pid, 'SIGKILL');
      await ended;
    },
    async start() {
      run = await startRun(directory, run.first.pid);
    },
    async remove() {
      if (run.child.exitCode === null && run.child.signalCode === null) await stopRun(run, directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return fixture;
}

interface Run {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly first: ClusterSight;
  readonly client: MillraceClient;
  bus: Promise<Bus> | null;
  readonly killAtExit: () => void;
}

/** @param supervisorBefore process id that a killed supervisor may have left in cluster.json. */
async function startRun(directory: string, supervisorBefore: number): Promise<Run> {
  const child = startMillrace(['up', '--data', directory, '--port', '0', '--json'], {
    env: { MILL_DATA: undefined },
  });
  const said = textOf(child, 'stderr');
  textOf(child, 'stdout');
  const isUp = async () => {
    if (child.exitCode !== null) return null;
    const sight = await readSight(directory);
    if (sight.pid === supervisorBefore) throw new Error(`the cluster is not up: ${said()}`);
    return sight;
  };
  const first = await eventually(isUp, { withinMs: startMsMax });
  if (first === null) throw new Error(`the cluster ended at its start: ${said()}`);
  // A test run that is cut short leaves nothing behind; the services end by themselves with their supervisor.
  const killAtExit = () => {
    for (const pid of [first.pid, processIn(first, 'nats-server').pid]) {
      if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
  };
  process.once('exit', killAtExit);
  return { child, said, first, client: createMillraceClient({ url: first.url }), bus: null, killAtExit };
}

async function stopRun(run: Run, directory: string): Promise<StopResult> {
  await closeClients(run);
  const { pid, processes } = await readSight(directory);
  const pids = [pid, ...processes.flatMap((sight) => (sight.pid === null ? [] : [sight.pid]))];
  const startedMs = performance.now();
  const ended = endOf(run.child);
  run.child.kill('SIGTERM');
  const { code, signal } = await ended;
  process.off('exit', run.killAtExit);
  return { code, signal, tookMs: performance.now() - startedMs, survivors: pids.filter(isAlive) };
}

async function closeClients({ client, bus }: Run): Promise<void> {
  await client.close();
  await (await bus)?.close();
}

function endOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode !== null || child.signalCode !== null)
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}

async function readSight(directory: string): Promise<ClusterSight> {
  return JSON.parse(await readFile(join(directory, 'cluster.json'), 'utf8')) as ClusterSight;
}

function processIn(sight: ClusterSight, name: ProcessName): ProcessSight {
  const found = sight.processes.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the cluster has no process ${name}`);
  return found;
}

async function pidOf(directory: string, name: ProcessName): Promise<number> {
  const { pid } = processIn(await readSight(directory), name);
  if (pid === null) throw new Error(`${name} does not run`);
  return pid;
}

async function inspectShard(
  client: MillraceClient,
  shard: string,
  model: string,
): Promise<readonly PartitionReport[]> {
  const { cluster, shards } = await client.status();
  const found = shards.find(({ id }) => id === shard);
  if (found === undefined) throw new Error(`the cluster has no shard ${shard}`);
  const [host, port] = found.address.split(':');
  const connection = createShardConnection({
    network: createTcpNetwork(),
    address: { shard, host, port: Number(port) },
    cluster,
    role: 'test',
    clock: systemClock,
    requestTimeoutMs: 5_000,
  });
  try {
    let reports: readonly PartitionReport[] = [];
    const requestId = connection.nextRequestId();
    const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { model });
    await connection.request(frame, requestId, (answer) => {
      reports = packedValueOf(answer.bytes).partitions as PartitionReport[];
    });
    return reports;
  } finally {
    connection.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
