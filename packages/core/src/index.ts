export { copyRows, type RowTarget, rowTarget, scatterRows, touchRows } from './copy-rows.ts';
export * from './evaluation/index.ts';
export { sweepRows } from './expiry/sweep.ts';
export * from './exploration/index.ts';
export { canonicalJson, fingerprintOf } from './fingerprint.ts';
export { areFinite } from './finite.ts';
export {
  applyDense,
  createDenseState,
  type DenseOutcome,
  type DenseState,
  denseHash,
  denseWeightsHash,
  stepDense,
} from './fold/dense-fold.ts';
export {
  type ApplyOutcome,
  applyGradients,
  createPartitionState,
  noteEventTime,
  type PartitionState,
  partitionBytes,
  partitionRows,
  sweepPartition,
} from './fold/partition-fold.ts';
export { partitionHash, rowsHash } from './fold/partition-hash.ts';
export { stepRow } from './fold/step-row.ts';
export { fmix, hashBytes, hashInteger, hashName, hashPair, hashText, partitionOf } from './key-hash.ts';
export * from './metrics/index.ts';
export { createOptimizer } from './optimizer/create-optimizer.ts';
export { momentCountMax, momentFloats } from './optimizer/moments.ts';
export type { GradientView, Optimizer, SegmentView } from './optimizer/optimizer.ts';
export { holdersOf, ownersOf, type PlacementInput, partitionsOf, proposeMap } from './placement.ts';
export { pullRows, pullRowsPlainly } from './pull-kernel.ts';
export { putRow, putRows, type WholeRows } from './put-rows.ts';
export * from './quantize/index.ts';
export { removeKey, replaceKey } from './remove-row.ts';
export {
  addKey,
  changedCount,
  changesOf,
  clearChanged,
  createRowTable,
  findOrAddRow,
  findRow,
  lookupRows,
  mixOf,
  type RowTable,
  reserveRows,
  rowTableBytes,
} from './row-table.ts';
export { createStaleness, type Staleness } from './staleness.ts';
export { type Segment, type TableLayout, tableLayouts, writeInitialRow } from './table-layout.ts';
