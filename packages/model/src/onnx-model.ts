/** A net as an ONNX file, for what runs ONNX without us. */
import type { NetShape } from './net-shape.ts';
import { forwardGraph } from './onnx-net.ts';
import { modelBytes } from './onnx-proto.ts';

/**
 * The graph that gives logits, with its weights: what the engine `onnx` scores with. Inputs and output are those of onnx-net.ts.
 * @param parameters float32[parameters] or longer, NetShape.parameters; only read.
 * @returns a ModelProto, as it stands in an .onnx file.
 */
export function onnxModel(shape: NetShape, parameters: Float32Array): Uint8Array {
  return modelBytes(forwardGraph(shape).withConstants('forward', parameters));
}
