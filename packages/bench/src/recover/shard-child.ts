/** Starts and ends shards in processes of their own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MillraceError } from '@millrace/protocol';
import { forkBeside } from '../common/fork.ts';
import type { ShardEnd, ShardPlan, ShardReady } from './shard-process.ts';

export interface ShardChild {
  readonly readyMs: number;
  /** Ends it in order; resolves to how many snapshots it wrote. */
  close(): Promise<number>;
}

/** Resolves once all partitions of the shard answer reads. */
export async function startShardChild(plan: ShardPlan): Promise<ShardChild> {
  const child = forkBeside('./shard-process', import.meta.url, [JSON.stringify(plan)]);
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
