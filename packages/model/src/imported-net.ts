/**
 * A net that was trained elsewhere, served by the library that knows its format. What the model file says of its inputs is held
 * against the net when it is opened, so that a wrong width is an error then and not a wrong score later.
 */
import { MillraceError } from '@millrace/protocol';
import type { Engine, NetInput, Program } from './engine.ts';
import { openImportedOnnx } from './imported-onnx.ts';
import { type ImportedRunner, type ImportedTensor, invalidNet, type NetReader } from './imported-runner.ts';
import { openImportedTfjs } from './imported-tfjs.ts';
import type { ImportedInput, ImportedShape, NetShape } from './net-shape.ts';
import { sharedInputsOf, spreadShared } from './shared-inputs.ts';

/** A probability is taken for one of these at most and at least: its logit has to be finite. */
const probabilityMin = 1e-7;

type Opener = (imported: ImportedShape, read: NetReader) => Promise<ImportedRunner>;

const openers: Readonly<Record<ImportedShape['format'], Opener>> = {
  onnx: openImportedOnnx,
  'tfjs-layers': (imported, read) => openImportedTfjs('tfjs-layers', imported, read),
  'tfjs-graph': (imported, read) => openImportedTfjs('tfjs-graph', imported, read),
};

/**
 * Opens an imported net.
 * @param read reads its files.
 * @returns an engine for this net alone; the caller disposes it.
 * @throws MILL_FILE_INVALID where a file is another one, not of its format, or inputs and output are not as said;
 *   MILL_ENGINE_UNAVAILABLE without the library
 */
export async function openImportedNet(imported: ImportedShape, read: NetReader): Promise<Engine> {
  const runner = await openers[imported.format](imported, read);
  const problem = problemOf(runner, imported);
  if (problem !== null) {
    runner.dispose();
    throw invalidNet(imported, problem);
  }
  return {
    name: runner.engine,
    compile: (shape) => new ImportedProgram(runner, shape, imported),
    dispose: () => runner.dispose(),
  };
}

/** What does not fit, null when all does. */
function problemOf(runner: ImportedRunner, { inputs, output }: ImportedShape): string | null {
  const names = (tensors: readonly ImportedTensor[]) => tensors.map(({ name }) => name).join(', ');
  for (const { name, floats } of inputs) {
    const found = runner.inputs.find((info) => info.name === name);
    if (found === undefined) return `input "${name}": wanted one of ${names(runner.inputs)}`;
    if (found.type !== 'float32' || !isMatrix(found.dims, floats))
      return `input "${name}": wanted float32[rows, ${floats}], found ${typeOf(found)}`;
  }
  const unfed = runner.inputs.find(({ name }) => !inputs.some((input) => input.name === name));
  if (unfed !== undefined)
    return `input "${unfed.name}": wanted fields for it in net.import.inputs, found none`;
  const found = runner.outputs.find(({ name }) => name === output.name);
  if (found === undefined) return `output "${output.name}": wanted one of ${names(runner.outputs)}`;
  const fits =
    (found.type === null || found.type === 'float32') &&
    (found.dims === null || isVector(found.dims) || isMatrix(found.dims, 1));
  return fits
    ? null
    : `output "${output.name}": wanted float32[rows] or float32[rows, 1], found ${typeOf(found)}`;
}

function isMatrix(dims: ImportedTensor['dims'], columns: number): boolean {
  return dims?.length === 2 && typeof dims[0] === 'string' && [columns, ''].includes(dims[1]);
}

function isVector(dims: ImportedTensor['dims']): boolean {
  return dims?.length === 1 && typeof dims[0] === 'string';
}

function typeOf({ type, dims }: ImportedTensor): string {
  return `${type ?? 'an unknown type'}${dims === null ? '' : `[${dims.join(', ')}]`}`;
}

interface Fed {
  readonly input: ImportedInput;
  /** float32[rows or more, floats], grown with the batches. */
  values: Float32Array;
}

class ImportedProgram implements Program {
  readonly #runner: ImportedRunner;
  readonly #shape: NetShape;
  readonly #imported: ImportedShape;
  readonly #fed: readonly Fed[];
  readonly #shared: Int32Array;

  constructor(runner: ImportedRunner, shape: NetShape, imported: ImportedShape) {
    this.#runner = runner;
    this.#shape = shape;
    this.#imported = imported;
    this.#shared = sharedInputsOf(shape).shared;
    this.#fed = imported.inputs.map((input) => ({ input, values: new Float32Array(0) }));
  }

  /** Its weights are in the file. */
  load() {
    return { dispose() {} };
  }

  async forward(_loaded: unknown, input: NetInput, logits: Float32Array): Promise<void> {
    const { rows } = input;
    spreadShared(input, this.#shared, this.#shape.embeddingFloats);
    const feeds = this.#fed.map((fed) => {
      const { name, floats } = fed.input;
      if (fed.values.length < rows * floats) fed.values = new Float32Array(rows * floats);
      fill(fed, input, this.#shape);
      return { name, floats, values: fed.values.subarray(0, rows * floats) };
    });
    const { name, gives } = this.#imported.output;
    const found = await this.#runner.run(feeds, rows, name);
    if (found.length !== rows) {
      throw invalidNet(
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
