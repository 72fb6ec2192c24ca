/**
 * The formulas of a net, written as plainly as can be in float64 and apart from the engines, so that these can be held to
 * finite differences.
 */
import type { NetInput } from '../src/engine.ts';
import type {
  AttentionShape,
  CrossNetShape,
  DeepShape,
  DenseLayer,
  FwfmShape,
  NetPart,
  NetShape,
  TowersShape,
} from '../src/net-shape.ts';

export interface ReferenceBatch {
  readonly rows: number;
  readonly wide: number[];
  readonly embeddings: number[];
  readonly dense: number[];
  readonly lengths: number[];
  readonly offsets: number[];
  readonly labels: number[];
  readonly weights: number[];
  readonly parameters: number[];
}

type Vector = readonly number[];

/** logit of example b. */
export function referenceLogit(shape: NetShape, batch: ReferenceBatch, b: number): number {
  const { parameters } = batch;
  const gathered = batch.embeddings.slice(b * shape.embeddingFloats, (b + 1) * shape.embeddingFloats);
  const flat = gathered.slice(0, shape.slotFloats);
  shape.attention.forEach((attention, s) => {
    const length = batch.lengths[b * shape.attention.length + s];
    pooled(attention, gathered, length, parameters).forEach((value, d) => {
      flat[attention.slotOffset + d] += value;
    });
  });
  const slots = shape.slots.map(({ offset, dim }) => flat.slice(offset, offset + dim));
  const dense = batch.dense.slice(b * shape.denseFields, (b + 1) * shape.denseFields);
  const terms = shape.parts.map((part) => termOf(part, slots, dense, parameters));
  return terms.reduce((sum, term) => sum + term, shape.hasWide ? batch.wide[b] : 0);
}

function termOf(part: NetPart, slots: readonly Vector[], dense: Vector, parameters: Vector): number {
  switch (part.kind) {
    case 'fm':
      return sumOf(dotsOf(slots));
    case 'fwfm':
      return weightedDots(part, slots, parameters);
    case 'deep':
      return deepOf(part, slots, dense, parameters);
    case 'towers':
      return towersOf(part, [...slots.flat(), ...dense], parameters);
  }
}

/** Σ_j a_j·h_j over the positions that count. */
function pooled(shape: AttentionShape, gathered: Vector, length: number, parameters: Vector): Vector {
  const { dim, targetOffset, positionsOffset, layers } = shape;
  const t = gathered.slice(targetOffset, targetOffset + dim);
  let sum: Vector = t.map(() => 0);
  for (let j = 0; j < length; j++) {
    const h = gathered.slice(positionsOffset + j * dim, positionsOffset + (j + 1) * dim);
    const compared = [...h, ...t, ...h.map((x, d) => x - t[d]), ...h.map((x, d) => x * t[d])];
    const [weight] = throughLayers(layers, compared, parameters);
    sum = sum.map((x, d) => x + weight * h[d]);
  }
  return sum;
}

function weightedDots({ offset }: FwfmShape, slots: readonly Vector[], parameters: Vector): number {
  return sumOf(dotsOf(slots).map((dot, pair) => parameters[offset + pair] * dot));
}

function deepOf(shape: DeepShape, slots: readonly Vector[], dense: Vector, parameters: Vector): number {
  const start = [...slots.flat(), ...dense, ...(shape.dots === null ? [] : dotsOf(slots))];
  const crossed = shape.cross === null ? start : throughCross(shape.cross, start, parameters);
  const isParallel = shape.cross?.structure === 'parallel';
  const hidden = throughLayers(shape.hidden, isParallel ? start : crossed, parameters);
  return throughLayers([shape.unit], isParallel ? [...hidden, ...crossed] : hidden, parameters)[0];
}

/** x' = x0 ∘ (W·x + b) + x, where W[i][u] = Σ_k U[i][k]·V[k][u] when there is a rank. */
function throughCross({ inputs, rank, layers }: CrossNetShape, start: Vector, parameters: Vector): Vector {
  let x = start;
  for (const { offset, biasOffset } of layers) {
    const weight = (i: number, u: number) => {
      if (rank === 0) return parameters[offset + i * inputs + u];
      let sum = 0;
      for (let k = 0; k < rank; k++) {
        sum += parameters[offset + i * rank + k] * parameters[offset + inputs * rank + k * inputs + u];
      }
      return sum;
    };
    const before = x;
    x = start.map((x0, u) => {
      const product = sumOf(before.map((value, i) => value * weight(i, u)));
      return x0 * (product + parameters[biasOffset + u]) + before[u];
    });
  }
  return x;
}

function towersOf({ shared, item }: TowersShape, read: Vector, parameters: Vector): number {
  const [a, b] = [shared, item].map(({ inputs, layers }) =>
    throughLayers(
      layers,
      inputs.map((place) => read[place]),
      parameters,
    ),
  );
  return dotOf(a, b);
}

function throughLayers(layers: readonly DenseLayer[], inputs: Vector, parameters: Vector): Vector {
  let x = inputs;
  for (const { inputs: width, units, activation, kernelOffset } of layers) {
    const outputs: number[] = [];
    for (let u = 0; u < units; u++) {
      let z = parameters[kernelOffset + width * units + u];
      for (let i = 0; i < width; i++) z += x[i] * parameters[kernelOffset + i * units + u];
      outputs.push(activated(activation, z));
    }
    x = outputs;
  }
  return x;
}

/** Of every pair of slots, (0,1), (0,2) … (1,2) …: the definition that linear-time forms must equal. */
function dotsOf(slots: readonly Vector[]): number[] {
  return slots.flatMap((a, s) => slots.slice(s + 1).map((b) => dotOf(a, b)));
}

function dotOf(a: Vector, b: Vector): number {
  return sumOf(a.map((x, d) => x * b[d]));
}

function sumOf(values: Vector): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Weighted logloss of example b at its offset logit: −ln p = ln(1 + e^−z), −ln(1 − p) = ln(1 + e^z). */
export function referenceLoss(shape: NetShape, batch: ReferenceBatch, b: number): number {
  const z = referenceLogit(shape, batch, b) + batch.offsets[b];
  const [positive, negative] = [Math.log1p(Math.exp(-z)), Math.log1p(Math.exp(z))];
  return batch.weights[b] * (batch.labels[b] * positive + (1 - batch.labels[b]) * negative);
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
    lengths: Int32Array.from([...batch.lengths, 1_000_000]),
    ...(batch.offsets.some((offset) => offset !== 0) && { offsets: longer(batch.offsets) }),
  };
}

/**
 * A batch of float32 values from a small generator, so that the engines see exactly the reference's numbers. Sequences are
 * full, empty, of one value and so on in turn; what stands at positions that do not count is as wild as the rest.
 */
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
    lengths: Array.from({ length: rows }, (_, b) =>
      shape.attention.map(({ lengthMax }, s) => [lengthMax, 0, 1, Math.min(2, lengthMax)][(b + s) % 4]),
    ).flat(),
    offsets: Array.from({ length: rows }, () => 0),
    labels: draw(rows, 1).map((x) => (x > 0 ? 1 : 0)),
    weights: draw(rows, 1).map((x) => Math.fround(1 + 0.5 * x)),
    parameters: [...parameters],
  };
}

function activated(activation: 'relu' | 'tanh' | 'sigmoid' | 'linear', z: number): number {
  if (activation === 'relu') return Math.max(z, 0);
  if (activation === 'tanh') return Math.tanh(z);
  return activation === 'sigmoid' ? 1 / (1 + Math.exp(-z)) : z;
}
