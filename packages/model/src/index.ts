export {
  atLeast,
  type BatchSpace,
  createBatchSpace,
  gatherSpace,
  resetSpace,
  scoreSpace,
  tablesToPull,
} from './batch-space.ts';
export {
  type ChosenEngine,
  type EngineChoice,
  type EngineLoader,
  type EngineSpeed,
  openEngine,
} from './choose-engine.ts';
export { compileNet, denseOptimizerOf } from './compile-model.ts';
export { createDenseVersions, type DenseVersion, type DenseVersions } from './dense-versions.ts';
export {
  type Engine,
  type EngineDevice,
  type EngineName,
  engineNames,
  type Gradients,
  type LoadedWeights,
  type NetInput,
  type Program,
} from './engine.ts';
export { createFeatureEncoder, type FeatureEncoder } from './feature-encoder.ts';
export { compileFeatures, type FeaturePlan } from './feature-plan.ts';
export { type FrozenNet, openFrozenNet, warmUp } from './frozen-net.ts';
export { type ExampleGradients, gather, type KeyGradients, scatter } from './gather.ts';
export {
  createGradientStep,
  type GradientNorms,
  type GradientStep,
  type StepExample,
} from './gradient-step.ts';
export { initialParameters } from './initial-parameters.ts';
export {
  booleanKind,
  columnsMax,
  entryWords,
  featuresOf,
  ItemColumns,
  type Items,
  lengthsMax,
  listKind,
  nullKind,
  numberKind,
  packed,
  textKind,
  wholeKind,
} from './item-columns.ts';
export { createKeyOccurrences, type KeyOccurrences } from './key-occurrences.ts';
export { logloss, sigmoid } from './logloss.ts';
export type { EngineWork } from './measure-engine.ts';
export { defineModel, modelFileBytes, parseModelFile, sameModel } from './model-file.ts';
export { importsNet } from './model-net.ts';
export { modelSchema } from './model-schema.ts';
export { batchMoments, type Scales, scalesFrom } from './moments.ts';
export {
  hiddenUnitsOf,
  magnitudeMask,
  type NarrowNet,
  narrowNet,
  withHiddenUnits,
} from './narrow-net.ts';
export type { DenseLayer, EmbeddingSlot, NetPart, NetShape } from './net-shape.ts';
export { onnxModel } from './onnx-model.ts';
export { onnxSessionOptions } from './onnx-runtime.ts';
export { initialDense, type OpenNet, openNet, openNetOn } from './open-net.ts';
export { createPlainEngine } from './plain-engine.ts';
export { type SharedAside, sharedAside } from './shared-aside.ts';
export {
  addOccurrence,
  createSparseBatch,
  resetBatch,
  type SparseBatch,
} from './sparse-batch.ts';
export { unsplitPlan, unsplitShape } from './unsplit-net.ts';
