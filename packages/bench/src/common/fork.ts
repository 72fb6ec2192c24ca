/** Processes of a benchmark: forked from sources, told by messages what to do, ended by a closed channel. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '@millrace/protocol';

export interface Forked {
  /** Sends a message and resolves to the next one that comes back. */
  ask<Answer>(message: object): Promise<Answer>;
  close(): Promise<void>;
}

/** A profile that is asked of the benchmark is wanted of its processes too. */
const profiling = process.execArgv.filter((flag) => flag.startsWith('--cpu-prof'));

/** @param url  of the module to run. */
export function forkModule(url: URL): Forked {
  const child = fork(fileURLToPath(url), [], {
    execArgv: ['--conditions=source', '--import', 'tsx/esm', ...profiling],
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  return {
    async ask<Answer>(message: object) {
      const stop = new AbortController();
      const { signal } = stop;
      const ended = once(child, 'exit', { signal }).then(([code]) => {
        throw new MillraceError('MILL_INTERNAL', `a process of the benchmark ended with ${code}`);
      });
      try {
        const answer = once(child, 'message', { signal });
        child.send(message);
        const [value] = await Promise.race([answer, ended]);
        return value as Answer;
      } finally {
        ended.catch(() => {});
        stop.abort();
      }
    },
    async close() {
      process.off('exit', killAtExit);
      await end(child);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  // It exits by itself, so that a profile that it was asked for is written.
  child.disconnect();
  await exited;
}
