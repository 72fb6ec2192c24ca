export { type ArmDeals, followArmDeals } from './arm-deals.ts';
export {
  type ArmFigures,
  type ArmWindow,
  addedFigures,
  armSlotMs,
  besideShadow,
  createArmWindow,
} from './arm-window.ts';
export { type Assigner, type Assignment, assignerOf } from './assign.ts';
export {
  emptyExperiments,
  experimentIn,
  isRunning,
  modelsApart,
  type TargetsInUse,
  targetsInUse,
} from './catalog.ts';
export { experimentFrom, guardBounds } from './experiment-file.ts';
export { type ExperimentRegistry, openExperiments } from './experiment-registry.ts';
export { guardReason } from './guard.ts';
export type { JudgedExample } from './judged-example.ts';
export { openSums, type SumsByArm } from './open-sums.ts';
export { reportOn, type ScoringByArm } from './report.ts';
export { createSumsFold, type ShownUnits, type SumsFold, type SumsFoldOptions } from './sums.ts';
export type { UnitSource } from './unit.ts';
export { type ExperimentsView, watchExperiments } from './watch-experiments.ts';
