import type { ImportSpec, ModelFile } from '@millrace/protocol';
import { smallModel } from './small-model.ts';

/** A model whose net is imported, over a user's two floats and a price. */
export function importingModel(net: ImportSpec): ModelFile {
  return smallModel({
    tables: [{ name: 'ids', embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 0.1 } } }],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
      { name: 'price', type: 'dense', scope: 'item' },
    ],
    net: { import: net },
  });
}
