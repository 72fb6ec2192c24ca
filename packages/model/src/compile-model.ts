/** Derives the sizes of a net and its starting weights from a model file. */
import type { LayerSpec, ModelFile, OptimizerSpec } from '@millrace/protocol';
import { denseInputs, embeddingSources, netPartsFrom } from './model-net.ts';
import type { DenseLayer, EmbeddingSlot, NetShape } from './net-shape.ts';

/**
 * Sizes of the net of a checked model file (model-file.ts).
 *
 *   slots   fields whose table has an embedding, in file order, then crosses; none for a net without fm and layers
 *   dense   dense fields that are not bucketed, when there are layers
 *   layers  those of the file (deepfm: 64, 32 relu), then one linear unit
 */
export function compileNet(file: ModelFile): NetShape {
  const parts = netPartsFrom(file.net);
  const slots: EmbeddingSlot[] = [];
  let embeddingFloats = 0;
  for (const { name, dim } of embeddingSources(file)) {
    slots.push({ name, offset: embeddingFloats, dim });
    embeddingFloats += dim;
  }
  const denseFields = denseInputs(file);
  return {
    hasWide: parts.wide,
    hasFm: parts.fm,
    slots,
    embeddingFloats,
    denseFields,
    ...layersFrom(parts.layers, embeddingFloats + denseFields),
  };
}

/** Lays out layers one after another in the flat parameters, the last linear unit added; none when `specs` is empty. */
export function layersFrom(
  specs: readonly LayerSpec[],
  inputs: number,
): { readonly layers: readonly DenseLayer[]; readonly parameters: number } {
  const layers: DenseLayer[] = [];
  let parameters = 0;
  let width = inputs;
  const all: readonly LayerSpec[] = specs.length === 0 ? [] : [...specs, { units: 1, activation: 'linear' }];
  for (const { units, activation = 'relu' } of all) {
    layers.push({ inputs: width, units, activation, kernelOffset: parameters });
    parameters += width * units + units;
    width = units;
  }
  return { layers, parameters };
}

/** How the dense weights learn: the net's optimizer, or Adam with learning rate 0.001. */
export function denseOptimizerOf(file: ModelFile): OptimizerSpec {
  const chosen = typeof file.net === 'object' ? file.net.optimizer : undefined;
  return chosen ?? { type: 'adam', learningRate: 0.001 };
}
