/**
 * The engine on ONNX Runtime: a net compiled to two graphs (onnx-net.ts).
 *
 * Scores come from a session of each version, its weights constants in it: the library packs them once, and packed products
 * give the same bits in a batch of any size, which inputs do not. Gradients come from one session that is handed the weights as
 * inputs, since a learner has new ones at every step. So a session is made by the first `forward` of a version, or when it is
 * loaded, if the version before it was asked for scores.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Engine, Gradients, LoadedWeights, NetInput, Program } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import type { GraphWriter } from './onnx-graph.ts';
import { forwardGraph, type GradientPlace, gradientsGraph } from './onnx-net.ts';
import type { OnnxRuntime } from './onnx-runtime.ts';

export function createOnnxEngine(runtime: OnnxRuntime): Engine {
  const programs = new Set<OnnxProgram>();
  return {
    name: runtime.name,
    compile(shape) {
      const program = new OnnxProgram(runtime, shape, () => programs.delete(program));
      programs.add(program);
      return program;
    },
    dispose() {
      for (const program of [...programs]) program.dispose();
    },
  };
}

class OnnxWeights implements LoadedWeights {
  readonly parameters: Float32Array;
  /** Of this version's scores; null before it is wanted. */
  session: Promise<InferenceSession> | null = null;
  /** The same once it is there. */
  opened: InferenceSession | null = null;
  isScored = false;
  /** For gradients, by the names of the graph's weights; null before they are wanted. */
  tensors: Readonly<Record<string, Tensor>> | null = null;
  readonly #onDispose: (weights: OnnxWeights) => void;

  constructor(parameters: Float32Array, onDispose: (weights: OnnxWeights) => void) {
    this.parameters = parameters;
    this.#onDispose = onDispose;
  }

  /** May be called again. */
  dispose(): void {
    release(this.session);
    this.session = null;
    this.opened = null;
    this.#onDispose(this);
  }
}

/** What gradients need beside weights. */
interface Backward {
  readonly graph: GraphWriter;
  readonly places: readonly GradientPlace[];
  readonly session: Promise<InferenceSession>;
}

class OnnxProgram implements Program {
  readonly #runtime: OnnxRuntime;
  readonly #shape: NetShape;
  readonly #forward: GraphWriter;
  readonly #onDispose: () => void;
  readonly #loaded = new Set<OnnxWeights>();
  #backward: Backward | null = null;
  #newest: OnnxWeights | null = null;
  /** In place of offsets that a batch does not have. */
  #zeros = new Float32Array(0);

  constructor(runtime: OnnxRuntime, shape: NetShape, onDispose: () => void) {
    this.#runtime = runtime;
    this.#shape = shape;
    this.#forward = forwardGraph(shape);
    this.#onDispose = onDispose;
  }

  load(weights: Float32Array): LoadedWeights {
    const parameters = weights.slice(0, this.#shape.parameters);
    const loaded = new OnnxWeights(parameters, (gone) => this.#loaded.delete(gone));
    this.#loaded.add(loaded);
    // A failure is that of the forward that waits for it.
    if (this.#newest?.isScored === true) this.#sessionOf(loaded).catch(() => {});
    this.#newest = loaded;
    return loaded;
  }

  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> {
    const weights = loaded as OnnxWeights;
    weights.isScored = true;
    const { opened } = weights;
    if (opened !== null) return this.#score(opened, input, logits);
    return this.#sessionOf(weights).then((session) => this.#score(session, input, logits));
  }

  async gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): Promise<void> {
    const { rows } = input;
    this.#backward ??= this.#openBackward();
    const { graph, places, session } = this.#backward;
    const weights = loaded as OnnxWeights;
    weights.tensors ??= this.#weightTensors(graph, weights.parameters);
    if (this.#zeros.length < rows) this.#zeros = new Float32Array(rows);
    const feeds = {
      ...weights.tensors,
      ...this.#feeds(input),
      shown: this.#tensor(shown, [rows]),
      clicked: this.#tensor(clicked, [rows]),
      offsets: this.#tensor(input.offsets ?? this.#zeros, [rows]),
    };
    const fetches: Record<string, Tensor> = {
      logits: this.#tensor(out.logits, [rows]),
      logitGradients: this.#tensor(out.logitGradients, [rows]),
    };
    const { embeddingFloats } = this.#shape;
    if (embeddingFloats > 0) {
      fetches.embeddingGradients = this.#tensor(out.embeddings, [rows, embeddingFloats]);
    }
    for (const { name, offset, dims } of places) {
      fetches[name] = this.#tensor(out.parameters.subarray(offset), dims);
    }
    await (await session).run(feeds, fetches);
  }

  dispose(): void {
    for (const loaded of [...this.#loaded]) loaded.dispose();
    release(this.#backward?.session ?? null);
    this.#backward = null;
    this.#onDispose();
  }

  async #score(session: InferenceSession, input: NetInput, logits: Float32Array): Promise<void> {
    // Few floats: to copy them takes less than to hand in where they go.
    const results = await session.run(this.#feeds(input));
    logits.set(results.logits.data as Float32Array);
  }

  #sessionOf(weights: OnnxWeights): Promise<InferenceSession> {
    if (weights.session === null) {
      const graph = this.#forward.withConstants('forward', weights.parameters);
      weights.session = this.#runtime.open(graph).then((session) => {
        // Disposed meanwhile: it is released by who disposed of it.
        if (weights.session !== null) weights.opened = session;
        return session;
      });
    }
    return weights.session;
  }

  #openBackward(): Backward {
    const { graph, places } = gradientsGraph(this.#shape);
    return { graph, places, session: this.#runtime.open(graph.withInputs('gradients')) };
  }

  #weightTensors({ weights }: GraphWriter, parameters: Float32Array): Record<string, Tensor> {
    return Object.fromEntries(
      weights.map(({ name, offset, dims }) => [name, this.#tensor(parameters.subarray(offset), dims)]),
    );
  }

  #feeds(input: NetInput): Record<string, Tensor> {
    const { rows } = input;
    const { hasWide, embeddingFloats, denseFields, attention } = this.#shape;
    const feeds: Record<string, Tensor> = {};
    if (hasWide) feeds.wide = this.#tensor(input.wide, [rows]);
    if (embeddingFloats > 0) feeds.embeddings = this.#tensor(input.embeddings, [rows, embeddingFloats]);
    if (denseFields > 0) feeds.dense = this.#tensor(input.dense, [rows, denseFields]);
    if (attention.length > 0) {
      const lengths = input.lengths.subarray(0, rows * attention.length);
      feeds.lengths = new this.#runtime.ort.Tensor('int32', lengths, [rows, attention.length]);
    }
    return feeds;
  }

  /** The leading part of an array as a tensor, in the same memory: the library reads from it and writes to it. */
  #tensor(values: Float32Array, dims: readonly number[]): Tensor {
    let floats = 1;
    for (const size of dims) floats *= size;
    return new this.#runtime.ort.Tensor('float32', values.subarray(0, floats), dims);
  }
}

function release(session: Promise<InferenceSession> | null): void {
  session?.then((opened) => opened.release()).catch(() => {});
}
