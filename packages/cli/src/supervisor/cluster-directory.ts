/**
 * The data directory of a cluster that runs on this machine: who holds it, and what a running cluster leaves there for other
 * commands to find it. Both files are put in place whole, so that nobody reads half of one.
 */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '@millrace/protocol';

/** What `cluster.json` tells of a running cluster; there from its first being ready to its end. */
export interface ClusterAddress {
  /** Of the first inference node. */
  readonly url: string;
  /** Of all inference nodes. */
  readonly urls: readonly string[];
  readonly natsUrl: string;
  /** Of the supervisor. */
  readonly pid: number;
  readonly processes: readonly ProcessSight[];
}

export interface ProcessSight {
  readonly name: string;
  /** Null while it waits to be started again. */
  readonly pid: number | null;
  readonly restarts: number;
  /** True once the process of this pid has said that it is up. */
  readonly ready: boolean;
}

export interface DirectoryClaim {
  /** Puts `address` where others look, in place of the one before. */
  publish(address: ClusterAddress): Promise<void>;
  /** Takes both files away. */
  release(): Promise<void>;
}

const addressFile = 'cluster.json';
const claimFile = 'supervisor.pid';
const orphanEndMsMax = 10_000;
const orphanLookMs = 100;

/**
 * Takes the directory for this process, from its first moment on: two nats-servers on one directory would destroy it.
 * @throws MILL_CONFIG_INVALID when another process that lives has it.
 */
export async function claimDirectory(directory: string): Promise<DirectoryClaim> {
  const claim = join(directory, claimFile);
  while (!(await putNew(claim, `${process.pid}\n`))) {
    const pid = await pidIn(claim);
    if (await isSupervisor(pid)) {
      const url = (await runningClusterIn(directory))?.url ?? 'still starting';
      const message = `a cluster already runs from ${directory} (process ${pid}, ${url}); stop it, or give another --data`;
      throw new MillraceError('MILL_CONFIG_INVALID', message);
    }
    // Left by a supervisor that was killed.
    await rm(claim, { force: true });
  }
  await endOrphan(join(directory, 'nats', 'nats-server.pid'));
  const place = join(directory, addressFile);
  let writing: Promise<void> = Promise.resolve();
  return {
    publish(address) {
      writing = writing.catch(() => undefined).then(() => putOver(place, `${JSON.stringify(address)}\n`));
      return writing;
    },
    async release() {
      await writing.catch(() => undefined);
      await rm(place, { force: true });
      await rm(claim, { force: true });
    },
  };
}

/** The cluster that runs from a data directory, null when none does. */
export async function runningClusterIn(dataDirectory: string): Promise<ClusterAddress | null> {
  const text = await readFile(join(dataDirectory, addressFile), 'utf8').catch(() => null);
  if (text === null) return null;
  const address = JSON.parse(text) as ClusterAddress;
  return isAlive(address.pid) ? address : null;
}

/** Creates a file with its whole content at once; false when one is there. */
async function putNew(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, text);
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function putOver(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, text);
  await rename(draft, path);
}

async function pidIn(path: string): Promise<number> {
  return Number(await readFile(path, 'utf8').catch(() => ''));
}

/** Process ids come round again, in a container at every start, so what the process runs counts too. */
async function isSupervisor(pid: number): Promise<boolean> {
  return pid !== process.pid && (await runs(pid, /main\.[jt]s/));
}

/** A supervisor that was killed leaves its nats-server behind; it holds the directory and has to end first. */
async function endOrphan(pidFile: string): Promise<void> {
  const pid = await pidIn(pidFile);
  if (pid === process.pid || !(await runs(pid, /nats-server/))) return;
  process.kill(pid, 'SIGTERM');
  for (let waitedMs = 0; waitedMs < orphanEndMsMax && isAlive(pid); waitedMs += orphanLookMs)
    await new Promise((done) => setTimeout(done, orphanLookMs));
}

/** True when the process lives and its command line fits; where command lines cannot be read, when it lives. */
async function runs(pid: number, command: RegExp): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return false;
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null);
  return line === null || command.test(line);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
