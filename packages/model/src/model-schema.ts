/**
 * The JSON Schema (draft-07, what editors understand best) of a model file. Properties are listed per TypeScript type
 * (packages/protocol/src/model-file.ts) and the compiler checks that none is missing. What a schema cannot say (names that
 * must exist, tables that the net must use) is checked after it, in model-rules.ts.
 */
import {
  type AdagradSpec,
  type AdamSpec,
  type CrossSpec,
  type DenseField,
  type FtrlSpec,
  featureValuesMax,
  fieldsMax,
  type LayerSpec,
  type LayersNet,
  type LearningSpec,
  layersMax,
  type ModelFile,
  type MultiField,
  type NewtonSpec,
  partitionsDefault,
  partitionsMax,
  type RowwiseAdagradSpec,
  rowFloatsMax,
  type SequenceField,
  type SgdSpec,
  type SparseField,
  type TableSpec,
  tablesMax,
} from '@millrace/protocol';
import {
  choice,
  closed,
  flag,
  integer,
  list,
  number,
  reference,
  type Schema,
  tag,
  text,
  union,
} from './schema-parts.ts';

/** Larger steps than this have no use and would leave the range of float32 within a few updates. */
const stepMax = 1e6;
const positive = { exclusiveMinimum: 0, maximum: stepMax };
const notNegative = { minimum: 0, maximum: stepMax };
const share = { minimum: 0, exclusiveMaximum: 1 };

/** `$comment` is the phrase that an error shows in place of the pattern. */
const modelNameText = {
  pattern: '^[a-z][a-z0-9-]{0,39}$',
  $comment: 'a lower-case letter, then at most 39 lower-case letters, digits or dashes',
};
const nameText = {
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u0020\\u007f]([^\\u0000-\\u001f\\u007f]*[^\\u0000-\\u0020\\u007f])?$',
  $comment: 'text without control characters and without a blank at either end',
};

const accumulator = {
  initialAccumulator: number(
    'Start of the sum of squares; 1 gives the step g/√(1 + Σg²). Default 0.1.',
    notNegative,
  ),
  epsilon: number('Added to the root in the divisor. Default 1e-10.', positive),
};

const optimizer = union('How weights learn from gradients.', [
  closed<SgdSpec>(
    'Gradient descent: w −= learningRate · g.',
    {
      type: tag('sgd', 'Gradient descent.'),
      learningRate: number('Length of a step.', positive),
    },
    ['type', 'learningRate'],
  ),
  closed<AdagradSpec>(
    'AdaGrad: n += g²; w −= learningRate · g / (√n + epsilon).',
    {
      type: tag('adagrad', 'AdaGrad, one sum of squares a weight.'),
      learningRate: number('Length of a step before the division.', positive),
      ...accumulator,
    },
    ['type', 'learningRate'],
  ),
  closed<RowwiseAdagradSpec>(
    'AdaGrad with one sum of squares a row: n += mean(g²).',
    {
      type: tag('rowwise-adagrad', 'AdaGrad, one sum of squares a row.'),
      learningRate: number('Length of a step before the division.', positive),
      ...accumulator,
    },
    ['type', 'learningRate'],
  ),
  closed<AdamSpec>(
    'Adam: running means of g and g², corrected for their start.',
    {
      type: tag('adam', 'Adam.'),
      learningRate: number('Length of a step.', positive),
      beta1: number('Memory of the mean of g. Default 0.9.', share),
      beta2: number('Memory of the mean of g². Default 0.999.', share),
      epsilon: number('Added to the root in the divisor. Default 1e-8.', positive),
    },
    ['type', 'learningRate'],
  ),
  closed<FtrlSpec>(
    'FTRL-Proximal.',
    {
      type: tag('ftrl', 'FTRL-Proximal.'),
      alpha: number('Length of a step.', positive),
      beta: number('Added to √Σg² in the divisor. Default 1.', positive),
      l1: number('Weights of smaller evidence than this stay 0. Default 0.', notNegative),
      l2: number('Pull towards 0. Default 0.', notNegative),
    },
    ['type', 'alpha'],
  ),
  closed<NewtonSpec>(
    'Diagonal Newton step: H += h; w −= g / (lambda + c·H), where h is the curvature.',
    {
      type: tag('newton', 'Diagonal Newton step.'),
      lambda: number('Prior precision of a weight. Default 1.', positive),
      c: number('Share of the accumulated curvature that damps the step. Default 1.', positive),
    },
    ['type'],
  ),
]);

const initializer = union('Values of a row before its first update.', [
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

const table = closed<TableSpec>(
  'Rows: an optional wide weight, then an optional embedding. One must be there.',
  {
    name: text('Name that fields refer to.', nameText),
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

const fieldName = text('Name in score requests and column in log files.', nameText);
const fieldScope = choice('Where a score request carries it. Default context.', ['user', 'item', 'context']);
const fieldTable = text('Table that holds its rows.', nameText);
const separator = text('Cuts a text into values. Default |.', { minLength: 1, maxLength: 8 });
const sharesKeysOf = text(
  'Takes the keys of that field, so that equal values of both meet in the same rows.',
  nameText,
);
const poolings = ['sum', 'mean', 'sqrtn'];

const transform = union('What is done to the number first.', [
  closed<{ type: 'none' }>('Nothing.', { type: tag('none', 'Nothing.') }, ['type']),
  closed<{ type: 'log1p' }>('sign(x)·ln(1 + |x|).', { type: tag('log1p', 'Logarithm.') }, ['type']),
  closed<{ type: 'standardize'; mean: number; deviation: number }>(
    '(x − mean) / deviation.',
    {
      type: tag('standardize', 'Centre and scale.'),
      mean: number('Taken off.'),
      deviation: number('Divides.', { exclusiveMinimum: 0 }),
    },
    ['type', 'mean', 'deviation'],
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

const field = union('An input feature.', [
  closed<SparseField>(
    'One value, hashed to one key.',
    {
      type: tag('sparse', 'One value.'),
      name: fieldName,
      scope: fieldScope,
      table: fieldTable,
      sharesKeysOf,
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

const cross = closed<CrossSpec>(
  'Every combination of the values of some fields is one key.',
  {
    name: text('Name of the cross.', nameText),
    fields: list('Fields that are combined.', text('A field.', nameText), {
      minItems: 2,
      maxItems: 8,
      uniqueItems: true,
    }),
    table: fieldTable,
  },
  ['name', 'fields', 'table'],
);

const layersNet = closed<LayersNet>(
  'logit = [wide sum] + [factorisation machine over the embeddings] + [layers over embeddings and dense fields].',
  {
    wide: flag('Adds the wide weights. Default false.'),
    fm: flag('Adds the factorisation machine. Default false.'),
    layers: list(
      'Fully connected layers, first to last; a linear layer of one unit is added behind them. None: no layers at all.',
      closed<LayerSpec>(
        'One layer.',
        {
          units: integer('Outputs of the layer.', 1, 4_096),
          activation: choice('Default relu.', ['relu', 'tanh', 'sigmoid', 'linear']),
        },
        ['units'],
      ),
      { maxItems: layersMax },
    ),
    optimizer: reference('optimizer', 'How the dense weights learn. Default adam, learning rate 0.001.'),
  },
  ['layers'],
);

const learning = closed<LearningSpec>(
  'How outcomes become updates.',
  {
    negatives: choice(
      'When an impression without an outcome counts as a negative: after-window (default), or at-once with a later click adding its own part of the gradient.',
      ['after-window', 'at-once'],
    ),
    joinWindowMs: number(
      'How long an impression waits for its outcomes, ms; later ones are refused. Default 30,000.',
      { minimum: 0, maximum: 86_400_000 },
    ),
    batchExamplesMax: integer('Examples of one gradient batch, at most. Default 512.', 1, 65_536),
    batchDelayMs: number('How long the first example of a batch waits for others, ms. Default 20.', {
      minimum: 0,
      maximum: 60_000,
    }),
  },
  [],
);

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
          'linear = wide; fm = wide + fm; deepfm = wide + fm + layers 64, 32; or an object with layers.',
        if: { type: 'object' },
        // biome-ignore lint/suspicious/noThenProperty: it is the keyword of JSON Schema; nothing awaits this object.
        then: layersNet,
        else: { enum: ['linear', 'fm', 'deepfm'] },
      },
      loss: { description: 'What is minimised.', enum: ['logloss'] },
      seed: integer('Seeds key hashing and the first values of rows and layers.', 0, 0xffff_ffff),
      learning,
    },
    ['name', 'label', 'tables', 'fields', 'net', 'loss', 'seed'],
  ),
  definitions: { optimizer, initializer, transform },
};
