export { createDenseLearner, type DenseLearner } from './dense-learner.ts';
export { learnedHash } from './learned-hash.ts';
export {
  createLocalLearner,
  type LearnerExample,
  type LocalLearner,
  type LocalLearnerOptions,
  openLocalLearner,
} from './local-learner.ts';
