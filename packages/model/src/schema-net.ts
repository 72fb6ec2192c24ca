/** Schema of nets. */
import {
  type AttentionSpec,
  type CrossNetSpec,
  type ImportedNet,
  type ImportInput,
  type ImportSpec,
  type LayerSpec,
  type LayersNet,
  layersMax,
  type TowersSpec,
} from '@millrace/protocol';
import { nameText } from './schema-names.ts';
import { choice, closed, flag, integer, list, reference, type Schema, text } from './schema-parts.ts';

function layerList(description: string, bounds: Schema): Schema {
  return list(
    description,
    closed<LayerSpec>(
      'One layer.',
      {
        units: integer('Outputs of the layer.', 1, 4_096),
        activation: choice('Default relu.', ['relu', 'tanh', 'sigmoid', 'linear']),
      },
      ['units'],
    ),
    bounds,
  );
}

export const layersNet = closed<LayersNet>(
  'logit = [wide sum] + [factorisation machines over the embeddings] + [dot product of two towers] + [layers], each where the net has it.',
  {
    wide: flag('Adds the wide weights. Default false.'),
    fm: flag('Adds the factorisation machine. Default false.'),
    fwfm: flag('Adds the field-weighted factorisation machine. Default false.'),
    dots: flag('Gives the layers the pairwise dot products of the embeddings. Default false.'),
    cross: closed<CrossNetSpec>(
      "Cross network over the layers' inputs: x' = x0 ∘ (W·x + b) + x.",
      {
        layers: integer('Cross layers.', 1, layersMax),
        rank: integer('W = U·V of this rank. Default: a full matrix.', 1, 4_096),
        structure: choice(
          'stacked (default): the layers read what it gives; parallel: the last unit reads both.',
          ['stacked', 'parallel'],
        ),
      },
      ['layers'],
    ),
    attention: list(
      'Sequences that are weighed by what a target makes of them.',
      closed<AttentionSpec>(
        'One sequence and who asks.',
        {
          sequence: text('A sequence field.', nameText),
          target: text('A sparse field of the same embedding dim.', nameText),
          units: integer('Hidden units of the net that weighs a position. Default 16.', 1, 1_024),
        },
        ['sequence', 'target'],
      ),
      { minItems: 1, maxItems: 16 },
    ),
    towers: closed<TowersSpec>(
      'One tower over user and context fields, one over item fields; the logit has the dot product of their outputs.',
      { layers: layerList('Layers of each tower.', { minItems: 1, maxItems: layersMax }) },
      ['layers'],
    ),
    layers: layerList(
      'Fully connected layers, first to last; a linear layer of one unit is added behind them. None: no layers at all.',
      { maxItems: layersMax },
    ),
    optimizer: reference('optimizer', 'How the dense weights learn. Default adam, learning rate 0.001.'),
  },
  ['layers'],
);

export const importedNet = closed<ImportedNet>(
  'A net that was trained elsewhere. It is served; neither it nor the rows that it reads learn here.',
  {
    import: closed<ImportSpec>(
      'Where it is, and what goes in and comes out.',
      {
        format: choice(
          'An ONNX model, or a model.json of TensorFlow.js with its weights beside it: a layers model or a graph model.',
          ['onnx', 'tfjs-layers', 'tfjs-graph'],
        ),
        file: text('A file in MILL_NETS_DIR of every inference node, or in a folder there.', {
          pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$',
          $comment: 'a file name of letters, digits, dots, underscores and dashes, or folder/file',
        }),
        sha256: text(
          'SHA-256 of the file and, behind it, of the files with its weights, so that all nodes serve the same net.',
          {
            pattern: '^[0-9a-f]{64}$',
            $comment: '64 hexadecimal digits, as sha256sum writes them',
          },
        ),
        inputs: list(
          "The graph's inputs.",
          closed<ImportInput>(
            'float32[rows, floats]: embeddings and numbers of these fields side by side.',
            {
              name: text('Name in the graph.', { minLength: 1, maxLength: 200 }),
              fields: list('Fields, in this order.', text('A field or a cross.', nameText), { minItems: 1 }),
            },
            ['name', 'fields'],
          ),
          { minItems: 1, maxItems: 64 },
        ),
        output: closed<ImportSpec['output']>(
          "The graph's output, float32[rows] or [rows, 1].",
          {
            name: text('Name in the graph.', { minLength: 1, maxLength: 200 }),
            gives: choice('What it is.', ['logit', 'probability']),
          },
          ['name', 'gives'],
        ),
      },
      ['format', 'file', 'sha256', 'inputs', 'output'],
    ),
  },
  ['import'],
);
