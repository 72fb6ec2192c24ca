/** One engine over whatever backend TensorFlow.js has been set to; tfjs-backends.ts opens the backend. */
import { invariant } from '@millrace/protocol';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type {
  Engine,
  EngineDevice,
  EngineName,
  Gradients,
  LoadedWeights,
  NetInput,
  Program,
} from './engine.ts';
import type { NetShape } from './net-shape.ts';
import { loadNet, type TfNet } from './tfjs-net.ts';
import type { Tf } from './tfjs-part.ts';
import { splitRoomFor, type TfSplitRoom } from './tfjs-split.ts';

/** TensorFlow.js with its backend initialised and set. */
export interface TfjsBackend {
  readonly name: EngineName;
  readonly tf: Tf;
  /** What tf.getBackend() says while this backend is in use. */
  readonly backendName: string;
  /** `at once`: results lie in memory. `later`: a device has to be waited for, and nothing can be read without. */
  readonly reads: 'at once' | 'later';
  readonly device?: EngineDevice;
  /** Gives back what was opened; called once, when the engine is disposed. */
  release?(): void;
}

/** A result and where it goes. */
interface Copy {
  readonly from: Tensor;
  readonly to: Float32Array;
  /** Place of the first value in `to`, 0 without. */
  readonly offset?: number;
}

/**
 * Wraps an opened backend. The library has one current backend in a process: opening another engine takes it over, and
 * programs of the earlier one then fail instead of running elsewhere than their name says.
 */
export function createTfjsEngine(backend: TfjsBackend): Engine {
  const programs = new Set<TfjsProgram>();
  return {
    name: backend.name,
    ...(backend.device === undefined ? {} : { device: backend.device }),
    compile(shape) {
      const program = new TfjsProgram(backend, shape, () => programs.delete(program));
      programs.add(program);
      return program;
    },
    dispose() {
      for (const program of [...programs]) program.dispose();
      backend.release?.();
    },
  };
}

class TfjsWeights implements LoadedWeights {
  readonly net: TfNet;
  readonly #onDispose: (weights: TfjsWeights) => void;

  constructor(net: TfNet, onDispose: (weights: TfjsWeights) => void) {
    this.net = net;
    this.#onDispose = onDispose;
  }

  /** May be called again: a disposed tensor ignores it. */
  dispose(): void {
    for (const tensor of this.net.weights) tensor.dispose();
    this.#onDispose(this);
  }
}

class TfjsProgram implements Program {
  readonly #backend: TfjsBackend;
  readonly #shape: NetShape;
  readonly #onDispose: () => void;
  readonly #loaded = new Set<TfjsWeights>();
  readonly #rooms: readonly (TfSplitRoom | null)[];

  constructor(backend: TfjsBackend, shape: NetShape, onDispose: () => void) {
    this.#backend = backend;
    this.#shape = shape;
    // A split part reads between its halves, which a device that has to be waited for does not allow: there it runs whole.
    this.#rooms = shape.parts.map((part) => (backend.reads === 'at once' ? splitRoomFor(part, shape) : null));
    this.#onDispose = onDispose;
  }

  load(weights: Float32Array): LoadedWeights {
    const net = loadNet(this.#tf(), this.#shape, weights, this.#rooms);
    const loaded = new TfjsWeights(net, (gone) => this.#loaded.delete(gone));
    this.#loaded.add(loaded);
    return loaded;
  }

  async forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): Promise<void> {
    await this.#run(() => [{ from: (loaded as TfjsWeights).net.score(input), to: logits }]);
  }

  async gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): Promise<void> {
    const tf = this.#tf();
    const { rows, offsets } = input;
    await this.#run(() => {
      const trace = (loaded as TfjsWeights).net.forward(input);
      const { logits } = trace;
      const z = offsets === undefined ? logits : tf.add(logits, tf.tensor1d(offsets.subarray(0, rows)));
      const expected = tf.mul(tf.sigmoid(z), tf.tensor1d(shown.subarray(0, rows)));
      const logitGradients: Tensor1D = tf.sub(expected, tf.tensor1d(clicked.subarray(0, rows)));
      const { slots, parameters } = trace.backward(logitGradients);
      return [
        { from: logits, to: out.logits },
        { from: logitGradients, to: out.logitGradients },
        ...(slots === null ? [] : [{ from: slots, to: out.embeddings }]),
        ...parameters.map(({ offset, values }) => ({ from: values, to: out.parameters, offset })),
      ];
    });
  }

  dispose(): void {
    for (const loaded of [...this.#loaded]) loaded.dispose();
    this.#onDispose();
  }

  /** Takes results out of a calculation, whose other tensors end with it. */
  #run(calculate: () => readonly Copy[]): Promise<void> | undefined {
    const tf = this.#tf();
    if (this.#backend.reads === 'later') return readLater(tf, calculate);
    tf.tidy(() => {
      for (const { from, to, offset } of calculate()) to.set(from.dataSync(), offset);
    });
    return undefined;
  }

  #tf(): Tf {
    const { tf, name, backendName } = this.#backend;
    invariant(tf.getBackend() === backendName, `engine ${name}: the backend in use is ${tf.getBackend()}`);
    return tf;
  }
}

async function readLater(tf: Tf, calculate: () => readonly Copy[]): Promise<void> {
  let copies: readonly Copy[] = [];
  const kept = tf.tidy(() => {
    copies = calculate();
    return copies.map(({ from }) => from);
  });
  try {
    // Asked for together: each waits for all that the device was given.
    const found = await Promise.all(kept.map((tensor) => tensor.data()));
    copies.forEach(({ to, offset }, i) => {
      to.set(found[i], offset);
    });
  } finally {
    for (const tensor of kept) tensor.dispose();
  }
}
