/**
 * The one place where a gradient changes a row. The fold steps the rows of a block with it, a learner in one process (package
 * learner) those of a batch, so both come to the same bits.
 */
import { areFinite } from '../finite.ts';
import type { GradientView, SegmentView } from '../optimizer/optimizer.ts';
import { addRow, findRow, markChanged } from '../row-table.ts';
import type { PartitionState } from './partition-fold.ts';

// Reused by every step: nothing is allocated for a row.
const row: SegmentView = { w: new Float32Array(0), wAt: 0, s: new Float32Array(0), sAt: 0, dim: 0 };
const view: GradientView = { g: new Float32Array(0), h: new Float32Array(0), at: 0 };

/**
 * Applies one key's summed gradient to its row, which is created when there is none and the table admits the key; else the
 * gradient is dropped and counted. A gradient that is not finite is counted as a broken row and changes nothing.
 * @param place      of the table in the model file.
 * @param low,high   the key's words; it belongs to the state's partition.
 * @param gradients  float32, the key's are [at, at + dim); only read.
 * @param curvature  float32 of the same layout, or null where no optimizer of the table needs it; only read.
 * @param seen       occurrences of the key that were summed, ≥ 1.
 */
export function stepRow(
  state: PartitionState,
  place: number,
  low: number,
  high: number,
  gradients: Float32Array,
  curvature: Float32Array | null,
  at: number,
  seen: number,
): void {
  const table = state.tables[place];
  const { dim, stateFloats, segments, expiry, clockAt } = table.layout;
  if (!areFinite(gradients, at, at + dim) || (curvature !== null && !areFinite(curvature, at, at + dim))) {
    state.counts.brokenRows += 1;
    return;
  }
  let index = findRow(table, low, high);
  if (index < 0) {
    const { admission } = state.lives[place];
    if (admission && !admission.admits(low, high, seen, state.sequence)) {
      state.counts.notAdmitted = (state.counts.notAdmitted ?? 0) + 1;
      return;
    }
    index = addRow(table, low, high);
  }
  markChanged(table, index);
  if (expiry) expiry.touch(table.stateWords, index * stateFloats + clockAt, state.eventTimeMs, seen);
  view.g = gradients;
  view.h = curvature ?? gradients;
  row.w = table.weights;
  row.s = table.state;
  for (let k = 0; k < segments.length; k += 1) {
    const segment = segments[k];
    row.wAt = index * dim + segment.weightsAt;
    row.sAt = index * stateFloats + segment.stateAt;
    row.dim = segment.dim;
    view.at = at + segment.weightsAt;
    segment.optimizer.step(row, view);
  }
}
