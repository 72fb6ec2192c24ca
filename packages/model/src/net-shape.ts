/** The sizes of a net, derived once from a model file: what each engine needs to build its graph. */

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

export interface NetShape {
  readonly hasWide: boolean;
  /** Second-order interactions over all slots: 0.5 Σ_d ((Σ_s e_sd)² − Σ_s e_sd²). All slots have one dim then. */
  readonly hasFm: boolean;
  readonly slots: readonly EmbeddingSlot[];
  /** Floats of an example's embeddings: the sum of the slots' dims. */
  readonly embeddingFloats: number;
  readonly denseFields: number;
  /**
   * Layers over the concatenation [embeddings, dense]; the last one has one unit and is linear (added by the compiler of the
   * model file, not written by the user). Empty when the net has none; then `parameters` is 0.
   */
  readonly layers: readonly DenseLayer[];
  /** Floats of all layers together. */
  readonly parameters: number;
}
