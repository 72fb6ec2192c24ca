/** Whether a file and weights can be a version of a model. */
import { areFinite, canonicalJson, momentFloats } from '@millrace/core';
import { compileNet, parseModelFile } from '@millrace/model';
import { MillraceError, type ModelFile } from '@millrace/protocol';

/** Dense weights of a file's net: its parameters, then its fields' running moments. */
export function denseFloatsOf(file: ModelFile): number {
  const { parameters, moments } = compileNet(file);
  return parameters + momentFloats * moments.length;
}

/**
 * The file of a version, checked: it reads the model's rows by the model's features; its net is its own.
 * @throws MILL_MODEL_INVALID, MILL_VERSION_INVALID
 */
export function versionFileFrom(model: ModelFile, value: unknown, weights: Float32Array): ModelFile {
  const file = parseModelFile(value);
  if (canonicalJson(rowsPartOf(file)) !== canonicalJson(rowsPartOf(model)))
    throw new MillraceError(
      'MILL_VERSION_INVALID',
      `file: wanted the tables, fields, crosses, partitions and seed of "${model.name}", since a version reads its rows, found others; only the net may differ`,
    );
  const wanted = denseFloatsOf(file);
  if (weights.length !== wanted)
    throw new MillraceError(
      'MILL_VERSION_INVALID',
      `weights: wanted ${wanted} floats for the net of its file, found ${weights.length}`,
    );
  if (!areFinite(weights))
    throw new MillraceError('MILL_VERSION_INVALID', 'weights: wanted finite ones, found others');
  return file;
}

/** What gives rows their meaning. */
function rowsPartOf({ $schema: _schema, learning: _learning, net: _net, ...rows }: ModelFile) {
  return rows;
}
