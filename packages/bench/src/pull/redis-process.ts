/** A redis-server of its own for a benchmark: on a free port of this machine, nothing written to disk. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '@millrace/protocol';

export interface RedisProcess {
  readonly port: number;
  /** As the server tells it, such as `7.0.15`. */
  readonly version: string;
  close(): Promise<void>;
}

const startLimitMs = 10_000;
const askAgainMs = 20;

/** Version of the redis-server on PATH; null when there is none. */
export function redisVersion(): string | null {
  const { status, stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return status === 0 ? (/v=(\S+)/.exec(stdout)?.[1] ?? 'unknown') : null;
}

/** Resolves once the server takes connections; null when there is no redis-server. */
export async function startRedis(): Promise<RedisProcess | null> {
  const version = redisVersion();
  if (version === null) return null;
  const port = await freePort();
  const flags = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', flags, { cwd: tmpdir(), stdio: 'ignore' });
  const exited = once(child, 'exit');
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const close = async () => {
    process.off('exit', killAtExit);
    child.kill();
    await exited;
  };
  const giveUpMs = performance.now() + startLimitMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > giveUpMs) {
      await close();
      throw new MillraceError('MILL_TIMEOUT', `redis-server did not listen within ${startLimitMs} ms`);
    }
    await sleep(askAgainMs);
  }
  return { port, version, close };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const say = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', say(true));
    socket.once('error', say(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
