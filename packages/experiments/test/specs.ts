/** Experiments of tests. */
import type { ExperimentCatalog } from '@millrace/protocol';
import { emptyExperiments, withExperiment } from '../src/catalog.ts';
import { experimentFrom } from '../src/experiment-file.ts';

export const buttonSpec = {
  name: 'button',
  model: 'shop',
  key: 'user.user',
  arms: [
    { name: 'a', share: 0.5 },
    { name: 'b', share: 0.5, target: { type: 'version', version: 3 } },
  ],
} as const;

export const change = { timeMs: 1_000, by: 'operator', reason: 'started' } as const;

export function catalogWith(...specs: readonly unknown[]): ExperimentCatalog {
  return specs.reduce<ExperimentCatalog>(
    (catalog, spec) => withExperiment(catalog, experimentFrom(spec), change),
    emptyExperiments('shop'),
  );
}
