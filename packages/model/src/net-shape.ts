/**
 * The sizes of a net, derived once from a model file: what each engine needs to build its graph.
 *
 *   gathered   [ slots | positions of the 1st attended sequence | of the 2nd … ]     an example's embeddings, as gather writes them
 *   parameters [ attention … | fwfm | deep: cross, hidden, unit | towers: shared, item ]   one flat vector, behind it the moments
 *
 * Every part has forward and backward three times, in plain-, tfjs- and onnx-<part>.ts; a table of each engine names them.
 */
import type { ImportSpec } from '@millrace/protocol';

import type { InputSide } from './input-sides.ts';

/** One embedding input: a field or a cross with an embedding table. */
export interface EmbeddingSlot {
  readonly name: string;
  /** First float of this slot in an example's embeddings. */
  readonly offset: number;
  readonly dim: number;
}

/** One fully connected layer; its weights are float32[inputs, units] row-major, then the bias float32[units]. */
export interface DenseLayer {
  readonly inputs: number;
  readonly units: number;
  readonly activation: 'relu' | 'tanh' | 'sigmoid' | 'linear';
  /** Offset of the kernel in the flat parameters; the bias follows at kernelOffset + inputs · units. */
  readonly kernelOffset: number;
}

/**
 * A target's attention over a sequence (DIN): the pooled vector Σ_j a_j·h_j is added to the sequence's slot, where gather puts
 * nothing. a_j = layers([h_j, t, h_j − t, h_j ∘ t]), no softmax; positions beyond the length weigh nothing.
 */
export interface AttentionShape {
  readonly sequence: string;
  readonly target: string;
  readonly dim: number;
  readonly lengthMax: number;
  /** Slot of the sequence, and of the target, in an example's embeddings. */
  readonly slotOffset: number;
  readonly targetOffset: number;
  /** First float of the positions in an example's embeddings: float32[lengthMax, dim]. */
  readonly positionsOffset: number;
  /** 4·dim inputs, the hidden units, one weight. */
  readonly layers: readonly DenseLayer[];
}

/** Second-order interactions over all slots: 0.5 Σ_d ((Σ_s e_sd)² − Σ_s e_sd²). All slots have one dim. */
export interface FmShape {
  readonly kind: 'fm';
  readonly slots: number;
  readonly dim: number;
}

/** Field-weighted ones: Σ_{i<j} r_ij ⟨e_i, e_j⟩; r at `offset` in the order (0,1), (0,2) … (1,2) … */
export interface FwfmShape {
  readonly kind: 'fwfm';
  readonly slots: number;
  readonly dim: number;
  readonly offset: number;
}

/** W is float32[inputs, inputs] at `offset`; with a rank U float32[inputs, rank], then V float32[rank, inputs]. The bias follows. */
export interface CrossLayer {
  readonly offset: number;
  readonly biasOffset: number;
}

/** Cross network over x₀: xₗ₊₁ = x₀ ∘ (xₗ·W + b) + xₗ. */
export interface CrossNetShape {
  readonly inputs: number;
  /** 0: a full matrix. */
  readonly rank: number;
  readonly structure: 'stacked' | 'parallel';
  readonly layers: readonly CrossLayer[];
}

/** Pairwise dot products of all slots, in the order of FwfmShape. */
export interface DotsShape {
  readonly slots: number;
  readonly dim: number;
  readonly pairs: number;
}

/**
 * x₀ = [slots, dense, dots]; the hidden layers read x₀, or what a stacked cross network gives; the unit, linear and of one
 * output, reads the last of them, and behind that a parallel cross network's output.
 */
export interface DeepShape {
  readonly kind: 'deep';
  readonly inputs: number;
  readonly dots: DotsShape | null;
  readonly cross: CrossNetShape | null;
  readonly hidden: readonly DenseLayer[];
  readonly unit: DenseLayer;
}

/** One tower: what it reads of [slots, dense], and its layers. */
export interface TowerShape {
  /** Places in [slots, dense], ascending. */
  readonly inputs: readonly number[];
  readonly layers: readonly DenseLayer[];
}

/** ⟨shared(user and context fields), item(item fields)⟩. */
export interface TowersShape {
  readonly kind: 'towers';
  readonly shared: TowerShape;
  readonly item: TowerShape;
}

/** A net trained elsewhere, which is all that there is then. */
export interface ImportedShape {
  readonly format: ImportSpec['format'];
  readonly file: string;
  readonly sha256: string;
  readonly inputs: readonly ImportedInput[];
  readonly output: { readonly name: string; readonly gives: 'logit' | 'probability' };
}

/** float32[rows, floats]: pieces of [slots, dense], one behind the other. */
export interface ImportedInput {
  readonly name: string;
  readonly floats: number;
  readonly pieces: readonly { readonly from: number; readonly floats: number }[];
}

/** What adds a term to the logit beside the wide sum. */
export type NetPart = FmShape | FwfmShape | DeepShape | TowersShape;

/** How some consecutive parameters begin; those that no run names begin at 0. */
export interface InitialRun {
  readonly offset: number;
  readonly count: number;
  readonly start: { readonly uniform: number } | { readonly constant: number };
}

export interface NetShape {
  readonly hasWide: boolean;
  readonly slots: readonly EmbeddingSlot[];
  /** The sum of the slots' dims. */
  readonly slotFloats: number;
  /** Floats of an example's embeddings: the slots, then the positions of attended sequences. */
  readonly embeddingFloats: number;
  readonly denseFields: number;
  /** By float of [slots, dense]: whether the items of a request share it. */
  readonly sides: readonly InputSide[];
  readonly attention: readonly AttentionShape[];
  readonly parts: readonly NetPart[];
  readonly imported: ImportedShape | null;
  /** Floats of the net's own parameters; 0 when it has none. */
  readonly parameters: number;
  readonly initial: readonly InitialRun[];
  /** Dense fields with running moments; three floats each stand behind the parameters. */
  readonly moments: readonly string[];
  /** Floats of the dense state and of a dense gradient: parameters + 3 · moments. */
  readonly denseParameters: number;
}

/** True when the net multiplies by matrices, where a tensor library earns its calls. */
export function hasMatrices({ attention, parts }: NetShape): boolean {
  return attention.length > 0 || parts.some(({ kind }) => kind === 'deep' || kind === 'towers');
}
