/** Schema of tables: what a row has, what it begins with, when it comes and goes. */
import { type AdmissionSpec, type ExpirySpec, rowFloatsMax, type TableSpec } from '@millrace/protocol';
import { nameText } from './schema-names.ts';
import { notNegative, positive, stepMax } from './schema-optimizer.ts';
import { choice, closed, integer, number, reference, tag, text, union } from './schema-parts.ts';

export const initializer = union('Values of a row before its first update.', [
  closed<{ type: 'zeros' }>('All 0.', { type: tag('zeros', 'All 0.') }, ['type']),
  closed<{ type: 'constant'; value: number }>(
    'All the same.',
    {
      type: tag('constant', 'All the same.'),
      value: number('That value.', { minimum: -stepMax, maximum: stepMax }),
    },
    ['type', 'value'],
  ),
  closed<{ type: 'uniform'; scale: number }>(
    'Uniform in [−scale, scale), a function of seed, table, key and place alone.',
    { type: tag('uniform', 'Uniform around 0.'), scale: number('Half of the width.', notNegative) },
    ['type', 'scale'],
  ),
]);

const dayMs = 86_400_000;

const admission = union('When a key gets a row. Default: at its first occurrence.', [
  closed<Extract<AdmissionSpec, { type: 'count' }>>(
    'At its count-th occurrence.',
    {
      type: tag('count', 'By occurrences.'),
      count: integer('Occurrences wanted.', 1, 1_000_000),
      counter: choice(
        'exact (default) counts each key; sketch counts in a fixed memory and may admit a key early, never late.',
        ['exact', 'sketch'],
      ),
      cells: integer('Cells of the sketch a partition, a power of two. Default 65,536.', 64, 16_777_216),
    },
    ['type', 'count'],
  ),
  closed<Extract<AdmissionSpec, { type: 'probability' }>>(
    'At each occurrence with a probability, decided by a hash.',
    {
      type: tag('probability', 'By chance.'),
      probability: number('Chance of an occurrence.', { exclusiveMinimum: 0, maximum: 1 }),
    },
    ['type', 'probability'],
  ),
]);

const expiry = union('When a row goes, by the event time of the log. Default: never.', [
  closed<Extract<ExpirySpec, { type: 'age' }>>(
    'Once nothing was learned into it for so long.',
    {
      type: tag('age', 'By age.'),
      afterMs: number('That long, ms.', { minimum: 1, maximum: 3_650 * dayMs }),
    },
    ['type', 'afterMs'],
  ),
  closed<Extract<ExpirySpec, { type: 'score' }>>(
    'Once its score, +1 an occurrence and halved every halfLifeMs, is below scoreMin.',
    {
      type: tag('score', 'By decayed score.'),
      halfLifeMs: number('A score halves in so long, ms.', { minimum: 1, maximum: 3_650 * dayMs }),
      scoreMin: number('Lowest score of a row that stays.', positive),
    },
    ['type', 'halfLifeMs', 'scoreMin'],
  ),
]);

export const table = closed<TableSpec>(
  'Rows: an optional wide weight, then an optional embedding. One must be there.',
  {
    name: text('Name that fields refer to.', nameText),
    admission,
    expiry,
    precision: closed<NonNullable<TableSpec['precision']>>(
      'One more float a row: the summed curvature of its wide weight, which says how sure it is; Thompson sampling needs it.',
      { prior: number('Precision of a weight that nothing was learned into.', positive) },
      ['prior'],
    ),
    wide: closed<NonNullable<TableSpec['wide']>>(
      'One weight a key, added to the logit.',
      {
        optimizer: reference('optimizer', 'How the weight learns.'),
        initializer: reference('initializer', 'First value. Default 0.'),
      },
      ['optimizer'],
    ),
    embedding: closed<NonNullable<TableSpec['embedding']>>(
      'A vector a key, fed to the net.',
      {
        dim: integer('Floats of the vector.', 1, rowFloatsMax),
        optimizer: reference('optimizer', 'How the vector learns.'),
        initializer: reference('initializer', 'First values. Default uniform ±0.01.'),
      },
      ['dim', 'optimizer'],
    ),
  },
  ['name'],
);
