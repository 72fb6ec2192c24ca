export { createDenseLearner, type DenseLearner, type DenseLessons } from './dense-learner.ts';
export { learnedHash } from './learned-hash.ts';
export {
  createLocalLearner,
  type LearnerExample,
  type LocalLearner,
  type LocalLearnerOptions,
  openLocalLearner,
} from './local-learner.ts';
export { measureSplit, type SplitSpeeds, type SplitTurns } from './measure-split.ts';
export { createRequestScorer, type RequestFeatures, type RequestScorer } from './request-scorer.ts';
export { createRowReader, type ReadRows } from './row-reader.ts';
