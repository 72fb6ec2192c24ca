/** Reads what `millrace train` has left in a folder as a folder of tables, optimizer state and all. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelFile } from '@millrace/protocol';
import { openTrained, type Trained } from '../training/trained-files.ts';
import type { FolderReader } from './folder-reader.ts';
import { rowsOf } from './state-rows.ts';

/** True for a folder that `millrace train` wrote. */
export function isTrained(folder: string): boolean {
  return existsSync(join(folder, 'train.json'));
}

/** @throws MILL_FILE_INVALID, MILL_MODEL_INVALID */
export async function openTrainedReader(
  folder: string,
): Promise<{ readonly reader: FolderReader; readonly file: ModelFile }> {
  const trained = await openTrained(folder);
  return { reader: readerOf(trained), file: trained.file };
}

/** Reads a state that is at hand in the same way. */
export function readerOf({ file, states, dense }: Pick<Trained, 'file' | 'states' | 'dense'>): FolderReader {
  const tables = file.tables.map(({ name }, place) => {
    const { dim, clockAt } = states[0].tables[place].layout;
    const rows = states.reduce((sum, state) => sum + state.tables[place].count, 0);
    return { name, rows, dim, stateFloats: clockAt };
  });
  const { weights, optimizerState, sequence } = dense;
  return {
    notes: {
      layout: 1,
      format: 'npy',
      model: file.name,
      sequence: Math.max(0, ...states.map((state) => state.sequence)),
      denseVersion: sequence,
      tables,
      dense: { parameters: weights.length, stateFloats: optimizerState.length },
    },
    async *rows(table) {
      for (const state of states) yield rowsOf(state.tables[table], true);
    },
    dense: async () => ({ weights, state: optimizerState }),
  };
}
