/**
 * Patches one source file while it is loaded: the bug that a simulation has to find (packages/testkit/src/simulation/mutants.ts).
 * To be imported before what turns TypeScript into JavaScript, so that it sees the source as it was written.
 */
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const mutant = JSON.parse(process.env.SIMULATION_MUTANT ?? 'null');

if (isMainThread) register(import.meta.url);

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (mutant === null || !url.split('?')[0].endsWith(`/${mutant.file}`)) return loaded;
  const text = Buffer.from(loaded.source).toString();
  const parts = text.split(mutant.find);
  if (parts.length !== 2)
    throw new Error(`mutant ${mutant.name}: its text must stand once in ${mutant.file}`);
  return { ...loaded, source: parts.join(mutant.replace) };
}
