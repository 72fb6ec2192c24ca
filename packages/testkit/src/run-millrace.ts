/** Runs the `millrace` command as a user would, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../cli/bin/millrace.mjs', import.meta.url));

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Text for standard input. */
  readonly input?: string;
  /** Directory to run in. */
  readonly cwd?: string;
  /** Over those of this process; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The command is ended after so long. Default 60,000. */
  readonly limitMs?: number;
}

/** Starts the command; its output comes over pipes, without colours. */
export function startMillrace(args: readonly string[], options: CommandOptions = {}): ChildProcess {
  return spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    env: { ...process.env, FORCE_COLOR: undefined, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs the command to its end. */
export async function runMillrace(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = startMillrace(args, options);
  const stdout = textOf(child, 'stdout');
  const stderr = textOf(child, 'stderr');
  // A command that does not read its input may have closed it already.
  child.stdin?.on('error', () => undefined).end(options.input ?? '');
  const limit = setTimeout(() => child.kill('SIGTERM'), options.limitMs ?? 60_000);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(limit);
  return { code, stdout: stdout(), stderr: stderr() };
}

/** Collects what comes from one output of a process; call the result for the text so far. */
export function textOf(child: ChildProcess, from: 'stdout' | 'stderr'): () => string {
  let text = '';
  child[from]?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
