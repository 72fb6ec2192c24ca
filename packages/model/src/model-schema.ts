/**
 * The JSON Schema (draft-07, what editors understand best) of a model file. Properties are listed per TypeScript type
 * (packages/protocol/src/model-file.ts) and the compiler checks that none is missing. What a schema cannot say (names that
 * must exist, tables that the net must use) is checked after it, in model-rules.ts.
 */
import { fieldsMax, type ModelFile, partitionsDefault, partitionsMax, tablesMax } from '@millrace/protocol';
import { cross, field, transform } from './schema-field.ts';
import { learning } from './schema-learning.ts';
import { modelNameText, nameText } from './schema-names.ts';
import { importedNet, layersNet } from './schema-net.ts';
import { optimizer } from './schema-optimizer.ts';
import { closed, flag, integer, list, type Schema, text } from './schema-parts.ts';
import { initializer, table } from './schema-table.ts';

/** JSON Schema (draft-07) of {@link ModelFile}; published as docs/model.schema.json. */
export const modelSchema: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Millrace model file',
  ...closed<ModelFile>(
    'What a model reads, stores, computes and learns.',
    {
      $schema: text('Where this schema lies, for editors; it means nothing to the model.'),
      name: text('Name of the model.', modelNameText),
      label: text('Column of a log file that holds the outcome, 0 or 1.', nameText),
      timestamp: text('Column of a log file that holds the time, Unix seconds or ms or ISO 8601.', nameText),
      negativeRate: text(
        'Column of a log file that holds the rate at which negatives were kept when it was written.',
        nameText,
      ),
      item: text('The item-scoped sparse field whose value names a candidate in outcomes.', nameText),
      partitions: integer(
        `Parts of the key space, fixed when the model is created. Default ${partitionsDefault}.`,
        1,
        partitionsMax,
      ),
      tables: list('Tables of rows.', table, { maxItems: tablesMax }),
      fields: list('Input features.', field, { minItems: 1, maxItems: fieldsMax }),
      crosses: list('Combinations of fields.', cross, { maxItems: fieldsMax }),
      bias: flag(
        'Adds one key that is always there to the first table with a wide weight. Default true where there is one.',
      ),
      net: {
        description:
          'linear = wide; fm, fwfm = wide + that; deepfm = wide + fm + layers; dcn = wide + cross network + layers; dlrm = wide + dots + layers; two-tower; or an object with layers, or with import.',
        if: { type: 'object' },
        // biome-ignore lint/suspicious/noThenProperty: it is the keyword of JSON Schema; nothing awaits this object.
        then: {
          // True where some property is named import.
          if: { not: { propertyNames: { not: { const: 'import' } } } },
          // biome-ignore lint/suspicious/noThenProperty: as above.
          then: importedNet,
          else: layersNet,
        },
        else: { enum: ['linear', 'fm', 'fwfm', 'deepfm', 'dcn', 'dlrm', 'two-tower'] },
      },
      loss: { description: 'What is minimised.', enum: ['logloss'] },
      seed: integer('Seeds key hashing and the first values of rows and layers.', 0, 0xffff_ffff),
      learning,
    },
    ['name', 'label', 'tables', 'fields', 'net', 'loss', 'seed'],
  ),
  definitions: { optimizer, initializer, transform },
};
