/**
 * A JetStream cluster of three nats-servers on this machine: each a process of its own with a directory of its own, on free
 * ports. A majority of two keeps logs of three copies writable while any one of them is gone.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsProcess, spawnNatsServer } from '@millrace/runtime';
import { endServer, freePort, natsServerBinary } from './nats-server.ts';

export interface TestNatsCluster {
  /** `nats://127.0.0.1:port` of each server, the same after a restart. */
  readonly urls: readonly string[];
  /** Names of the servers, in the same order, as the cluster tells who leads. */
  readonly names: readonly string[];
  /** Ends a server at once, as a crash would; its directory stays. */
  kill(index: number): Promise<void>;
  /** Starts a server that does not run, where it was. */
  start(index: number): Promise<void>;
  /** Ends all servers and removes their directories. */
  stop(): Promise<void>;
}

const size = 3;

/** Starts three servers that know each other. Resolves once each answers; they may not have elected a leader yet. */
export async function startNatsCluster(): Promise<TestNatsCluster> {
  const binary = await natsServerBinary();
  const directory = await mkdtemp(join(tmpdir(), 'mill-nats-cluster-'));
  const ports = await freePorts(2 * size);
  const routes = ports.slice(size).map((port) => `nats://127.0.0.1:${port}`);
  const names = routes.map((_, index) => `mill-nats-${index + 1}-${ports[index]}`);
  const spawnOne = (index: number) =>
    spawnNatsServer({
      binary,
      dataDirectory: join(directory, String(index + 1)),
      host: '127.0.0.1',
      port: ports[index],
      serverName: names[index],
      cluster: { name: `mill-${ports[0]}`, port: ports[size + index], routes },
    });
  const servers: NatsProcess[] = await Promise.all(names.map((_, index) => spawnOne(index)));
  const killAtExit = () => {
    for (const { child } of servers) child.kill('SIGKILL');
  };
  process.once('exit', killAtExit);
  return {
    urls: servers.map(({ url }) => url),
    names,
    kill: (index) => endServer(servers[index], 'SIGKILL'),
    async start(index) {
      servers[index] = await spawnOne(index);
    },
    async stop() {
      // Politely, a server would first hand over what it leads, to others that are about to end too.
      await Promise.all(servers.map((server) => endServer(server, 'SIGKILL')));
      process.off('exit', killAtExit);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
