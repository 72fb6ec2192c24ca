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
import type { Engine, Gradients, LoadedWeights, NetInput, Program } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import { createOnnxAside, type OnnxAside, type ScoringSession } from './onnx-aside.ts';
import { OnnxFeeds, tensorOf } from './onnx-feeds.ts';
import type { GraphWriter } from './onnx-graph.ts';
import { forwardGraph, type GradientPlace, gradientsGraph } from './onnx-net.ts';
import { OnnxRequestFeeds, type Requests } from './onnx-request-feeds.ts';
import { type RequestsGraph, requestsGraph } from './onnx-requests.ts';
import { type OnnxRuntime, requestThreads } from './onnx-runtime.ts';
import { createLazySession, type LazySession } from './onnx-session.ts';
import { sharedInputsOf, spreadShared } from './shared-inputs.ts';

/** @param isBusy  asked at each call for scores (OpenNetOptions.isBusy). Absent: this thread makes them all. */
export function createOnnxEngine(runtime: OnnxRuntime, isBusy: (() => boolean) | null = null): Engine {
  const programs = new Set<OnnxProgram>();
  const busy = isBusy && { isBusy, aside: createOnnxAside() };
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

/** Sessions that score one version: in this thread, and in another one. */
interface Sessions {
  readonly here: LazySession<InferenceSession>;
  /** Null: there is no other thread, or it has failed this version, which it is not asked for again. */
  aside: LazySession<ScoringSession> | null;
}

interface Scoring {
  readonly rows: Sessions;
  readonly requests: Sessions;
}

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
    for (const { here, aside } of [this.scoring.rows, this.scoring.requests]) {
      here.release();
      aside?.release();
    }
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
  readonly #shared: Int32Array;
  readonly #busy: Busy | null;
  readonly #onDispose: () => void;
  readonly #loaded = new Set<OnnxWeights>();
  readonly #rowFeeds: OnnxFeeds;
  readonly #requestFeeds: OnnxRequestFeeds | null;
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
    this.#shared = sharedInputsOf(shape).shared;
    this.#rowFeeds = new OnnxFeeds(runtime.ort);
    this.#requestFeeds = this.#requests && new OnnxRequestFeeds(runtime.ort, shape, this.#requests);
    this.#onDispose = onDispose;
  }

  load(weights: Float32Array): LoadedWeights {
    const parameters = weights.slice(0, this.#shape.parameters);
    const loaded = new OnnxWeights(parameters, this.#scoringOf(parameters), (gone) =>
      this.#loaded.delete(gone),
    );
    this.#loaded.add(loaded);
    for (const kind of ['rows', 'requests'] as const) {
      // A failure is that of the forward that waits for it, or tries again.
      for (const place of ['here', 'aside'] as const)
        if (this.#newest?.scoring[kind][place]?.isScored === true)
          loaded.scoring[kind][place]?.open().catch(() => {});
    }
    this.#newest = loaded;
    return loaded;
  }

  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> {
    const sessions = (loaded as OnnxWeights).scoring[input.requests === undefined ? 'rows' : 'requests'];
    if (this.#requests?.readsRows !== false) spreadShared(input, this.#shared, this.#shape.embeddingFloats);
    const isSplit = input.requests !== undefined && this.#requestFeeds !== null;
    const { tensors } = isSplit
      ? this.#feedRequests(this.#requestFeeds, input, input.requests)
      : this.#feedRows(input);
    const wide = isSplit && this.#shape.hasWide ? input.wide : null;
    const aside = this.#busy?.isBusy() === true ? openedAside(sessions) : null;
    if (aside === null) return scoreHere(sessions, tensors, wide, logits);
    // A thread that has ended costs no answer.
    return score(aside, tensors, wide, logits).catch(() => {
      loseAside(sessions);
      return scoreHere(sessions, tensors, wide, logits);
    });
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
      ...this.#feedRows(input).tensors,
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
    const sessionsOf = (graph: () => GraphWriter, threads: number): Sessions => {
      const made = () => graph().withConstants('forward', parameters);
      return {
        here: createLazySession(() => runtime.open(made(), threads)),
        aside: aside ? createLazySession(() => runtime.openAside(aside, made(), threads)) : null,
      };
    };
    const rows = () => {
      this.#rows ??= forwardGraph(this.#shape);
      return this.#rows;
    };
    const requests = this.#requests?.graph;
    return {
      rows: sessionsOf(rows, 0),
      requests: sessionsOf(requests === undefined ? rows : () => requests, requestThreads(this.#shape)),
    };
  }

  #openBackward(): Backward {
    const { graph, places } = gradientsGraph(this.#shape);
    const session = createLazySession(() => this.#runtime.open(graph.withInputs('gradients'), 0));
    return { graph, places, session };
  }

  #weightTensors({ weights }: GraphWriter, parameters: Float32Array): Record<string, Tensor> {
    return Object.fromEntries(
      weights.map(({ name, offset, dims }) => [name, this.#tensor(parameters.subarray(offset), dims)]),
    );
  }

  #feedRows(input: NetInput): OnnxFeeds {
    const { rows } = input;
    const { hasWide, attention } = this.#shape;
    const feeds = this.#rowFeeds;
    if (hasWide) feeds.put('wide', input.wide, rows, 0);
    this.#feedInputs(feeds, input);
    if (attention.length > 0) feeds.put('lengths', input.lengths, rows, attention.length);
    return feeds;
  }

  #feedRequests(parts: OnnxRequestFeeds, input: NetInput, requests: Requests): OnnxFeeds {
    parts.put(input, requests);
    if (this.#requests?.readsRows) this.#feedInputs(parts.feeds, input);
    return parts.feeds;
  }

  #feedInputs(feeds: OnnxFeeds, { rows, embeddings, dense }: NetInput): void {
    const { embeddingFloats, denseFields } = this.#shape;
    if (embeddingFloats > 0) feeds.put('embeddings', embeddings, rows, embeddingFloats);
    if (denseFields > 0) feeds.put('dense', dense, rows, denseFields);
  }

  #tensor(values: Float32Array, dims: readonly number[]): Tensor {
    return tensorOf(this.#runtime.ort, values, dims);
  }
}

function scoreHere(
  { here }: Sessions,
  feeds: Readonly<Record<string, Tensor>>,
  wide: Float32Array | null,
  logits: Float32Array,
): Promise<void> {
  here.isScored = true;
  if (here.opened !== null) return score(here.opened, feeds, wide, logits);
  return here.open().then((made) => score(made, feeds, wide, logits));
}

/** Null: it is not there yet. Nobody waits for it. */
function openedAside(sessions: Sessions): ScoringSession | null {
  const { aside } = sessions;
  if (aside === null) return null;
  aside.isScored = true;
  if (aside.opened === null) aside.open().catch(() => loseAside(sessions));
  return aside.opened;
}

/** To try at every call would be to write the whole model down for each. */
function loseAside(sessions: Sessions): void {
  sessions.aside?.release();
  sessions.aside = null;
}

/** @param wide float32[rows], added to what the session gives; null: nothing is. */
async function score(
  session: ScoringSession,
  feeds: Readonly<Record<string, Tensor>>,
  wide: Float32Array | null,
  logits: Float32Array,
): Promise<void> {
  const results = await session.run(feeds);
  const found = results.logits.data as Float32Array;
  // Few floats: to copy them takes less than to hand in where they go.
  if (wide === null) logits.set(found);
  else for (let b = 0; b < found.length; b += 1) logits[b] = wide[b] + found[b];
}
