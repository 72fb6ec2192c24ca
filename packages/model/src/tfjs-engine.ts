/** One engine over whatever backend TensorFlow.js has been set to; tfjs-backends.ts opens the backend. */
import { invariant } from '@millrace/protocol';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Engine, EngineName, Gradients, LoadedWeights, NetInput, Program } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import { backwardGraph, forwardGraph, type InputTensors, type LayerTensors, type Tf } from './tfjs-graph.ts';

/** TensorFlow.js with its backend initialised and set. */
export interface TfjsBackend {
  readonly name: EngineName;
  readonly tf: Tf;
  /** What tf.getBackend() says while this backend is in use. */
  readonly backendName: string;
}

/**
 * Wraps an opened backend. The library has one current backend in a process: opening another engine takes it over, and
 * programs of the earlier one then fail instead of running elsewhere than their name says.
 */
export function createTfjsEngine(backend: TfjsBackend): Engine {
  const programs = new Set<TfjsProgram>();
  return {
    name: backend.name,
    compile(shape) {
      const program = new TfjsProgram(backend, shape, () => programs.delete(program));
      programs.add(program);
      return program;
    },
    dispose() {
      for (const program of [...programs]) program.dispose();
    },
  };
}

class TfjsWeights implements LoadedWeights {
  readonly layers: readonly LayerTensors[];
  readonly #onDispose: (weights: TfjsWeights) => void;

  constructor(layers: readonly LayerTensors[], onDispose: (weights: TfjsWeights) => void) {
    this.layers = layers;
    this.#onDispose = onDispose;
  }

  /** May be called again: a disposed tensor ignores it. */
  dispose(): void {
    for (const { kernel, bias } of this.layers) {
      kernel.dispose();
      bias.dispose();
    }
    this.#onDispose(this);
  }
}

class TfjsProgram implements Program {
  readonly #backend: TfjsBackend;
  readonly #shape: NetShape;
  readonly #onDispose: () => void;
  readonly #loaded = new Set<TfjsWeights>();

  constructor(backend: TfjsBackend, shape: NetShape, onDispose: () => void) {
    this.#backend = backend;
    this.#shape = shape;
    this.#onDispose = onDispose;
  }

  load(weights: Float32Array): LoadedWeights {
    const layers = layerTensors(this.#tf(), this.#shape, weights);
    const loaded = new TfjsWeights(layers, (gone) => this.#loaded.delete(gone));
    this.#loaded.add(loaded);
    return loaded;
  }

  async forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> {
    const tf = this.#tf();
    tf.tidy(() => {
      const { layers } = loaded as TfjsWeights;
      copy(forwardGraph(tf, this.#shape, layers, tensorsFrom(tf, this.#shape, input)).logits, logits);
    });
  }

  async gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): Promise<void> {
    const tf = this.#tf();
    const { rows } = input;
    tf.tidy(() => {
      const { layers } = loaded as TfjsWeights;
      const tensors = tensorsFrom(tf, this.#shape, input);
      const trace = forwardGraph(tf, this.#shape, layers, tensors);
      const expected = tf.mul(tf.sigmoid(trace.logits), tf.tensor1d(shown.subarray(0, rows)));
      const logitGradients: Tensor1D = tf.sub(expected, tf.tensor1d(clicked.subarray(0, rows)));
      const result = backwardGraph(tf, this.#shape, layers, tensors, trace, logitGradients);
      copy(trace.logits, out.logits);
      copy(logitGradients, out.logitGradients);
      if (result.embeddings !== undefined) copy(result.embeddings, out.embeddings);
      this.#shape.layers.forEach(({ inputs, units, kernelOffset }, l) => {
        out.parameters.set(result.kernels[l].dataSync(), kernelOffset);
        out.parameters.set(result.biases[l].dataSync(), kernelOffset + inputs * units);
      });
    });
  }

  dispose(): void {
    for (const loaded of [...this.#loaded]) loaded.dispose();
    this.#onDispose();
  }

  #tf(): Tf {
    const { tf, name, backendName } = this.#backend;
    invariant(tf.getBackend() === backendName, `engine ${name}: the backend in use is ${tf.getBackend()}`);
    return tf;
  }
}

/** The CPU backend keeps the array that it is given, and the caller may write to its own: hence the copies. */
function layerTensors(tf: Tf, shape: NetShape, parameters: Float32Array): LayerTensors[] {
  return shape.layers.map(({ inputs, units, kernelOffset }) => {
    const biasOffset = kernelOffset + inputs * units;
    return {
      kernel: tf.tensor2d(parameters.slice(kernelOffset, biasOffset), [inputs, units]),
      bias: tf.tensor1d(parameters.slice(biasOffset, biasOffset + units)),
    };
  });
}

/** Tensors of the parts that the net reads. They may share the caller's memory, so they live no longer than the call. */
function tensorsFrom(tf: Tf, shape: NetShape, { rows, wide, embeddings, dense }: NetInput): InputTensors {
  const { hasWide, embeddingFloats, denseFields } = shape;
  return {
    ...(hasWide && { wide: tf.tensor1d(wide.subarray(0, rows)) }),
    ...(embeddingFloats > 0 && {
      embeddings: tf.tensor2d(embeddings.subarray(0, rows * embeddingFloats), [rows, embeddingFloats]),
    }),
    ...(denseFields > 0 && {
      dense: tf.tensor2d(dense.subarray(0, rows * denseFields), [rows, denseFields]),
    }),
  };
}

function copy(from: Tensor, to: Float32Array): void {
  to.set(from.dataSync());
}
