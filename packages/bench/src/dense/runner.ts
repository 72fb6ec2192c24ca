/** What takes turns: an engine of ours, or ONNX Runtime bare, on the graph that the engine `onnx` runs. */
import {
  type EngineName,
  type Gradients,
  initialParameters,
  type NetInput,
  type NetShape,
  onnxModel,
  openEngine,
} from '@millrace/model';
import type { InferenceSession } from 'onnxruntime-node';

/** Made for one turn, since two backends of TensorFlow.js cannot be open at once. */
export interface Runner {
  /** Logits of a batch, float32[rows], valid until the next call. */
  score(input: NetInput): Promise<Float32Array>;
  /** Null where it cannot learn. */
  readonly step: ((input: NetInput) => Promise<void>) | null;
  close(): Promise<void>;
}

export type OpenRunner = (shape: NetShape, rowsMax: number) => Promise<Runner>;

export function engineRunner(name: EngineName): OpenRunner {
  return async (shape, rowsMax) => {
    const { engine } = await openEngine({ wanted: name, shape, onSkip() {} });
    const program = engine.compile(shape);
    const parameters = initialParameters(shape, 1);
    const loaded = program.load(parameters);
    const out: Gradients = {
      logits: new Float32Array(rowsMax),
      logitGradients: new Float32Array(rowsMax),
      embeddings: new Float32Array(rowsMax * shape.embeddingFloats),
      parameters: new Float32Array(shape.parameters),
    };
    const [shown, clicked] = [new Float32Array(rowsMax).fill(1), new Float32Array(rowsMax)];
    return {
      async score(input) {
        await program.forward(loaded, input, out.logits);
        return out.logits.subarray(0, input.rows);
      },
      async step(input) {
        const weights = program.load(parameters);
        await program.gradients(weights, input, shown, clicked, out);
        weights.dispose();
      },
      async close() {
        program.dispose();
        engine.dispose();
      },
    };
  };
}

/** As its manual has it: a session with the options given, tensors made for each call, outputs that the library makes. */
export function bareRunner(options: InferenceSession.SessionOptions): OpenRunner {
  return async (shape) => {
    const module = await import('onnxruntime-node');
    const { InferenceSession: Session, Tensor } = module.default ?? module;
    const session = await Session.create(onnxModel(shape, initialParameters(shape, 1)), options);
    const { embeddingFloats, denseFields } = shape;
    return {
      async score({ rows, embeddings, dense }) {
        const { logits } = await session.run({
          embeddings: new Tensor('float32', embeddings.subarray(0, rows * embeddingFloats), [
            rows,
            embeddingFloats,
          ]),
          dense: new Tensor('float32', dense.subarray(0, rows * denseFields), [rows, denseFields]),
        });
        return logits.data as Float32Array;
      },
      step: null,
      close: () => session.release(),
    };
  };
}
