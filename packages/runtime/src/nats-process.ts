/**
 * Starts a nats-server of one's own: writes its configuration, starts it, and waits until it answers. The configuration is
 * what Millrace needs: JetStream on a directory, messages above the largest that Millrace sends, and room for many readers
 * that fall behind together. A server of one's own listens where it is told and, unless told otherwise, takes everyone who
 * reaches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';

export interface NatsProcessOptions {
  /** Path of nats-server. */
  readonly binary: string;
  /** Created if missing; holds the streams, the configuration and the server's log. */
  readonly dataDirectory: string;
  /** Address to listen on. */
  readonly host: string;
  readonly port: number;
  /** `host:port` that clients are told, where it differs from what the server listens on. */
  readonly clientAdvertise?: string;
  /** Bytes that all streams together may reserve. Default 64 GiB. */
  readonly storageBytesMax?: number;
  /** Name of the server, unique in a cluster and kept over restarts. Default: another one at every start. */
  readonly serverName?: string;
  /** Makes it one of the servers of a JetStream cluster. */
  readonly cluster?: NatsClusterOptions;
  /** Further lines of its configuration, such as who may connect and how. Default: none, and it takes everyone. */
  readonly access?: string;
  /** How long the server may take to answer, loading its streams included, ms. Default 60,000. */
  readonly readyMsMax?: number;
}

export interface NatsClusterOptions {
  readonly name: string;
  /** Port that the other servers of the cluster connect to, on the same host address. */
  readonly port: number;
  /** `nats://host:port` of all servers' cluster ports; its own may be among them. */
  readonly routes: readonly string[];
}

export interface NatsProcess {
  readonly child: ChildProcess;
  /** `nats://host:port` */
  readonly url: string;
  /** File that the server logs to. */
  readonly logFile: string;
}

const storageBytesMaxDefault = 64 * 1024 ** 3;
const readyMsMaxDefault = 60_000;
/** Shortest useful pause between two attempts to connect. */
const attemptMs = 20;

/**
 * Starts nats-server and resolves once it answers on its port.
 * @throws MILL_NATS_SERVER_MISSING when `binary` cannot be started, MILL_LOG_UNAVAILABLE when it ends or does not answer in
 * time; the message carries the last lines of its log.
 */
export async function spawnNatsServer(options: NatsProcessOptions): Promise<NatsProcess> {
  await mkdir(options.dataDirectory, { recursive: true });
  const serverName = options.serverName ?? `mill-${randomBytes(6).toString('hex')}`;
  const logFile = join(options.dataDirectory, 'nats-server.log');
  const configFile = join(options.dataDirectory, 'nats-server.conf');
  await writeFile(configFile, natsConfigFrom(options, serverName, logFile));
  // A signal to the whole terminal must not reach the server before its clients have drained.
  const child = spawn(options.binary, ['-c', configFile], { stdio: 'ignore', detached: true });
  try {
    await readiness(child, options, serverName);
  } catch (error) {
    child.kill('SIGKILL');
    if (error instanceof MillraceError) throw error;
    throw new MillraceError(
      'MILL_LOG_UNAVAILABLE',
      `nats-server on ${options.host}:${options.port}: ${reasonFrom(error)}${await lastLines(logFile)}`,
      { cause: error },
    );
  }
  return { child, url: `nats://${options.host}:${options.port}`, logFile };
}

/** The server's configuration file. Paths and names are JSON strings, which its syntax takes. */
export function natsConfigFrom(options: NatsProcessOptions, serverName: string, logFile: string): string {
  const text = (value: string) => JSON.stringify(value);
  const advertise =
    options.clientAdvertise === undefined ? '' : `client_advertise: ${text(options.clientAdvertise)}\n`;
  return `# Written by Millrace at every start; changes are lost.
server_name: ${text(serverName)}
host: ${text(options.host)}
port: ${options.port}
${advertise}# Above the largest message of any log (4 MiB) with its headers.
max_payload: 8MB
# Readers that catch up together are sent a batch each at once.
max_pending: 512MB
write_deadline: "30s"
log_file: ${text(logFile)}
pid_file: ${text(join(options.dataDirectory, 'nats-server.pid'))}
logfile_size_limit: 16MB
jetstream {
  store_dir: ${text(join(options.dataDirectory, 'jetstream'))}
  max_file_store: ${options.storageBytesMax ?? storageBytesMaxDefault}
  max_memory_store: 256MB
}
${clusterBlockFrom(options)}${options.access ?? ''}`;
}

function clusterBlockFrom({ cluster, host }: NatsProcessOptions): string {
  if (cluster === undefined) return '';
  return `cluster {
  name: ${JSON.stringify(cluster.name)}
  host: ${JSON.stringify(host)}
  port: ${cluster.port}
  routes: ${JSON.stringify(cluster.routes)}
}
`;
}

async function readiness(
  child: ChildProcess,
  options: NatsProcessOptions,
  serverName: string,
): Promise<void> {
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', (cause) => {
      const message = `nats-server cannot be started as ${options.binary}: ${cause.message}`;
      reject(new MillraceError('MILL_NATS_SERVER_MISSING', message, { cause }));
    });
    child.once('exit', (code, signal) => reject(new Error(`it ended at once (${signal ?? `code ${code}`})`)));
  });
  ended.catch(() => undefined);
  const msMax = options.readyMsMax ?? readyMsMaxDefault;
  const deadline = performance.now() + msMax;
  while ((await Promise.race([greetingOf(options.host, options.port), ended])) !== serverName) {
    if (performance.now() >= deadline) throw new Error(`no answer within ${msMax} ms`);
    await Promise.race([sleep(attemptMs), ended]);
  }
}

/** Name of the server that answers there; null when none does. A server greets with `INFO {…"server_name":…}`. */
function greetingOf(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: reachableFrom(host), port });
    const finish = (name: string | null) => {
      socket.destroy();
      resolve(name);
    };
    let greeting = '';
    socket.setTimeout(1_000, () => finish(null));
    socket.on('error', () => finish(null));
    socket.on('close', () => finish(null));
    socket.on('data', (chunk) => {
      greeting += chunk.toString('latin1');
      if (greeting.includes('\r\n')) finish(/"server_name":"([^"]*)"/.exec(greeting)?.[1] ?? null);
    });
  });
}

/** A server that listens everywhere is reached on this machine. */
function reachableFrom(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}

async function lastLines(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const lines = text.trimEnd().split('\n').slice(-5).join('\n');
  return lines === '' ? '' : `; its log ends with\n${lines}`;
}
