/** Starts and ends shards in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '@millrace/protocol';
import type { ShardEnd, ShardPlan, ShardReady } from './shard-process.ts';

export interface ShardChild {
  readonly readyMs: number;
  /** Ends it in order; resolves to how many snapshots it wrote. */
  close(): Promise<number>;
}

/** A profile that is asked of this process is wanted of the shards too. */
const profiling = process.execArgv.filter((flag) => flag.startsWith('--cpu-prof'));
const here = dirname(fileURLToPath(import.meta.url));

/** Resolves once all partitions of the shard answer reads. */
export async function startShardChild(plan: ShardPlan): Promise<ShardChild> {
  const child = fork(join(here, 'shard-process.ts'), [JSON.stringify(plan)], {
    cwd: here,
    execArgv: ['--conditions=source', '--import', 'tsx/esm', ...profiling],
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const close = async () => {
    process.off('exit', killAtExit);
    const exited = once(child, 'exit');
    const told = once(child, 'message');
    child.send('end');
    const [end] = (await Promise.race([told, exited.then(() => [{ snapshots: 0 }])])) as [ShardEnd];
    await exited;
    return end.snapshots;
  };
  try {
    return { ...(await readyOf(child)), close };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function readyOf(child: ChildProcess): Promise<ShardReady> {
  const stop = new AbortController();
  const { signal } = stop;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new MillraceError('MILL_INTERNAL', `the shard process ended with ${code} before it was ready`);
  });
  ended.catch(() => {});
  try {
    const [ready] = await Promise.race([once(child, 'message', { signal }), ended]);
    return ready as ShardReady;
  } finally {
    stop.abort();
  }
}
