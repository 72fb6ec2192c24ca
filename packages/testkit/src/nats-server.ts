/** A real nats-server for a test: on a free port of this machine, with streams in a directory that goes when it stops. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsProcess, spawnNatsServer } from '@millrace/runtime';

export interface TestNatsServer {
  /** `nats://127.0.0.1:port`, the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Ends the server politely and removes the directory, if it was made here. */
  stop(): Promise<void>;
  /** Ends the server at once, as a crash would; the directory stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory, after ending it politely if it runs. */
  restart(): Promise<void>;
}

export interface TestNatsServerOptions {
  /** Default: a new temporary directory. */
  readonly dataDirectory?: string;
  /** Default: a free port. */
  readonly port?: number;
  /** Lines of its configuration that say who may connect. Default: everyone may. */
  readonly access?: string;
}

/**
 * Ports that systems hand out for outgoing connections start above these, so a client that keeps trying to reach a stopped
 * server cannot by chance be given the server's own port and answer itself.
 */
const portMin = 15_000;
const portMax = 30_000;
const portTriesMax = 20;

/** Starts a nats-server and resolves once it answers. */
export async function startNatsServer(options: TestNatsServerOptions = {}): Promise<TestNatsServer> {
  const binary = await natsServerBinary();
  const made = options.dataDirectory === undefined;
  const dataDirectory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'mill-nats-')));
  const port = options.port ?? (await freePort());
  const { access = '' } = options;
  const spawnHere = () => spawnNatsServer({ binary, dataDirectory, host: '127.0.0.1', port, access });
  let server: NatsProcess = await spawnHere();
  const killAtExit = () => server.child.kill('SIGKILL');
  process.once('exit', killAtExit);
  return {
    url: server.url,
    port,
    get pid() {
      return server.child.pid!;
    },
    stop: async () => {
      await endServer(server, 'SIGTERM');
      process.off('exit', killAtExit);
      if (made) await rm(dataDirectory, { recursive: true, force: true });
    },
    kill: () => endServer(server, 'SIGKILL'),
    restart: async () => {
      await endServer(server, 'SIGTERM');
      server = await spawnHere();
    },
  };
}

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portTriesMax; tries += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${portMin} and ${portMax} in ${portTriesMax} tries`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Sends a signal and waits for the end. */
export async function endServer({ child }: NatsProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

interface NatsServerScript {
  findNatsServer(options: { say: (line: string) => void; allowInstall: boolean }): Promise<string>;
}

/** The same search that starting a cluster makes; a test installs nothing. */
export async function natsServerBinary(): Promise<string> {
  const script = new URL('../../../scripts/nats-server.mjs', import.meta.url).href;
  const { findNatsServer } = (await import(script)) as NatsServerScript;
  return findNatsServer({ say: () => undefined, allowInstall: false });
}
