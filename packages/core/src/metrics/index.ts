export { aucFromScores } from './auc.ts';
export {
  type CalibrationBucket,
  calibrationCurveFromScores,
  calibrationRatioFromScores,
} from './calibration.ts';
export { createHistogram, type Histogram } from './histogram.ts';
export { loglossFromScores, loglossOf, normalizedEntropyFromScores, probabilityClamp } from './logloss.ts';
export {
  createProgressiveQuality,
  type ProgressiveQuality,
  type QualityOptions,
  type QualityRange,
  type QualityReport,
} from './progressive-quality.ts';
export { createRate, type Rate, type RateOptions } from './rate.ts';
export {
  addCells,
  addScore,
  type CellReport,
  clearCells,
  createScoreCells,
  curveOf,
  reportOf,
  type ScoreCells,
} from './score-cells.ts';
export { createSeenKeys, type SeenKeys } from './seen-keys.ts';
export { createSliding, type Sliding, type SlidingKind } from './sliding.ts';
export { populationStability } from './stability.ts';
