export { type EngineChoice, type EngineLoader, openEngine } from './choose-engine.ts';
export { compileNet, denseOptimizerOf } from './compile-model.ts';
export {
  type Engine,
  type EngineName,
  engineNames,
  type Gradients,
  type LoadedWeights,
  type NetInput,
  type Program,
} from './engine.ts';
export { initialParameters } from './initial-parameters.ts';
export { logloss, sigmoid } from './logloss.ts';
export { defineModel, modelFileBytes, parseModelFile, sameModel } from './model-file.ts';
export { modelSchema } from './model-schema.ts';
export type { DenseLayer, EmbeddingSlot, NetShape } from './net-shape.ts';
export { createPlainEngine } from './plain-engine.ts';
