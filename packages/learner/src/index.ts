export { createDenseLearner, type DenseLearner, type DenseLessons } from './dense-learner.ts';
export { learnedHash } from './learned-hash.ts';
export {
  createLocalLearner,
  type LearnerExample,
  type LocalLearner,
  type LocalLearnerOptions,
  openLocalLearner,
} from './local-learner.ts';
