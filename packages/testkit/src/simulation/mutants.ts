/**
 * Bugs planted on purpose, each a patch of one source file, put in while a worker loads it. A simulation that does not find
 * them would prove nothing.
 */
import { readFileSync } from 'node:fs';

export interface Mutant {
  readonly name: string;
  /** The invariant that a report of it must name: I1 to I9, or `session`. */
  readonly invariant: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** @throws when the text to be replaced does not stand there exactly once. */
export function assertPatches({ name, file, find }: Mutant): void {
  const text = readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8');
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(`mutant ${name}: its text stands ${places} times in ${file}, wanted once`);
}

export const mutants: readonly Mutant[] = [
  {
    name: 'duplicate-off-by-one',
    invariant: 'I3',
    file: 'packages/core/src/fold/producers.ts',
    find: 'mark.sequence <= last',
    replace: 'mark.sequence < last',
  },
];
