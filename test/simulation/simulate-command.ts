/** Runs `npm run simulate` as a user would, in processes of its own. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../scripts/simulate.mjs', import.meta.url));

export interface CommandEnd {
  readonly code: number;
  readonly output: string;
}

export function simulateCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandEnd> {
  const { SEED: _, ...own } = process.env;
  return new Promise((resolve) => {
    const options = { env: { ...own, ...environment }, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [script, ...args], options, (error, output, errors) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: code === 0 ? output : output + errors });
    });
  });
}

/** The JSON object or list that a run with --json ends with. */
export function resultOf<T>({ output }: CommandEnd): T {
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as T;
}
