/**
 * Puts what was compressed into a cluster: a new model whose rows and live line are those that were learned here, and each
 * smaller net as a version of it. A version reads the live rows, so it is good only over rows that it was learned with: a model
 * that is there already has rows of its own, and is refused.
 */
import { storeModel } from '@millrace/inference';
import type { LocalLearner } from '@millrace/learner';
import { MillraceError, type ModelFile } from '@millrace/protocol';
import { openVersionRegistry } from '@millrace/registry';
import type { OpenHistory } from '../commands/open-history.ts';
import { awaitApplied } from '../tables/await-applied.ts';
import { importFolder } from '../tables/import-model.ts';
import { readerOf } from '../tables/trained-reader.ts';
import { codeText } from '../training/code-version.ts';
import type { CompressResult, MethodResult } from './run-compress.ts';

export interface AddedVersion {
  readonly method: MethodResult['method'];
  readonly version: number;
}

const waitMsMax = 600_000;
const seenMsMax = 30_000;

/**
 * @param producer  of the blocks that put the rows; none before had it.
 * @throws MILL_BAD_REQUEST where the model is there, MILL_TIMEOUT, and what the registry throws.
 */
export async function addVersions(
  source: Pick<OpenHistory, 'bus' | 'view' | 'clock'>,
  { name, producer }: { readonly name: string; readonly producer: string },
  learner: LocalLearner,
  { results }: Pick<CompressResult, 'results'>,
): Promise<readonly AddedVersion[]> {
  const { bus, view, clock } = source;
  if (view.models.has(name)) {
    const message = `cannot add to model "${name}": wanted a name that is free, since its rows are not those that these nets were learned with`;
    throw new MillraceError('MILL_BAD_REQUEST', message);
  }
  const from: ModelFile = { ...learner.net.file, name };
  await storeModel(bus, view, name, from);
  await view.waitFor(() => view.models.has(name), seenMsMax);
  const file = view.models.get(name) as ModelFile;
  const reader = readerOf({ file: from, states: learner.states, dense: learner.net.dense });
  const { heads } = await importFolder({ bus, clock, producer, onProgress: () => {}, file }, reader, from);
  await awaitApplied({ view, clock, model: name, heads, waitMsMax });

  const registry = await openVersionRegistry(bus, clock);
  const code = codeText();
  const added: AddedVersion[] = [];
  for (const { method, quality, candidate } of results) {
    const { net, dense } = candidate.method;
    if (net === 'whole' && dense === 'float32') continue;
    const note = `${method}: held-out AUC ${quality.auc.toFixed(5)}, logloss ${quality.logloss.toFixed(5)}`;
    const { weights } = candidate;
    const versionFile = { ...candidate.net.file, name };
    const made = {
      model: name,
      kind: 'derived',
      parent: null,
      file: versionFile,
      weights,
      code,
      note,
    } as const;
    added.push({ method, version: (await registry.addVersion(made)).version });
  }
  return added;
}
