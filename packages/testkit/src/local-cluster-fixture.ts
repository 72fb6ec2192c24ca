/**
 * A whole cluster for a test, as a user gets it: `millrace up` in a process of its own on a temporary directory and free
 * ports, with nats-server, shards, inference nodes and an updater as its children. The test looks at it from outside:
 * through the public API, the processes, the shards' port and the log.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createShardConnection } from '@millrace/client';
import { frameKinds, type PartitionReport, packedFrame, packedValueOf } from '@millrace/protocol';
import { type Bus, connectNatsBus, createLogger, createTcpNetwork, systemClock } from '@millrace/runtime';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { eventually, pause } from './eventually.ts';
import { freePort } from './nats-server.ts';
import { startMillrace, textOf } from './run-millrace.ts';
import { type Closing, openTcpDoor, type TcpDoor } from './tcp-door.ts';

export type ServiceName = `shard-${number}` | 'inference' | `inference-${number}` | 'updater';
export type ProcessName = 'nats-server' | ServiceName;

export interface LocalClusterOptions {
  /** Default 2. */
  readonly shards?: number;
  /** Inference nodes: `inference`, `inference-1`, …. Default 1. */
  readonly inference?: number;
  /** What runs the dense part. Default wasm: which one is fastest differs from run to run, and in the last bits of a score. */
  readonly engine?: string;
  /** Settings of all processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether each service has a way of its own to nats-server, which `cutOff` closes. Default `shared`. */
  readonly natsWays?: 'shared' | 'own';
}

/** What `cluster.json` tells. */
export interface ClusterSight {
  /** Of the first inference node, and of all. */
  readonly url: string;
  readonly urls: readonly string[];
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
  /** What follows is of the present run; a second start has others. */
  readonly url: string;
  readonly urls: readonly string[];
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
  /** Cuts a service off from nats-server, with natsWays `own`; resolves to what ends that. */
  cutOff(name: ServiceName, how: Closing): { readonly restore: () => void };
  /** A connection of the test's own to the cluster's logs, one a run; closed when the cluster stops. */
  bus(): Promise<Bus>;
  /** What a shard holds of a model, straight from its port. */
  inspect(shard: string, model: string): Promise<readonly PartitionReport[]>;
  /** SIGTERM to the supervisor, and its end; what has not ended within a minute is killed. */
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
/** The supervisor gives each of four groups of processes 15 s. */
const stopMsMax = 65_000;
const closeMsMax = 10_000;

/** Starts a cluster and resolves once it is up. */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalClusterFixture> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-cluster-'));
  const ways = options.natsWays === 'own' ? await openWays(servicesOf(options)) : null;
  const plan: RunPlan = { directory, args: argumentsFrom(options, ways), env: options.env ?? {}, ways };
  let run: Run;
  try {
    run = await startRun(plan, 0);
  } catch (error) {
    await closeWays(ways);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }

  const fixture: LocalClusterFixture = {
    directory,
    get url() {
      return run.first.url;
    },
    get urls() {
      return run.first.urls;
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
    cutOff(name, how) {
      const door = ways?.doors.get(name);
      if (door === undefined) throw new Error(`${name} has no way of its own to nats-server`);
      door.shut(how);
      return { restore: () => door.open() };
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
      run = await startRun(plan, run.first.pid);
    },
    async remove() {
      if (run.child.exitCode === null && run.child.signalCode === null) await stopRun(run, directory);
      await closeWays(ways);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** Ways of single services to nats-server, whose port is chosen beforehand. */
interface Ways {
  readonly natsPort: number;
  readonly doors: ReadonlyMap<ServiceName, TcpDoor>;
}

async function openWays(services: readonly ServiceName[]): Promise<Ways> {
  const natsPort = await freePort();
  const doors = new Map<ServiceName, TcpDoor>();
  for (const name of services) doors.set(name, await openTcpDoor(natsPort));
  return { natsPort, doors };
}

async function closeWays(ways: Ways | null): Promise<void> {
  for (const door of ways?.doors.values() ?? []) await door.close();
}

/** The services of a cluster, by the names that the supervisor gives them. */
export function servicesOf({ shards = 2, inference = 1 }: LocalClusterOptions): readonly ServiceName[] {
  const nodes = Array.from({ length: inference }, (_, i) =>
    i === 0 ? 'inference' : (`inference-${i}` as const),
  );
  return [...Array.from({ length: shards }, (_, i) => `shard-${i}` as const), ...nodes, 'updater'];
}

function argumentsFrom(
  { shards = 2, inference = 1, engine = 'wasm' }: LocalClusterOptions,
  ways: Ways | null,
): readonly string[] {
  const sizes = ['--shards', `${shards}`, '--inference', `${inference}`];
  const args = ['--port', '0', ...sizes, '--engine', engine, '--json'];
  if (ways === null) return args;
  const via = [...ways.doors].flatMap(([name, { port }]) => [
    '--nats-via',
    `${name}=nats://127.0.0.1:${port}`,
  ]);
  return [...args, '--nats-port', `${ways.natsPort}`, ...via];
}

interface RunPlan {
  readonly directory: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ways: Ways | null;
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
async function startRun({ directory, args, env, ways }: RunPlan, supervisorBefore: number): Promise<Run> {
  const child = startMillrace(['up', '--data', directory, ...args], {
    env: { ...env, MILL_DATA: undefined },
  });
  const said = textOf(child, 'stderr');
  textOf(child, 'stdout');
  const isUp = async () => {
    if (child.exitCode !== null) return null;
    const sight = await readSight(directory);
    if (sight.pid === supervisorBefore) throw new Error(`the cluster is not up: ${said()}`);
    return sight;
  };
  const killAtExit = () => killAll(child, directory);
  // A test run that is cut short leaves nothing behind.
  process.once('exit', killAtExit);
  try {
    const first = await eventually(isUp, { withinMs: startMsMax });
    if (first === null) throw new Error(`the cluster ended at its start: ${said()}`);
    if (ways !== null && !first.natsUrl.endsWith(`:${ways.natsPort}`))
      throw new Error(`nats-server is not on the port that its doors lead to: ${said()}`);
    const client = createMillraceClient({ url: first.urls });
    return { child, said, first, client, bus: null, killAtExit };
  } catch (error) {
    killAtExit();
    process.off('exit', killAtExit);
    throw error;
  }
}

/** Kills supervisor and processes; one that is stopped by a signal would not notice that its supervisor has gone. */
function killAll(supervisor: ChildProcess, directory: string): void {
  supervisor.kill('SIGKILL');
  for (const pid of pidsIn(directory)) {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}

/** Of the supervisor and its processes; of nats-server alone while the cluster is still starting. */
function pidsIn(directory: string): readonly number[] {
  const natsPid = join(directory, 'nats', 'nats-server.pid');
  if (!existsSync(join(directory, 'cluster.json')))
    return existsSync(natsPid) ? [Number(readFileSync(natsPid, 'utf8'))] : [];
  try {
    const sight = JSON.parse(readFileSync(join(directory, 'cluster.json'), 'utf8')) as ClusterSight;
    return [sight.pid, ...sight.processes.flatMap(({ pid }) => (pid === null ? [] : [pid]))];
  } catch {
    return [];
  }
}

async function stopRun(run: Run, directory: string): Promise<StopResult> {
  // What cannot be said goodbye to within a few seconds, such as a nats-server that hangs, is left without.
  await Promise.race([closeClients(run), pause(closeMsMax)]);
  const pids = pidsIn(directory);
  const startedMs = performance.now();
  const ended = endOf(run.child);
  run.child.kill('SIGTERM');
  const limit = setTimeout(run.killAtExit, stopMsMax);
  const { code, signal } = await ended;
  clearTimeout(limit);
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
