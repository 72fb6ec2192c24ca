/** Waits for snapshots of all that the log holds. */
import { fingerprintOf } from '@millrace/core';
import { gradientsSubject, MillraceError, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { createArchive, openStores } from '@millrace/snapshot';

const lookMs = 100;
const waitMsMax = 60_000;

/** Resolves once the newest snapshot of every partition in the shared store is of the head of its log. */
export async function snapshotsDone(bus: Bus, file: ModelFile): Promise<void> {
  const stores = await openStores(bus, { snapshotStore: 'nats', ownDirectory: null });
  const archive = createArchive({ stores, onDamaged: (_store, _path, error) => Promise.reject(error) });
  const startMs = performance.now();
  for (let partition = 0; partition < (file.partitions ?? 0); partition += 1) {
    const of = { model: file.name, fingerprint: fingerprintOf(file), fold: partition };
    const head = await bus.headOf('gradients', gradientsSubject(modelNameFrom(file.name), partition));
    while ((await archive.list('shared', of))[0]?.sequence !== head) {
      if (performance.now() - startMs > waitMsMax)
        throw new MillraceError(
          'MILL_TIMEOUT',
          `no snapshot of partition ${partition} at ${head} in ${waitMsMax} ms`,
        );
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  }
}
