/** Starts, changes and stops experiments. Every change is a compare-and-set, so any number of processes may do so at once. */
import {
  decodeExperimentCatalog,
  type ExperimentCatalog,
  encodeExperimentCatalog,
  MillraceError,
} from '@millrace/protocol';
import type { Bus, Clock } from '@millrace/runtime';
import { emptyExperiments, withArmOut, withExperiment, withShares, withStopped } from './catalog.ts';
import { experimentFrom } from './experiment-file.ts';

/** Every method throws MILL_LOG_UNAVAILABLE, and MILL_OVERLOADED where others change the catalog faster than it can. */
export interface ExperimentRegistry {
  catalogOf(model: string): Promise<ExperimentCatalog>;
  /** @param spec  an ExperimentSpec of any shape: all of it is checked. @throws MILL_EXPERIMENT_INVALID */
  start(spec: unknown): Promise<ExperimentCatalog>;
  /** @param shares  by arm. @throws MILL_EXPERIMENT_UNKNOWN, MILL_EXPERIMENT_INVALID */
  setShares(
    model: string,
    name: string,
    shares: Readonly<Record<string, unknown>>,
    reason?: string,
  ): Promise<ExperimentCatalog>;
  /** @param keep  arm whose target scores on; null: none. @throws MILL_EXPERIMENT_UNKNOWN, MILL_EXPERIMENT_INVALID */
  stop(model: string, name: string, keep: string | null, reason?: string): Promise<ExperimentCatalog>;
  /** Takes an arm out because of what a guard saw. @returns null when it was out already: nothing happens then. */
  takeOut(model: string, name: string, arm: string, reason: string): Promise<ExperimentCatalog | null>;
}

/** Tries of a compare-and-set: losing so often means that something writes without end. */
const triesMax = 50;

/** @throws MILL_LOG_UNAVAILABLE */
export async function openExperiments(bus: Bus, clock: Pick<Clock, 'now'>): Promise<ExperimentRegistry> {
  const kv = await bus.kv('experiments');
  const read = async (model: string) => {
    const entry = await kv.get(model);
    if (entry === null) return { catalog: emptyExperiments(model), revision: 0 };
    return { catalog: decodeExperimentCatalog(entry.value), revision: entry.revision };
  };
  const change = async (model: string, next: (catalog: ExperimentCatalog) => ExperimentCatalog) => {
    for (let tries = 0; tries < triesMax; tries += 1) {
      const { catalog, revision } = await read(model);
      const changed = next(catalog);
      if (changed === catalog) return catalog;
      if ((await kv.putIf(model, encodeExperimentCatalog(changed), revision)) !== null) return changed;
    }
    throw new MillraceError(
      'MILL_OVERLOADED',
      `the experiments of "${model}" change too fast to change them`,
    );
  };
  const byOperator = (reason: string) => ({ timeMs: clock.now(), by: 'operator', reason }) as const;
  return {
    catalogOf: async (model) => (await read(model)).catalog,
    async start(spec) {
      const wanted = experimentFrom(spec);
      return change(wanted.model, (catalog) => withExperiment(catalog, wanted, byOperator('started')));
    },
    setShares: (model, name, shares, reason = 'shares changed') =>
      change(model, (catalog) => withShares(catalog, name, shares, byOperator(reason))),
    stop: (model, name, keep, reason = keep === null ? 'stopped' : `stopped, "${keep}" stays`) =>
      change(model, (catalog) => withStopped(catalog, name, keep, byOperator(reason))),
    async takeOut(model, name, arm, reason) {
      let isOut = true;
      const catalog = await change(model, (before) => {
        const after = withArmOut(before, name, arm, { timeMs: clock.now(), reason });
        isOut = after === before;
        return after;
      });
      return isOut ? null : catalog;
    },
  };
}
