/**
 * Patches one source file while it is loaded: the bug that a simulation has to find (packages/testkit/src/simulation/mutants.ts).
 * Where the sources run, it stands behind what turns TypeScript into JavaScript, which is imported after it, and so sees the
 * source as it was written. Where the built tree runs, the patched source takes the place of the file that was built from it.
 */
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { builtFrom } from './tree.mjs';

const mutant = JSON.parse(process.env.SIMULATION_MUTANT ?? 'null');

if (isMainThread) register(import.meta.url);

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (mutant === null) return loaded;
  const [path] = url.split('?');
  if (path.endsWith(`/${mutant.file}`)) return { ...loaded, source: patched(loaded.source.toString()) };
  if (path.endsWith(`/${builtFrom(mutant.file)}`)) return { ...loaded, source: await built() };
  return loaded;
}

function patched(text) {
  const parts = text.split(mutant.find);
  if (parts.length !== 2)
    throw new Error(`mutant ${mutant.name}: its text must stand once in ${mutant.file}`);
  return parts.join(mutant.replace);
}

/** As the compiler does it: types go, and imports of own files end in `.js`. */
async function built() {
  const { transform } = await import('esbuild');
  const text = await readFile(new URL(`../${mutant.file}`, import.meta.url), 'utf8');
  const { code } = await transform(patched(text), {
    loader: 'ts',
    target: 'es2023',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  return code.replace(/(from\s+["']\.[^"']*)\.ts(["'])/g, '$1.js$2');
}
