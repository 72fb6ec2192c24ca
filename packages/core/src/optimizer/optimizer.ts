/**
 * What every optimizer is: a fixed number of state floats a row and one step, applied in place. Steps use only + − × ÷ and
 * sqrt on loaded float32 in double precision and round once when they store (I2), so every machine gets the same bits.
 */
export interface Optimizer {
  /** State floats of a row segment of `dim` weights. */
  stateFloats(dim: number): number;
  /** True when `step` reads curvature. */
  readonly needsCurvature: boolean;
  /** Fills the state of a fresh segment whose weights are already initialised. */
  start(row: SegmentView): void;
  /** Applies one summed gradient to one segment, in place. */
  step(row: SegmentView, gradient: GradientView): void;
}

/** One segment of one row inside the arenas; the object is reused, so nobody keeps it. */
export interface SegmentView {
  /** Weights arena, and the segment's first float in it. */
  w: Float32Array;
  wAt: number;
  /** State arena, and the segment's first float in it. */
  s: Float32Array;
  sAt: number;
  dim: number;
}

/** One row of gradients (and curvature) inside a block; reused likewise. */
export interface GradientView {
  /** float32, the segment's first gradient is g[at]. Only read. */
  g: Float32Array;
  /** float32 of the same layout; meaningless unless needsCurvature. Only read. */
  h: Float32Array;
  at: number;
}
