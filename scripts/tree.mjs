/**
 * Where processes run from: the TypeScript sources, or, with MILLRACE_TREE=built, what the type check has made of them. npm test
 * chooses the latter once it has built it; a process then starts with a third of the work.
 */
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Arguments of node that run a source file, named from the root of the repository. */
export function nodeArgsFor(source) {
  if (process.env.MILLRACE_TREE !== 'built')
    return ['--conditions=source', '--import', 'tsx/esm', `${root}${source}`];
  return [`${root}${builtFrom(source)}`];
}

/** `packages/x/src/y.ts` → `packages/x/dist/y.js`. */
export function builtFrom(source) {
  return source.replace('/src/', '/dist/').replace(/\.ts$/, '.js');
}
