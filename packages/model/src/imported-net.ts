/**
 * A net that was trained elsewhere, as an ONNX file, served by ONNX Runtime. What the model file says of its inputs is held
 * against the graph when it is opened, so that a wrong width is an error then and not a wrong score later.
 */
import { createHash } from 'node:crypto';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Engine, NetInput, Program } from './engine.ts';
import type { ImportedInput, ImportedShape, NetShape } from './net-shape.ts';
import { type OnnxRuntime, onnxSessionOptions, openOnnxRuntime } from './onnx-runtime.ts';

/** A probability is taken for one of these at most and at least: its logit has to be finite. */
const probabilityMin = 1e-7;

/**
 * Opens an imported net.
 * @param bytes the file.
 * @returns an engine for this net alone; the caller disposes it.
 * @throws MILL_FILE_INVALID where the file is another one, no ONNX model, or its inputs and output are not as said;
 *   MILL_ENGINE_UNAVAILABLE without ONNX Runtime
 */
export async function openImportedNet(imported: ImportedShape, bytes: Uint8Array): Promise<Engine> {
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== imported.sha256) throw invalid(imported, `wanted SHA-256 ${imported.sha256}, found ${found}`);
  const runtime = await openOnnxRuntime('onnx').catch((error: unknown) => {
    const message = `an imported net needs onnxruntime-node: ${reasonFrom(error)}`;
    throw new MillraceError('MILL_ENGINE_UNAVAILABLE', message, { cause: error });
  });
  const session = await runtime.ort.InferenceSession.create(bytes, onnxSessionOptions).catch(
    (error: unknown) => {
      throw invalid(imported, `wanted an ONNX model, found: ${reasonFrom(error)}`);
    },
  );
  const problem = problemOf(session, imported);
  if (problem !== null) {
    await session.release();
    throw invalid(imported, problem);
  }
  return {
    name: 'onnx',
    compile: (shape) => new ImportedProgram(runtime, session, shape, imported),
    dispose: () => void session.release().catch(() => {}),
  };
}

function invalid({ file }: ImportedShape, problem: string): MillraceError {
  return new MillraceError('MILL_FILE_INVALID', `imported net "${file}": ${problem}`);
}

/** What does not fit, null when all does. */
function problemOf(session: InferenceSession, { inputs, output }: ImportedShape): string | null {
  const names = session.inputNames.join(', ');
  for (const { name, floats } of inputs) {
    const found = session.inputMetadata.find((info) => info.name === name);
    if (found === undefined) return `input "${name}": wanted one of ${names}`;
    const fits = found.isTensor && found.type === 'float32' && isMatrix(found.shape, floats);
    if (!fits) return `input "${name}": wanted float32[rows, ${floats}], found ${typeOf(found)}`;
  }
  const unfed = session.inputNames.find((name) => !inputs.some((input) => input.name === name));
  if (unfed !== undefined) return `input "${unfed}": wanted fields for it in net.import.inputs, found none`;
  const found = session.outputMetadata.find(({ name }) => name === output.name);
  if (found === undefined) return `output "${output.name}": wanted one of ${session.outputNames.join(', ')}`;
  const fits =
    found.isTensor && found.type === 'float32' && (isVector(found.shape) || isMatrix(found.shape, 1));
  return fits
    ? null
    : `output "${output.name}": wanted float32[rows] or float32[rows, 1], found ${typeOf(found)}`;
}

/** A dimension that is a name, or none, takes any size. */
function isMatrix(shape: readonly (number | string)[], columns: number): boolean {
  return shape.length === 2 && typeof shape[0] === 'string' && [columns, ''].includes(shape[1]);
}

function isVector(shape: readonly (number | string)[]): boolean {
  return shape.length === 1 && typeof shape[0] === 'string';
}

function typeOf(info: InferenceSession.ValueMetadata): string {
  return info.isTensor ? `${info.type}[${info.shape.join(', ')}]` : 'no tensor';
}

interface Fed {
  readonly input: ImportedInput;
  /** float32[rows or more, floats], grown with the batches. */
  values: Float32Array;
}

class ImportedProgram implements Program {
  readonly #runtime: OnnxRuntime;
  readonly #session: InferenceSession;
  readonly #shape: NetShape;
  readonly #imported: ImportedShape;
  readonly #fed: readonly Fed[];

  constructor(runtime: OnnxRuntime, session: InferenceSession, shape: NetShape, imported: ImportedShape) {
    this.#runtime = runtime;
    this.#session = session;
    this.#shape = shape;
    this.#imported = imported;
    this.#fed = imported.inputs.map((input) => ({ input, values: new Float32Array(0) }));
  }

  /** Its weights are in the file. */
  load() {
    return { dispose() {} };
  }

  async forward(_loaded: unknown, input: NetInput, logits: Float32Array): Promise<void> {
    const { rows } = input;
    const feeds: Record<string, Tensor> = {};
    for (const fed of this.#fed) {
      const { name, floats } = fed.input;
      if (fed.values.length < rows * floats) fed.values = new Float32Array(rows * floats);
      fill(fed, input, this.#shape);
      const values = fed.values.subarray(0, rows * floats);
      feeds[name] = new this.#runtime.ort.Tensor('float32', values, [rows, floats]);
    }
    const { name, gives } = this.#imported.output;
    const results = await this.#session.run(feeds, [name]);
    const found = results[name].data as Float32Array;
    if (found.length !== rows) {
      throw invalid(
        this.#imported,
        `output "${name}": wanted ${rows} values for ${rows} rows, found ${found.length}`,
      );
    }
    for (let b = 0; b < rows; b += 1) logits[b] = gives === 'logit' ? found[b] : logitOf(found[b]);
  }

  gradients(): never {
    throw new MillraceError(
      'MILL_UNSUPPORTED',
      `imported net "${this.#imported.file}" cannot learn: give the model a net of its own, or train it where it comes from`,
    );
  }

  dispose(): void {}
}

function fill({ input: { pieces }, values }: Fed, input: NetInput, shape: NetShape): void {
  const { slotFloats, embeddingFloats, denseFields } = shape;
  let at = 0;
  for (let b = 0; b < input.rows; b += 1) {
    for (const { from, floats } of pieces) {
      for (let i = 0; i < floats; i += 1, at += 1) {
        const place = from + i;
        values[at] =
          place < slotFloats
            ? input.embeddings[b * embeddingFloats + place]
            : input.dense[b * denseFields + place - slotFloats];
      }
    }
  }
}

function logitOf(probability: number): number {
  const p = Math.min(Math.max(probability, probabilityMin), 1 - probabilityMin);
  return Math.log(p / (1 - p));
}
