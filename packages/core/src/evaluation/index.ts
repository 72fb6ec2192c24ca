export { crossFittedMeans, type MeansInput, meansFolds } from './cross-fitted-means.ts';
export {
  type ClippedWeights,
  clipWeights,
  directMethod,
  doublyRobust,
  type Estimate,
  inversePropensityScore,
  type RewardModel,
  reportOnWeights,
  selfNormalized,
  switchDoublyRobust,
  type WeightedRewards,
  type WeightReport,
} from './estimators.ts';
export { type GroupedRatio, groupedRatio } from './grouped-ratio.ts';
export {
  type BootstrapOptions,
  bootstrapSelfNormalized,
  type Interval,
  normalInterval,
} from './intervals.ts';
export { sampleRatioPValue } from './sample-ratio.ts';
export {
  type SequentialInput,
  sequentialInterval,
  sequentialPValue,
  tunedPriorVariance,
} from './sequential.ts';
