/** The Docker engine that the tests of the compose files run on. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '@millrace/testkit';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** The first build installs all packages. */
export const upMsMax = 900_000;
/** Above what .ci/docker/up.sh takes at most. */
const readyMsMax = 300_000;

const run = promisify(execFile);

/** Runs `docker compose` in the project's directory. */
export async function compose(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const options = { cwd: root, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 };
  return (await run('docker', ['compose', ...args], options)).stdout;
}

/**
 * Null when an engine and compose v2 answer. Where DOCKER_READY_FILE names a file, they are being prepared: it is waited for,
 * and holds lines of `NAME=value` for the environment (.ci/docker/up.sh).
 */
export async function reasonToSkip(): Promise<string | null> {
  const file = process.env.DOCKER_READY_FILE;
  if (file !== undefined) {
    const text = await eventually(() => readFile(file, 'utf8'), { withinMs: readyMsMax, everyMs: 250 });
    for (const line of text.split('\n').filter((text) => text !== '')) {
      const end = line.indexOf('=');
      process.env[line.slice(0, end)] = line.slice(end + 1);
    }
    if (process.env.DOCKER_UNAVAILABLE) return process.env.DOCKER_UNAVAILABLE;
  }
  const isThere = (question: Promise<unknown>) =>
    question.then(
      () => true,
      () => false,
    );
  if (!(await isThere(getContainerRuntimeClient()))) return 'no Docker engine answers';
  if (!(await isThere(compose(['ls'], {})))) return 'docker compose (v2) does not answer';
  return null;
}

export interface Death {
  readonly container: string;
  readonly exitCode: number;
  /** From the signal that asked for it. */
  readonly tookMs: number;
}

export interface DeathWatch {
  /** As it is now; grows on. */
  readonly deaths: readonly Death[];
  close(): void;
}

/** Follows how the containers of a compose project end: those that compose takes away leave no other trace. */
export async function watchDeaths(docker: ContainerRuntimeClient, project: string): Promise<DeathWatch> {
  const deaths: Death[] = [];
  const askedAtMs = new Map<string, number>();
  const stream = await docker.container.dockerode.getEvents({
    filters: {
      type: ['container'],
      event: ['kill', 'die'],
      label: [`com.docker.compose.project=${project}`],
    },
  });
  createInterface({ input: stream }).on('line', (line) => {
    const { Action, Actor, timeNano } = JSON.parse(line) as {
      Action: string;
      Actor: { ID: string; Attributes: Record<string, string> };
      timeNano: number;
    };
    const timeMs = timeNano / 1e6;
    const askedMs = askedAtMs.get(Actor.ID) ?? timeMs;
    askedAtMs.set(Actor.ID, askedMs);
    if (Action !== 'die') return;
    askedAtMs.delete(Actor.ID);
    const { name, exitCode } = Actor.Attributes;
    deaths.push({ container: name, exitCode: Number(exitCode), tookMs: timeMs - askedMs });
  });
  return {
    deaths,
    close: () => (stream as unknown as { destroy(): void }).destroy(),
  };
}
