/** Where a figure was measured: without it a figure says nothing. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

export interface Machine {
  /** Short hash of the commit, with `+` behind it when files differ from it; null outside of a repository. */
  readonly commit: string | null;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
}

export function thisMachine(): Machine {
  return {
    commit: commitHere(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
  };
}

function commitHere(): string | null {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8' });
  const { status, stdout } = git('rev-parse', '--short', 'HEAD');
  if (status !== 0) return null;
  const changes = git('status', '--porcelain', '--untracked-files=no').stdout;
  return stdout.trim() + (changes === '' ? '' : '+');
}
