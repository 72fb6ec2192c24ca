/** Processes of a benchmark: run from where it runs itself, told by messages what to do, ended by a closed channel. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '@millrace/protocol';

export interface Forked {
  /** Sends a message and resolves to the next one that comes back. */
  ask<Answer>(message: object): Promise<Answer>;
  close(): Promise<void>;
}

/** `.ts` where the sources run, `.js` where the built tree does. */
const ending = extname(import.meta.url);
/**
 * Not all of tsx: its loader for CommonJS grows a WebAssembly memory in the process, after which V8 checks at every access to a
 * typed array whether its memory is still there; a quarter of the speed of lookups.
 */
const loader = ending === '.ts' ? ['--conditions=source', '--import', 'tsx/esm'] : [];
/** A profile that is asked of the benchmark is wanted of its processes too. */
const profiling = process.execArgv.filter((flag) => flag.startsWith('--cpu-prof'));

/** @param name  of a module beside the caller's, without its ending. @param beside  import.meta.url. */
export function forkBeside(name: string, beside: string, args: readonly string[] = []): ChildProcess {
  const file = fileURLToPath(new URL(`${name}${ending}`, beside));
  return fork(file, args, { execArgv: [...loader, ...profiling] });
}

/** As forkBeside, of a module that answers messages. */
export function forkModule(name: string, beside: string): Forked {
  const child = forkBeside(name, beside);
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
