/** Creates models: checks the file, writes it to the key-value store once, and tells one model from another of the same name. */
import { fingerprintOf, tableLayouts } from '@millrace/core';
import { importsNet, openNet, parseModelFile, sameModel } from '@millrace/model';
import { isName, jsonBytes, jsonFrom, MillraceError, type ModelFile } from '@millrace/protocol';
import type { Bus, ClusterView } from '@millrace/runtime';

/**
 * Stores a model file under its name.
 * @returns true when it is new, false when the very same file was there.
 * @throws MILL_MODEL_INVALID, MILL_MODEL_EXISTS, MILL_LOG_UNAVAILABLE
 */
export async function storeModel(
  bus: Bus,
  view: ClusterView,
  name: string,
  value: unknown,
): Promise<boolean> {
  const file = parseModelFile(value);
  if (!isName(name) || file.name !== name) {
    throw new MillraceError(
      'MILL_MODEL_INVALID',
      `cannot create model ${JSON.stringify(name)}: its file must have that name, got ${JSON.stringify(file.name)}`,
    );
  }
  refuseSharedTableIds(view, file);
  const kv = await bus.kv('models');
  if ((await kv.putIf(name, jsonBytes(file), 0)) !== null) return true;
  const entry = await kv.get(name);
  const stored = entry ? (jsonFrom(entry.value) as ModelFile) : null;
  if (stored && sameModel(stored, file)) return false;
  if (stored && entry && fingerprintOf(stored) === fingerprintOf(file)) {
    // Only how it learns differs (windows, batch sizes): that may change while it runs.
    await kv.putIf(name, jsonBytes(file), entry.revision);
    return false;
  }
  throw new MillraceError(
    'MILL_MODEL_EXISTS',
    `cannot create model "${name}": another model file has that name already; choose another name`,
  );
}

/** Table ids are hashes of names; two tables of one id could not be told apart in pulls. */
function refuseSharedTableIds(view: ClusterView, file: ModelFile): void {
  const taken = new Map<number, string>();
  for (const other of view.models.values()) {
    if (other.name === file.name) continue;
    for (const layout of tableLayouts(other)) taken.set(layout.tableId, `${other.name}/${layout.name}`);
  }
  for (const layout of tableLayouts(file)) {
    const other = taken.get(layout.tableId);
    if (other) {
      throw new MillraceError(
        'MILL_MODEL_INVALID',
        `tables: "${layout.name}" has the id of ${other} by an accident of hashing; rename it`,
      );
    }
    taken.set(layout.tableId, `${file.name}/${layout.name}`);
  }
}

/** An imported net is opened before its model is stored: what does not fit is an error of who sends it, not of every node. */
export async function refuseUnopened(
  value: unknown,
  readNet?: (file: string) => Promise<Uint8Array>,
): Promise<void> {
  const file = parseModelFile(value);
  if (!importsNet(file)) return;
  const net = await openNet(file, { wanted: 'auto', onSkip() {}, ...(readNet && { readNet }) });
  net.dispose();
}
