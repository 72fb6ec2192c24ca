/** What a part of a net is to the plain engine: a term of the logit of one example, and the way back. */

/** One example in work. */
export interface PlainExample {
  /** float64[slotFloats + denseFields]: [slots, dense], attention's pooled vectors in their slots. */
  readonly x: Float64Array;
  /** float64[slotFloats]: ∂loss/∂slots, the sum of what the parts add. */
  readonly slopes: Float64Array;
}

export interface PlainPart {
  /** The part's term of the logit. What backward wants of it is kept until the next example. */
  forward(example: PlainExample, parameters: Float32Array): number;
  /**
   * Adds to `example.slopes` and to the parameters' sums; right after forward of the same example.
   * @param gradient ∂loss/∂logit.
   * @param sums float64[parameters], added to.
   */
  backward(example: PlainExample, parameters: Float32Array, gradient: number, sums: Float64Array): void;
}
