/** The formulas of a net, written as plainly as can be in float64, so that an engine can be held to finite differences. */
import type { NetInput } from '../src/engine.ts';
import type { NetShape } from '../src/net-shape.ts';

export interface ReferenceBatch {
  readonly rows: number;
  readonly wide: number[];
  readonly embeddings: number[];
  readonly dense: number[];
  readonly labels: number[];
  readonly weights: number[];
  readonly parameters: number[];
}

/** logit of example b. */
export function referenceLogit(shape: NetShape, batch: ReferenceBatch, b: number): number {
  const slots = shape.slots.map(({ offset, dim }) => {
    const start = b * shape.embeddingFloats + offset;
    return batch.embeddings.slice(start, start + dim);
  });
  let logit = shape.hasWide ? batch.wide[b] : 0;
  if (shape.hasFm) logit += pairwiseProducts(slots);
  if (shape.layers.length > 0) {
    let x = [...slots.flat(), ...batch.dense.slice(b * shape.denseFields, (b + 1) * shape.denseFields)];
    for (const { inputs, units, activation, kernelOffset } of shape.layers) {
      const outputs: number[] = [];
      for (let u = 0; u < units; u++) {
        let z = batch.parameters[kernelOffset + inputs * units + u];
        for (let i = 0; i < inputs; i++) z += x[i] * batch.parameters[kernelOffset + i * units + u];
        outputs.push(activated(activation, z));
      }
      x = outputs;
    }
    logit += x[0];
  }
  return logit;
}

/** Weighted logloss of example b, by the textbook formula. */
export function referenceLoss(shape: NetShape, batch: ReferenceBatch, b: number): number {
  const p = 1 / (1 + Math.exp(-referenceLogit(shape, batch, b)));
  return -batch.weights[b] * (batch.labels[b] * Math.log(p) + (1 - batch.labels[b]) * Math.log(1 - p));
}

export function referenceLossSum(shape: NetShape, batch: ReferenceBatch): number {
  let sum = 0;
  for (let b = 0; b < batch.rows; b++) sum += referenceLoss(shape, batch, b);
  return sum;
}

/** The same batch for an engine. Its arrays are longer than needed, as a caller's grown buffers are. */
export function inputFrom(batch: ReferenceBatch): NetInput {
  const longer = (values: readonly number[]) => Float32Array.from([...values, NaN, NaN, NaN]);
  return {
    rows: batch.rows,
    wide: longer(batch.wide),
    embeddings: longer(batch.embeddings),
    dense: longer(batch.dense),
  };
}

/** A batch of float32 values from a small generator, so that the engines see exactly the reference's numbers. */
export function referenceBatch(
  shape: NetShape,
  rows: number,
  parameters: Float32Array,
  seed: number,
): ReferenceBatch {
  let state = seed;
  const draw = (count: number, scale: number) =>
    Array.from({ length: count }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.fround((state / 2 ** 31 - 1) * scale);
    });
  return {
    rows,
    wide: draw(rows, 1),
    embeddings: draw(rows * shape.embeddingFloats, 1),
    dense: draw(rows * shape.denseFields, 2),
    labels: draw(rows, 1).map((x) => (x > 0 ? 1 : 0)),
    weights: draw(rows, 1).map((x) => Math.fround(1 + 0.5 * x)),
    parameters: [...parameters],
  };
}

/** Σ over pairs of slots of their dot product: the definition that the engines' linear-time form must equal. */
function pairwiseProducts(slots: readonly (readonly number[])[]): number {
  let sum = 0;
  for (let s = 0; s < slots.length; s++) {
    for (let t = s + 1; t < slots.length; t++) {
      for (let d = 0; d < slots[s].length; d++) sum += slots[s][d] * slots[t][d];
    }
  }
  return sum;
}

function activated(activation: 'relu' | 'tanh' | 'sigmoid' | 'linear', z: number): number {
  if (activation === 'relu') return Math.max(z, 0);
  if (activation === 'tanh') return Math.tanh(z);
  return activation === 'sigmoid' ? 1 / (1 + Math.exp(-z)) : z;
}
