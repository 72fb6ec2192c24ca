/** The catalogs and records of all models, followed. */
import {
  decodeVersionCatalog,
  decodeVersionRecord,
  reasonFrom,
  type VersionCatalog,
  type VersionRecord,
  versionKey,
} from '@millrace/protocol';
import type { Bus, KvChange, Logger } from '@millrace/runtime';
import { emptyCatalog } from './catalog.ts';

export interface VersionsView {
  /** An empty one of a model without versions. */
  catalogOf(model: string): VersionCatalog;
  /** Null: there is none, or its record has not come yet or cannot be read. */
  recordOf(model: string, version: number): VersionRecord | null;
  /** Calls `listener` with the model after every change; returns a function that ends it. */
  onChange(listener: (model: string) => void): () => void;
  close(): Promise<void>;
}

/** Reads what is there, then follows it; a value that cannot be read is reported and passed over. */
export async function watchVersions(bus: Bus, logger?: Logger): Promise<VersionsView> {
  const catalogs = new Map<string, VersionCatalog>();
  const records = new Map<string, VersionRecord>();
  const listeners = new Set<(model: string) => void>();
  const onEntry = (change: KvChange) => {
    const key = change.kind === 'put' ? change.entry.key : change.key;
    const model = key.split('.', 1)[0];
    const isCatalog = model === key;
    try {
      if (change.kind === 'delete') (isCatalog ? catalogs : records).delete(key);
      else if (isCatalog) catalogs.set(key, decodeVersionCatalog(change.entry.value));
      else records.set(key, decodeVersionRecord(change.entry.value));
    } catch (error) {
      logger?.error({ key, reason: reasonFrom(error) }, 'stored value passed over');
      return;
    }
    for (const listener of [...listeners]) listener(model);
  };
  const reader = await (await bus.kv('versions')).watch(onEntry);
  return {
    catalogOf: (model) => catalogs.get(model) ?? emptyCatalog(model),
    recordOf: (model, version) => records.get(versionKey(model, version)) ?? null,
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
