/**
 * Smaller nets out of a learned one: hidden units that do least taken away, so that every product with their layer is smaller;
 * or single weights set to 0, which makes a net shorter to store but no faster in dense products.
 */
import type { LayersNet, ModelFile } from '@millrace/protocol';
import { compileNet } from './compile-model.ts';
import { netPartsFrom } from './model-net.ts';
import type { DeepShape, DenseLayer, NetShape } from './net-shape.ts';

/** Units of the hidden layers; empty for a net without them. */
export function hiddenUnitsOf(file: ModelFile): readonly number[] {
  return netPartsFrom(file.net).layers.map(({ units }) => units);
}

/** The same model with hidden layers of other sizes, as many as it has. */
export function withHiddenUnits(file: ModelFile, units: readonly number[]): ModelFile {
  const { wide, fm, fwfm, dots, ...rest } = netPartsFrom(file.net);
  const net: LayersNet = {
    ...(wide && { wide }),
    ...(fm && { fm }),
    ...(fwfm && { fwfm }),
    ...(dots && { dots }),
    ...rest,
    layers: rest.layers.map((layer, l) => ({ ...layer, units: units[l] })),
  };
  return { ...file, net };
}

/** A net with fewer hidden units, and the weights that it keeps. */
export interface NarrowNet {
  readonly file: ModelFile;
  /** float32[denseParameters] of `file`: what was learned of the units that stay, and all that is not of the hidden layers. */
  readonly weights: Float32Array;
}

/**
 * Keeps of each hidden layer the units with the largest ‖weights in‖ · ‖weights out‖, in their order: a unit that reads or is
 * read by next to nothing is missed least.
 * @param weights float32[denseParameters]: the net's dense state.
 * @param share of each layer's units that stay, 0 < share ≤ 1; at least one does.
 */
export function narrowNet(file: ModelFile, weights: Float32Array, share: number): NarrowNet {
  const shape = compileNet(file);
  const deep = deepOf(shape);
  if (deep === null || deep.hidden.length === 0) return { file, weights: weights.slice() };
  const chain = [...deep.hidden, deep.unit];
  const kept = deep.hidden.map((layer, l) => keptUnits(layer, chain[l + 1], weights, share));
  const narrow = withHiddenUnits(
    file,
    kept.map(({ length }) => length),
  );
  const narrowShape = compileNet(narrow);
  const narrowChain = chainOf(deepOf(narrowShape) as DeepShape);
  const to = new Float32Array(narrowShape.denseParameters);
  // What stands before the layers and behind them is laid out alike in both.
  to.set(weights.subarray(0, chain[0].kernelOffset));
  to.set(weights.subarray(endOf(deep.unit)), endOf(narrowChain[narrowChain.length - 1]));
  for (const [l, layer] of chain.entries()) {
    const inputs = inputsKept(layer, kept[l - 1], chain[l - 1]);
    const units = kept[l] ?? allOf(layer.units);
    copyLayer(weights, layer, to, narrowChain[l], inputs, units);
  }
  return { file: narrow, weights: to };
}

/**
 * Marks the weights that stay when the smallest `share` of those in hidden layers and the unit go; biases and other parts stay.
 * @returns uint8[parameters]: 1 stays, 0 goes.
 */
export function magnitudeMask(shape: NetShape, weights: Float32Array, share: number): Uint8Array {
  const mask = new Uint8Array(shape.parameters).fill(1);
  const deep = deepOf(shape);
  if (deep === null) return mask;
  const places = chainOf(deep).flatMap(({ kernelOffset, inputs, units }) =>
    Array.from({ length: inputs * units }, (_, i) => kernelOffset + i),
  );
  places.sort((a, b) => Math.abs(weights[a]) - Math.abs(weights[b]) || a - b);
  for (const place of places.slice(0, Math.floor(share * places.length))) mask[place] = 0;
  return mask;
}

function deepOf({ parts }: NetShape): DeepShape | null {
  return (parts.find(({ kind }) => kind === 'deep') as DeepShape | undefined) ?? null;
}

function chainOf({ hidden, unit }: DeepShape): readonly DenseLayer[] {
  return [...hidden, unit];
}

function endOf({ kernelOffset, inputs, units }: DenseLayer): number {
  return kernelOffset + inputs * units + units;
}

function keptUnits(layer: DenseLayer, next: DenseLayer, weights: Float32Array, share: number): number[] {
  const { inputs, units, kernelOffset } = layer;
  const scores = Array.from({ length: units }, (_, u) => {
    let [into, out] = [0, 0];
    for (let i = 0; i < inputs; i += 1) into += weights[kernelOffset + i * units + u] ** 2;
    for (let n = 0; n < next.units; n += 1) out += weights[next.kernelOffset + u * next.units + n] ** 2;
    return into * out;
  });
  return allOf(units)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, Math.max(1, Math.round(share * units)))
    .sort((a, b) => a - b);
}

/** Inputs that stay: those of kept units, and what a parallel cross network adds behind them. */
function inputsKept(layer: DenseLayer, kept: number[] | undefined, before: DenseLayer | undefined): number[] {
  if (kept === undefined || before === undefined) return allOf(layer.inputs);
  return [...kept, ...allOf(layer.inputs - before.units).map((place) => before.units + place)];
}

function allOf(count: number): number[] {
  return Array.from({ length: count }, (_, place) => place);
}

function copyLayer(
  from: Float32Array,
  source: DenseLayer,
  to: Float32Array,
  target: DenseLayer,
  inputs: readonly number[],
  units: readonly number[],
): void {
  for (const [i, input] of inputs.entries()) {
    for (const [u, unit] of units.entries())
      to[target.kernelOffset + i * units.length + u] =
        from[source.kernelOffset + input * source.units + unit];
  }
  const sourceBias = source.kernelOffset + source.inputs * source.units;
  const targetBias = target.kernelOffset + target.inputs * target.units;
  for (const [u, unit] of units.entries()) to[targetBias + u] = from[sourceBias + unit];
}
