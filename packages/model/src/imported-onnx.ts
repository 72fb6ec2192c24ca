/** Imported nets in ONNX files, run by ONNX Runtime. */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  checkHash,
  type ImportedRunner,
  type ImportedTensor,
  invalidNet,
  type NetReader,
} from './imported-runner.ts';
import type { ImportedShape } from './net-shape.ts';
import { onnxSessionOptions, openOnnxRuntime } from './onnx-runtime.ts';

/** @throws MILL_FILE_INVALID; MILL_ENGINE_UNAVAILABLE without ONNX Runtime */
export async function openImportedOnnx(imported: ImportedShape, read: NetReader): Promise<ImportedRunner> {
  const bytes = await read(imported.file);
  checkHash(imported, [bytes]);
  const { ort } = await openOnnxRuntime('onnx').catch((error: unknown) => {
    const message = `an imported net needs onnxruntime-node: ${reasonFrom(error)}`;
    throw new MillraceError('MILL_ENGINE_UNAVAILABLE', message, { cause: error });
  });
  const session = await ort.InferenceSession.create(bytes, onnxSessionOptions).catch((error: unknown) => {
    throw invalidNet(imported, `wanted an ONNX model, found: ${reasonFrom(error)}`);
  });
  return {
    engine: 'onnx',
    inputs: session.inputMetadata.map(tensorFrom),
    outputs: session.outputMetadata.map(tensorFrom),
    async run(feeds, rows, output) {
      const tensors: Record<string, Tensor> = {};
      for (const { name, values, floats } of feeds) {
        tensors[name] = new ort.Tensor('float32', values, [rows, floats]);
      }
      const results = await session.run(tensors, [output]);
      return results[output].data as Float32Array;
    },
    dispose: () => void session.release().catch(() => {}),
  };
}

function tensorFrom(info: InferenceSession.ValueMetadata): ImportedTensor {
  if (!info.isTensor) return { name: info.name, type: 'no tensor', dims: null };
  return { name: info.name, type: info.type, dims: info.shape };
}
