/**
 * What a part of a net is in an ONNX graph. As in the other engines backward is written out by hand beside forward; here both
 * are operators of one graph, so what backward wants of forward is there already. A matrix is transposed inside a product
 * (Gemm's transA and transB), which ONNX Runtime does while it packs operands, at no cost.
 */
import type { GraphWriter, Value } from './onnx-graph.ts';

/** A batch as parts read it. */
export interface OnnxExamples {
  /** [rows, slotFloats], attention's pooled vectors in their slots; null when there are no slots. */
  readonly slots: Value | null;
  readonly slotFloats: number;
  /** [rows, slotFloats + denseFields]: [slots, dense]; null when there are neither. */
  readonly all: Value | null;
  readonly denseFields: number;
}

/** ∂loss/∂ parameters from `offset` on, summed over the batch. */
export interface OnnxParameterGradient {
  readonly offset: number;
  readonly dims: readonly number[];
  readonly value: Value;
}

export interface OnnxGradients {
  /** [rows, slotFloats], null when the part does not read slots. */
  readonly slots: Value | null;
  readonly parameters: readonly OnnxParameterGradient[];
}

/** A part's term of the logits, and the way back from it. */
export interface OnnxTerm {
  /** [rows] */
  readonly logits: Value;
  /** @param logitGradients [rows]: ∂loss_b/∂logit_b. */
  backward(logitGradients: Value): OnnxGradients;
}

export type OnnxPart<S> = (graph: GraphWriter, shape: S, examples: OnnxExamples) => OnnxTerm;

/** a + b, of which either may be absent. */
export function sumOf(graph: GraphWriter, a: Value | null, b: Value | null): Value | null {
  if (a === null || b === null) return a ?? b;
  return graph.add(a, b);
}
