/**
 * The dense part behind one interface: what comes in is already gathered and pooled (net-input.ts), what goes out are
 * logits and gradients. Engines differ in speed only; a conformance test holds each to the plain one.
 *
 *   logit[b] = wide[b] + Σ_parts part(slots[b] ++ dense[b])      slots: the embeddings, attended sequences pooled (NetShape)
 */
import type { GatherBatch, GatherPlan } from './gather.ts';
import type { NetShape } from './net-shape.ts';

/** Engine names, best first; the order in which `auto` tries them. */
export const engineNames = [
  'onnx-tensorrt',
  'onnx-cuda',
  'tfjs-node-gpu',
  'onnx',
  'webgpu',
  'tfjs-node',
  'wasm',
  'cpu',
  'plain',
] as const;
export type EngineName = (typeof engineNames)[number];

/** Gathered inputs of one batch. Arrays may be longer than needed; only the leading part is read. Owned by the caller. */
export interface NetInput {
  /** Examples in the batch, ≥ 1. */
  readonly rows: number;
  /** float32[rows]: sum over an example's keys of x · wide weight. All 0 when the net has no wide part. */
  readonly wide: Float32Array;
  /**
   * float32[rows, embeddingFloats], row-major: pooled embeddings, one slot after another (NetShape.slots), then the positions of
   * attended sequences (AttentionShape.positionsOffset).
   */
  readonly embeddings: Float32Array;
  /** float32[rows, denseFields], row-major: transformed dense fields. */
  readonly dense: Float32Array;
  /** int32[rows, attention], row-major: how many positions of each attended sequence count, 0 … lengthMax. */
  readonly lengths: Int32Array;
  /**
   * float32[rows], added to the logit where `gradients` takes the sigmoid; logits are told without it. −ln(rate) where
   * negatives are learned at that rate: the net then learns what it would of all of them.
   */
  readonly offsets?: Float32Array;
  /**
   * int32[requests]: the first row of each request, ascending from 0; its rows go on to the next one's first. The items of a
   * request have its shared inputs alike (NetShape.sides), so what they come to is computed once. Embeddings of that side stand
   * in the first row of a request; in its others an engine neither trusts nor keeps what is there. Absent: each row by itself,
   * which may give other last bits than a request of that one row.
   */
  readonly requests?: { readonly starts: Int32Array; readonly count: number };
}

/** One batch of requests before it is gathered. Arrays of `batch` and `rows` lie in memory that threads share; owned by the caller. */
export interface RowsInput {
  readonly plan: GatherPlan;
  readonly batch: GatherBatch & { readonly lengths: Int32Array };
  /** For each table float32[unique, dim]. */
  readonly rows: readonly Float32Array[];
  /** As NetInput's. */
  readonly dense: Float32Array;
}

/** Results of one training step; filled by the engine, owned by the caller, grown by the caller. */
export interface Gradients {
  /** float32[rows]: logits at the weights used. */
  readonly logits: Float32Array;
  /**
   * float32[rows]: ∂loss_b/∂logit_b = shown_b · sigmoid(logit_b + offset_b) − clicked_b. Also the gradient of `wide`.
   */
  readonly logitGradients: Float32Array;
  /** float32[rows, embeddingFloats]: ∂loss_b/∂embeddings_b, one row an example, not summed over the batch. */
  readonly embeddings: Float32Array;
  /**
   * float32[parameters] or longer: Σ_b ∂loss_b/∂parameter, laid out as NetShape.parameters. A sum, since a mean would weigh an
   * example by the company it keeps: a small batch of clicks as much as a large one of impressions.
   */
  readonly parameters: Float32Array;
}

/** Dense weights made ready for one engine (tensors, device memory). */
export interface LoadedWeights {
  dispose(): void;
}

/**
 * One net on one engine. Calls do not overlap: a caller awaits one before the next. An engine that has nothing to wait for is
 * done when a call returns, and returns undefined: who runs step after step in one process need not give up its turn for each.
 */
export interface Program {
  /**
   * Makes weights ready beside those in use (the back buffer of a hot swap).
   * @param weights float32[parameters] or longer, NetShape.parameters; copied.
   */
  load(weights: Float32Array): LoadedWeights;
  /**
   * Puts weights in the memory of some that no pass reads any more, so that a swap makes no garbage. Absent: the engine cannot
   * overwrite what it has loaded.
   * @param weights as for load; copied.
   */
  reload?(loaded: LoadedWeights, weights: Float32Array): void;
  /**
   * Has the thread of `forwardBeside` make weights ready, too, where it is wanted now. A step of its own: to hand them over takes about
   * as long as to load them. Absent: there is no such thread, or it needs nothing of that.
   */
  loadBeside?(loaded: LoadedWeights): void;
  /** Writes `rows` logits to `logits`. */
  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> | undefined;
  /**
   * As `forward` of what `gather` makes of the input, requests and all, both in another thread. Absent: the engine has none.
   * @returns null where there is no need for it, or it is not ready; a promise of false where it failed. Then `forward` has to be
   *   called, and `logits` mean nothing.
   */
  forwardBeside?(loaded: LoadedWeights, input: RowsInput, logits: Float32Array): Promise<boolean> | null;
  /**
   * Forward and backward of
   *   loss_b = shown_b · ln(1 + exp(z_b)) − clicked_b · z_b,   z_b = logit_b + offset_b
   * which for shown = w and clicked = w · label is the logloss with weight w, and lets a click be learned later than the
   * impression that it belongs to: shown 1, clicked 0 first, then shown 0, clicked 1.
   * @param shown float32[rows], ≥ 0.
   * @param clicked float32[rows].
   */
  gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): Promise<void> | undefined;
  dispose(): void;
}

/** What an engine runs on, where its library says. */
export interface EngineDevice {
  readonly name: string;
  /** A processor plays the GPU: right, and slower than any other engine, so that `auto` passes it over. */
  readonly isSoftware: boolean;
}

export interface Engine {
  readonly name: EngineName;
  readonly device?: EngineDevice;
  compile(shape: NetShape): Program;
  dispose(): void;
}
