/**
 * The engine on ONNX Runtime: a net compiled to graphs, one for rows by themselves (onnx-net.ts), one for requests
 * (onnx-requests.ts) and one for gradients.
 *
 * Scores come from sessions of each version, its weights constants in them: the library packs them once, and packed products
 * give the same bits in a batch of any size, which inputs do not. Gradients come from one session that is handed the weights as
 * inputs, since a learner has new ones at every step. So a session is made by the first `forward` of a version, or when it is
 * loaded, if the version before it was asked for such scores.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Engine, Gradients, LoadedWeights, NetInput, Program, RowsInput } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import type { AsideSession, OnnxAside } from './onnx-aside.ts';
import { tensorOf } from './onnx-feeds.ts';
import type { GraphWriter } from './onnx-graph.ts';
import { logitsOutput, type OnnxFed, OnnxInputs, putLogits } from './onnx-inputs.ts';
import { forwardGraph, type GradientPlace, gradientsGraph } from './onnx-net.ts';
import { type Graph, modelBytes } from './onnx-proto.ts';
import { type RequestsGraph, requestsGraph } from './onnx-requests.ts';
import { type OnnxRuntime, requestThreads } from './onnx-runtime.ts';
import { createLazySession, type LazySession } from './onnx-session.ts';
import { sharedAside } from './shared-aside.ts';

/** @param isBusy  asked at each call for scores (OpenNetOptions.isBusy). Absent: this thread makes them all. */
export function createOnnxEngine(runtime: OnnxRuntime, isBusy: (() => boolean) | null = null): Engine {
  const programs = new Set<OnnxProgram>();
  const busy = isBusy && { isBusy, aside: sharedAside.use() };
  return {
    name: runtime.name,
    compile(shape) {
      const program = new OnnxProgram(runtime, shape, busy, () => programs.delete(program));
      programs.add(program);
      return program;
    },
    dispose() {
      for (const program of [...programs]) program.dispose();
      busy?.aside.close();
    },
  };
}

/** Where calls go while this thread is busy. */
interface Busy {
  readonly isBusy: () => boolean;
  readonly aside: OnnxAside;
}

/** Sessions that score one version: rows by themselves and requests in this thread, requests in another one. */
interface Scoring {
  readonly rows: LazySession<InferenceSession>;
  readonly requests: LazySession<InferenceSession>;
  /** Null: there is no other thread, or it has failed this version, which it is not asked for again. */
  aside: LazySession<AsideSession> | null;
}

const ownKinds = ['rows', 'requests'] as const;
const kinds = [...ownKinds, 'aside'] as const;

class OnnxWeights implements LoadedWeights {
  readonly parameters: Float32Array;
  readonly scoring: Scoring;
  /** For gradients, by the names of the graph's weights; null before they are wanted. */
  tensors: Readonly<Record<string, Tensor>> | null = null;
  readonly #onDispose: (weights: OnnxWeights) => void;

  constructor(parameters: Float32Array, scoring: Scoring, onDispose: (weights: OnnxWeights) => void) {
    this.parameters = parameters;
    this.scoring = scoring;
    this.#onDispose = onDispose;
  }

  /** May be called again. */
  dispose(): void {
    for (const kind of kinds) this.scoring[kind]?.release();
    this.#onDispose(this);
  }
}

/** What gradients need beside weights. */
interface Backward {
  readonly graph: GraphWriter;
  readonly places: readonly GradientPlace[];
  readonly session: LazySession<InferenceSession>;
}

class OnnxProgram implements Program {
  readonly #runtime: OnnxRuntime;
  readonly #shape: NetShape;
  /** Null: a request's items share nothing, and are rows. */
  readonly #requests: RequestsGraph | null;
  readonly #busy: Busy | null;
  readonly #onDispose: () => void;
  readonly #loaded = new Set<OnnxWeights>();
  readonly #inputs: OnnxInputs;
  /** Null before rows by themselves are asked for. */
  #rows: GraphWriter | null = null;
  #backward: Backward | null = null;
  #newest: OnnxWeights | null = null;
  /** In place of offsets that a batch does not have. */
  #zeros = new Float32Array(0);

  constructor(runtime: OnnxRuntime, shape: NetShape, busy: Busy | null, onDispose: () => void) {
    this.#runtime = runtime;
    this.#busy = busy;
    this.#shape = shape;
    this.#requests = requestsGraph(shape);
    this.#inputs = new OnnxInputs(runtime.ort, shape, this.#requests);
    this.#onDispose = onDispose;
  }

  load(weights: Float32Array): LoadedWeights {
    const parameters = weights.slice(0, this.#shape.parameters);
    const loaded = new OnnxWeights(parameters, this.#scoringOf(parameters), (gone) =>
      this.#loaded.delete(gone),
    );
    this.#loaded.add(loaded);
    for (const kind of ownKinds) {
      // A failure is that of the forward that waits for it, or tries again.
      if (this.#newest?.scoring[kind].isScored === true) loaded.scoring[kind].open().catch(() => {});
    }
    this.#newest = loaded;
    return loaded;
  }

  loadBeside(loaded: LoadedWeights): void {
    if (this.#busy?.isBusy() === true) openedAside((loaded as OnnxWeights).scoring);
  }

  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> {
    const { scoring } = loaded as OnnxWeights;
    const session = scoring[input.requests === undefined ? 'rows' : 'requests'];
    const fed = this.#inputs.feed(input);
    session.isScored = true;
    if (session.opened !== null) return score(session.opened, fed, logits);
    return session.open().then((made) => score(made, fed, logits));
  }

  forwardBeside(loaded: LoadedWeights, input: RowsInput, logits: Float32Array): Promise<boolean> | null {
    if (this.#busy?.isBusy() !== true) return null;
    const { scoring } = loaded as OnnxWeights;
    const session = openedAside(scoring);
    if (session === null || this.#busy.aside.isOpening) return null;
    // A thread that has ended costs no answer.
    return session.score(input, logits).then(
      () => true,
      () => {
        loseAside(scoring);
        return false;
      },
    );
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
      ...this.#inputs.rows(input),
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
    await (session.opened ?? (await session.open())).run(feeds, fetches);
  }

  dispose(): void {
    for (const loaded of [...this.#loaded]) loaded.dispose();
    this.#backward?.session.release();
    this.#backward = null;
    this.#onDispose();
  }

  #scoringOf(parameters: Float32Array): Scoring {
    const runtime = this.#runtime;
    const aside = this.#busy?.aside;
    const shape = this.#shape;
    const rows = () => {
      this.#rows ??= forwardGraph(shape);
      return this.#rows.withConstants('forward', parameters);
    };
    const split = this.#requests;
    const requests = writtenOnce(() =>
      split === null ? rows() : split.graph.withConstants('forward', parameters),
    );
    const threads = requestThreads(shape);
    const sides = split && {
      sharedPlaces: split.sharedPlaces,
      ownPlaces: split.ownPlaces,
      readsRows: split.readsRows,
    };
    return {
      rows: createLazySession(() => runtime.open(modelBytes(rows()), 0)),
      requests: createLazySession(() => runtime.open(requests(), threads)),
      aside: aside
        ? createLazySession(() => runtime.openAside(aside, requests(), threads, { shape, sides }))
        : null,
    };
  }

  #openBackward(): Backward {
    const { graph, places } = gradientsGraph(this.#shape);
    const session = createLazySession(() => this.#runtime.open(modelBytes(graph.withInputs('gradients')), 0));
    return { graph, places, session };
  }

  #weightTensors({ weights }: GraphWriter, parameters: Float32Array): Record<string, Tensor> {
    return Object.fromEntries(
      weights.map(({ name, offset, dims }) => [name, this.#tensor(parameters.subarray(offset), dims)]),
    );
  }

  #tensor(values: Float32Array, dims: readonly number[]): Tensor {
    return tensorOf(this.#runtime.ort, values, dims);
  }
}

/** A graph written down, for sessions that are opened one soon after the other; kept no longer than the next collection. */
function writtenOnce(graph: () => Graph): () => Uint8Array {
  let kept: WeakRef<Uint8Array> | null = null;
  return () => {
    const bytes = kept?.deref() ?? modelBytes(graph());
    kept = new WeakRef(bytes);
    return bytes;
  };
}

/** Null: it is not there yet. Nobody waits for it. */
function openedAside(scoring: Scoring): AsideSession | null {
  const { aside } = scoring;
  if (aside === null) return null;
  if (aside.opened === null) aside.open().catch(() => loseAside(scoring));
  return aside.opened;
}

/** To try at every call would be to write the whole model down for each. */
function loseAside(scoring: Scoring): void {
  scoring.aside?.release();
  scoring.aside = null;
}

async function score(
  session: InferenceSession,
  { tensors, wide }: OnnxFed,
  logits: Float32Array,
): Promise<void> {
  const results = await session.run(tensors);
  putLogits(results[logitsOutput].data as Float32Array, wide, logits);
}
