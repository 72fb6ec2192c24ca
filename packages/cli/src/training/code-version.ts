/** Which code made a result. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface CodeVersion {
  /** Of the package. */
  readonly version: string;
  /** Of a clone: its commit, with `+` behind it when files differ from it; null elsewhere. */
  readonly commit: string | null;
}

const packageFile = fileURLToPath(new URL('../../package.json', import.meta.url));

export function codeVersion(): CodeVersion {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  return { version, commit: commitOfClone() };
}

/** The same as one word or two, as versions of models tell it. */
export function codeText(): string {
  const { version, commit } = codeVersion();
  return commit === null ? version : `${version} ${commit}`;
}

function commitOfClone(): string | null {
  // In the folder of the sources: the command may run anywhere, in a repository of somebody else too.
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const git = (...args: string[]) => spawnSync('git', args, { cwd, encoding: 'utf8' });
  if (git('ls-files', '--error-unmatch', packageFile).status !== 0) return null;
  const { status, stdout } = git('rev-parse', 'HEAD');
  if (status !== 0) return null;
  const changes = git('status', '--porcelain', '--untracked-files=no').stdout;
  return stdout.trim() + (changes === '' ? '' : '+');
}
