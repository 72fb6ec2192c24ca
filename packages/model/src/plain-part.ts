/** What a part of a net is to the plain engine: a term of the logit of one example, and the way back. */

/** One example in work. */
export interface PlainExample {
  /** float64[slotFloats + denseFields]: [slots, dense], attention's pooled vectors in their slots. */
  readonly x: Float64Array;
  /** float64[slotFloats]: ∂loss/∂slots, the sum of what the parts add. */
  readonly slopes: Float64Array;
}

export interface PlainPart {
  /** The same term by what a request's items share and what they do not; null: it has no such parts. */
  readonly split: PlainSplit | null;
  /** The part's term of the logit. What backward wants of it is kept until the next example. */
  forward(example: PlainExample, parameters: Float32Array): number;
  /**
   * Adds to `example.slopes` and to the parameters' sums; right after forward of the same example.
   * @param gradient ∂loss/∂logit.
   * @param sums float64[parameters], added to.
   */
  backward(example: PlainExample, parameters: Float32Array, gradient: number, sums: Float64Array): void;
}

/**
 * A part's term with what the items of a request share computed once for all of them. Its value is forward's to the bit,
 * whichever items a request has and whatever was kept: forward adds in the same order.
 */
export interface PlainSplit {
  /** Begins a batch with these weights; what is an item's alone is kept from request to request where `keeps`. */
  use(parameters: Float32Array, keeps: boolean): void;
  /** Begins a request. @param example has its first item. */
  begin(example: PlainExample): void;
  /** The term of one item of the request. */
  item(example: PlainExample): number;
}
