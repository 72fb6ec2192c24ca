/** Derives the sizes of a net and its starting weights from a model file. */
import type { AttentionSpec, LayerSpec, ModelFile, OptimizerSpec, TowersSpec } from '@millrace/protocol';
import { inputSides } from './input-sides.ts';
import {
  denseInputs,
  embeddingSources,
  hasDeep,
  momentFields,
  type NetParts,
  netPartsFrom,
  type TowerSide,
  towerSide,
} from './model-net.ts';
import type {
  AttentionShape,
  CrossNetShape,
  DeepShape,
  EmbeddingSlot,
  ImportedInput,
  ImportedShape,
  NetPart,
  NetShape,
  TowerShape,
} from './net-shape.ts';
import {
  createParameterPlan,
  type ParameterPlan,
  takeConstant,
  takeLayers,
  takeMatrix,
  takeZeros,
} from './parameter-plan.ts';

/** Values of a sequence that count, unless the field says otherwise. */
export const sequenceLengthDefault = 50;
const attentionUnitsDefault = 16;
/** Floats of a field's running moments in the dense state: count, mean, M2. */
export const momentFloats = 3;

const linearUnit: LayerSpec = { units: 1, activation: 'linear' };

/**
 * Sizes of the net of a checked model file (model-file.ts).
 *
 *   slots   fields whose table has an embedding, in file order, then crosses; none for a net that reads no embeddings
 *   dense   dense fields that are not bucketed, when layers or towers read them
 */
export function compileNet(file: ModelFile): NetShape {
  const parts = netPartsFrom(file.net);
  const plan = createParameterPlan();
  const slots: EmbeddingSlot[] = [];
  let slotFloats = 0;
  for (const { name, dim } of embeddingSources(file)) {
    slots.push({ name, offset: slotFloats, dim });
    slotFloats += dim;
  }
  let embeddingFloats = slotFloats;
  const attention: AttentionShape[] = [];
  for (const spec of parts.attention ?? []) {
    const shape = attentionFrom(file, spec, slots, embeddingFloats, plan);
    if (shape === null) continue;
    attention.push(shape);
    embeddingFloats += shape.lengthMax * shape.dim;
  }
  const dense = denseInputs(file);
  const read = { file, parts, slots, slotFloats, dense: dense.map(({ name }) => name), plan };
  const netParts = partsFrom(read);
  const moments = momentFields(file).map(({ name }) => name);
  return {
    hasWide: parts.wide,
    slots,
    slotFloats,
    embeddingFloats,
    denseFields: dense.length,
    sides: inputSides(file, slots, attention),
    attention,
    parts: netParts,
    imported: importedFrom(read),
    parameters: plan.parameters,
    initial: plan.initial,
    moments,
    denseParameters: plan.parameters + momentFloats * moments.length,
  };
}

/** How the dense weights learn: the net's optimizer, or Adam with learning rate 0.001. */
export function denseOptimizerOf(file: ModelFile): OptimizerSpec {
  return netPartsFrom(file.net).optimizer ?? { type: 'adam', learningRate: 0.001 };
}

/** What parts are made of. */
interface PartInputs {
  readonly file: ModelFile;
  readonly parts: NetParts;
  readonly slots: readonly EmbeddingSlot[];
  readonly slotFloats: number;
  readonly dense: readonly string[];
  readonly plan: ParameterPlan;
}

function partsFrom(read: PartInputs): NetPart[] {
  const { parts, slots, plan } = read;
  const made: NetPart[] = [];
  const dim = slots[0]?.dim ?? 0;
  if (parts.fm) made.push({ kind: 'fm', slots: slots.length, dim });
  if (parts.fwfm) {
    const offset = takeConstant(plan, pairsOf(slots.length), 1);
    made.push({ kind: 'fwfm', slots: slots.length, dim, offset });
  }
  if (hasDeep(parts)) made.push(deepFrom(read));
  if (parts.towers !== undefined) {
    const shared = towerFrom(read, parts.towers, 'shared');
    made.push({ kind: 'towers', shared, item: towerFrom(read, parts.towers, 'item') });
  }
  return made;
}

/** Names that the rules have found wanting are left out. */
function importedFrom({ parts: { imported }, slots, slotFloats, dense }: PartInputs): ImportedShape | null {
  if (imported === undefined) return null;
  const { format, file, sha256, output } = imported;
  const inputs = imported.inputs.map(({ name, fields }): ImportedInput => {
    const pieces = fields.flatMap((field) => {
      const slot = slots.find((candidate) => candidate.name === field);
      if (slot !== undefined) return [{ from: slot.offset, floats: slot.dim }];
      const place = dense.indexOf(field);
      return place < 0 ? [] : [{ from: slotFloats + place, floats: 1 }];
    });
    return { name, pieces, floats: pieces.reduce((sum, { floats }) => sum + floats, 0) };
  });
  return { format, file, sha256, inputs, output };
}

/** Null for names that the rules have found wanting. */
function attentionFrom(
  file: ModelFile,
  { sequence, target, units = attentionUnitsDefault }: AttentionSpec,
  slots: readonly EmbeddingSlot[],
  positionsOffset: number,
  plan: ParameterPlan,
): AttentionShape | null {
  const field = file.fields.find(({ name }) => name === sequence);
  const slot = slots.find(({ name }) => name === sequence);
  const targetSlot = slots.find(({ name }) => name === target);
  if (field?.type !== 'sequence' || slot === undefined || targetSlot === undefined) return null;
  const { dim } = slot;
  const layers = takeLayers(plan, [{ units }], 4 * dim);
  const kernelOffset = takeMatrix(plan, units, 1);
  // Each position weighs 1 at first: without it nothing would flow while the weights' net knows nothing.
  takeConstant(plan, 1, 1);
  return {
    sequence,
    target,
    dim,
    lengthMax: field.lengthMax ?? sequenceLengthDefault,
    slotOffset: slot.offset,
    targetOffset: targetSlot.offset,
    positionsOffset,
    layers: [...layers, { inputs: units, units: 1, activation: 'linear', kernelOffset }],
  };
}

function deepFrom({ parts, slots, slotFloats, dense, plan }: PartInputs): DeepShape {
  const pairs = pairsOf(slots.length);
  const dots = parts.dots ? { slots: slots.length, dim: slots[0]?.dim ?? 0, pairs } : null;
  const inputs = slotFloats + dense.length + (dots?.pairs ?? 0);
  const cross = crossFrom(parts, inputs, plan);
  const hidden = takeLayers(plan, parts.layers, inputs);
  const width = hidden.at(-1)?.units ?? inputs;
  // Without hidden layers a parallel network would stand beside nothing but its own input.
  const unitInputs = cross?.structure === 'parallel' ? width + inputs : width;
  const [unit] = takeLayers(plan, [linearUnit], unitInputs);
  return { kind: 'deep', inputs, dots, cross, hidden, unit };
}

function crossFrom({ cross }: NetParts, inputs: number, plan: ParameterPlan): CrossNetShape | null {
  if (cross === undefined) return null;
  const { rank = 0, structure = 'stacked' } = cross;
  const layers = Array.from({ length: cross.layers }, () => {
    const offset = takeMatrix(plan, inputs, rank === 0 ? inputs : rank);
    if (rank > 0) takeMatrix(plan, rank, inputs);
    return { offset, biasOffset: takeZeros(plan, inputs) };
  });
  return { inputs, rank, structure, layers };
}

function towerFrom(read: PartInputs, { layers }: TowersSpec, side: TowerSide): TowerShape {
  const { file, slots, slotFloats, dense, plan } = read;
  const inputs: number[] = [];
  for (const { name, offset, dim } of slots) {
    if (towerSide(file, name) === side) for (let d = 0; d < dim; d++) inputs.push(offset + d);
  }
  dense.forEach((name, place) => {
    if (towerSide(file, name) === side) inputs.push(slotFloats + place);
  });
  return { inputs, layers: takeLayers(plan, layers, inputs.length) };
}

function pairsOf(slots: number): number {
  return (slots * (slots - 1)) / 2;
}
