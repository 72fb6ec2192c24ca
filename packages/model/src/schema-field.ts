/** Schema of input features and their crosses. */
import {
  type CrossSpec,
  type DenseField,
  featureValuesMax,
  type MultiField,
  type SequenceField,
  type SparseField,
} from '@millrace/protocol';
import { nameText } from './schema-names.ts';
import { choice, closed, integer, list, number, reference, tag, text, union } from './schema-parts.ts';

const fieldName = text('Name in score requests and column in log files.', nameText);
const fieldScope = choice('Where a score request carries it. Default context.', ['user', 'item', 'context']);
const fieldTable = text('Table that holds its rows.', nameText);
const separator = text('Cuts a text into values. Default |.', { minLength: 1, maxLength: 8 });
const sharesKeysOf = text(
  'Takes the keys of that field, so that equal values of both meet in the same rows.',
  nameText,
);
const buckets = integer('Values meet in so many keys at most. Default: no two values meet.', 1, 0x7fff_ffff);
const poolings = ['sum', 'mean', 'sqrtn'];

export const transform = union('What is done to the number first.', [
  closed<{ type: 'none' }>('Nothing.', { type: tag('none', 'Nothing.') }, ['type']),
  closed<{ type: 'log1p' }>('sign(x)·ln(1 + |x|).', { type: tag('log1p', 'Logarithm.') }, ['type']),
  closed<{ type: 'standardize'; mean?: number; deviation?: number }>(
    '(x − mean) / deviation; without both, moments run along with what is learned.',
    {
      type: tag('standardize', 'Centre and scale.'),
      mean: number('Taken off. Default: the running mean.'),
      deviation: number('Divides. Default: the running deviation.', { exclusiveMinimum: 0 }),
    },
    ['type'],
  ),
  closed<{ type: 'bucket'; boundaries: readonly number[] }>(
    'The number of boundaries not above x becomes a sparse value; needs a table.',
    {
      type: tag('bucket', 'Number of an interval.'),
      boundaries: list('Ascending.', number('A boundary.'), { minItems: 1, maxItems: 1_000 }),
    },
    ['type', 'boundaries'],
  ),
]);

export const field = union('An input feature.', [
  closed<SparseField>(
    'One value, hashed to one key.',
    {
      type: tag('sparse', 'One value.'),
      name: fieldName,
      scope: fieldScope,
      table: fieldTable,
      sharesKeysOf,
      buckets,
    },
    ['type', 'name', 'table'],
  ),
  closed<MultiField>(
    'Several values: an array, or text cut at the separator.',
    {
      type: tag('multi', 'Several values.'),
      name: fieldName,
      scope: fieldScope,
      table: fieldTable,
      separator,
      pooling: choice('How values meet. Default sum; sqrtn is the sum over √count.', poolings),
      sharesKeysOf,
      buckets,
    },
    ['type', 'name', 'table'],
  ),
  closed<SequenceField>(
    'What the user did last, oldest first.',
    {
      type: tag('sequence', 'Values in order of time.'),
      name: fieldName,
      scope: fieldScope,
      table: fieldTable,
      separator,
      pooling: choice('How values meet. Default mean; sqrtn is the sum over √count.', poolings),
      lengthMax: integer('The newest so many count. Default 50.', 1, featureValuesMax),
      sharesKeysOf,
      buckets,
    },
    ['type', 'name', 'table'],
  ),
  closed<DenseField>(
    'A number. With a table it weights a row of its own; a net with layers also gets it as an input.',
    {
      type: tag('dense', 'A number.'),
      name: fieldName,
      scope: fieldScope,
      transform: reference('transform', 'What is done to the number first. Default nothing.'),
      table: fieldTable,
    },
    ['type', 'name'],
  ),
]);

export const cross = closed<CrossSpec>(
  'Every combination of the values of some fields is one key.',
  {
    name: text('Name of the cross.', nameText),
    fields: list('Fields that are combined.', text('A field.', nameText), {
      minItems: 2,
      maxItems: 8,
      uniqueItems: true,
    }),
    table: fieldTable,
    buckets,
  },
  ['name', 'fields', 'table'],
);
