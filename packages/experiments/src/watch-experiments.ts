/** The experiments of all models, followed, and what each makes of a request. */
import { decodeExperimentCatalog, type ExperimentCatalog, reasonFrom } from '@millrace/protocol';
import type { Bus, KvChange, Logger } from '@millrace/runtime';
import { type Assigner, assignerOf } from './assign.ts';
import { emptyExperiments } from './catalog.ts';

export interface ExperimentsView {
  /** An empty one of a model without experiments. */
  catalogOf(model: string): ExperimentCatalog;
  /** Null: no experiment runs, and none has left anything in charge. */
  assignerFor(model: string): Assigner | null;
  /** Calls `listener` with the model after every change; returns a function that ends it. */
  onChange(listener: (model: string) => void): () => void;
  close(): Promise<void>;
}

/** Reads what is there, then follows it; a value that cannot be read is reported and passed over. */
export async function watchExperiments(bus: Bus, logger?: Logger): Promise<ExperimentsView> {
  const catalogs = new Map<string, ExperimentCatalog>();
  const assigners = new Map<string, Assigner>();
  const listeners = new Set<(model: string) => void>();
  const take = (model: string, catalog: ExperimentCatalog | null) => {
    if (catalog === null) catalogs.delete(model);
    else catalogs.set(model, catalog);
    const isQuiet =
      catalog === null ||
      (catalog.kept === null && catalog.experiments.every(({ endedMs }) => endedMs !== null));
    if (isQuiet) assigners.delete(model);
    else assigners.set(model, assignerOf(catalog));
  };
  const onEntry = (change: KvChange) => {
    const model = change.kind === 'put' ? change.entry.key : change.key;
    try {
      take(model, change.kind === 'put' ? decodeExperimentCatalog(change.entry.value) : null);
    } catch (error) {
      logger?.error({ key: model, reason: reasonFrom(error) }, 'stored value passed over');
      return;
    }
    for (const listener of [...listeners]) listener(model);
  };
  const reader = await (await bus.kv('experiments')).watch(onEntry);
  return {
    catalogOf: (model) => catalogs.get(model) ?? emptyExperiments(model),
    assignerFor: (model) => assigners.get(model) ?? null,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await reader.close();
    },
  };
}
