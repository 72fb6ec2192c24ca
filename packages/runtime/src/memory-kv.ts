/** A key-value bucket in memory. Watchers are told of a change before the write's promise is made. */
import type { Kv, KvChange, KvEntry, LogReader } from './bus.ts';
import { Pump } from './pump.ts';

interface Watcher {
  readonly changes: KvChange[];
  readonly pump: Pump<KvChange>;
}

export class MemoryKv implements Kv {
  readonly #entries = new Map<string, KvEntry>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;

  async get(key: string): Promise<KvEntry | null> {
    return this.#entries.get(key) ?? null;
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#write(key, value);
  }

  async putIf(key: string, value: Uint8Array, revision: number): Promise<number | null> {
    const found = this.#entries.get(key)?.revision ?? 0;
    return found === revision ? this.#write(key, value) : null;
  }

  async delete(key: string): Promise<void> {
    this.#revision += 1;
    if (this.#entries.delete(key)) this.#tell({ kind: 'delete', key });
  }

  async keys(): Promise<readonly string[]> {
    return [...this.#entries.keys()];
  }

  async watch(onChange: (change: KvChange) => void): Promise<LogReader> {
    const changes: KvChange[] = [];
    const watcher: Watcher = {
      changes,
      pump: new Pump<KvChange>({
        take: () => changes.shift(),
        handle: onChange,
        onFailed: (error) => {
          this.#watchers.delete(watcher);
          throw error;
        },
      }),
    };
    for (const entry of this.#entries.values()) changes.push({ kind: 'put', entry });
    this.#watchers.add(watcher);
    watcher.pump.run();
    return {
      close: () => {
        this.#watchers.delete(watcher);
        return watcher.pump.stop();
      },
    };
  }

  close(): void {
    this.#watchers.clear();
  }

  #write(key: string, value: Uint8Array): number {
    this.#revision += 1;
    const entry = { key, value: new Uint8Array(value), revision: this.#revision };
    // Deleting first keeps the order of writes, as a log-backed bucket has it.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#tell({ kind: 'put', entry });
    return entry.revision;
  }

  #tell(change: KvChange): void {
    for (const watcher of this.#watchers) watcher.changes.push(change);
    for (const watcher of this.#watchers) watcher.pump.run();
  }
}
