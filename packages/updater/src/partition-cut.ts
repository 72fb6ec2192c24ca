/** Cuts the gradients of a batch by partition: a counting sort of each table's keys, then one section a table and partition. */
import { partitionOf } from '@millrace/core';
import { createKeyOccurrences, type FeaturePlan, type KeyGradients, type SparseBatch } from '@millrace/model';
import type { GradientSection } from '@millrace/protocol';

export interface PartitionCut {
  readonly partition: number;
  readonly sections: readonly GradientSection[];
}

const keyOccurrences = createKeyOccurrences();

/** @param sums for each table the summed gradients of its keys (gather.ts, scatter). */
export function cutByPartition(
  plan: FeaturePlan,
  batch: SparseBatch,
  sums: readonly KeyGradients[],
  partitions: number,
): readonly PartitionCut[] {
  const sections = new Map<number, GradientSection[]>();
  for (let t = 0; t < plan.tables.length; t += 1) {
    const { keys, unique } = batch.tables[t];
    const { dim, countsOccurrences } = plan.tables[t];
    const occurrences = countsOccurrences ? keyOccurrences.count(batch.tables[t]) : null;
    const partitionOfKey = new Uint16Array(unique);
    const counts = new Uint32Array(partitions);
    for (let i = 0; i < unique; i += 1) {
      const partition = partitionOf(keys[2 * i], keys[2 * i + 1], partitions);
      partitionOfKey[i] = partition;
      counts[partition] += 1;
    }
    const open: (GradientSection | undefined)[] = new Array(partitions);
    const filled = new Uint32Array(partitions);
    for (let i = 0; i < unique; i += 1) {
      const partition = partitionOfKey[i];
      let section = open[partition];
      if (!section) {
        section = emptySection(t, dim, counts[partition], sums[t].curvature !== null, countsOccurrences);
        open[partition] = section;
        const list = sections.get(partition);
        if (list) list.push(section);
        else sections.set(partition, [section]);
      }
      copyKey(section, filled[partition], i, keys, sums[t]);
      if (occurrences && section.occurrences) section.occurrences[filled[partition]] = occurrences[i];
      filled[partition] += 1;
    }
  }
  return [...sections].sort(([a], [b]) => a - b).map(([partition, list]) => ({ partition, sections: list }));
}

function emptySection(
  table: number,
  dim: number,
  count: number,
  hasCurvature: boolean,
  hasOccurrences: boolean,
): GradientSection {
  return {
    table,
    dim,
    count,
    keys: new Uint32Array(2 * count),
    gradients: new Float32Array(count * dim),
    curvature: hasCurvature ? new Float32Array(count * dim) : null,
    occurrences: hasOccurrences ? new Uint32Array(count) : null,
  };
}

function copyKey(
  section: GradientSection,
  to: number,
  from: number,
  keys: Uint32Array,
  sum: KeyGradients,
): void {
  const { dim } = section;
  section.keys[2 * to] = keys[2 * from];
  section.keys[2 * to + 1] = keys[2 * from + 1];
  for (let d = 0; d < dim; d += 1) {
    section.gradients[to * dim + d] = sum.gradients[from * dim + d];
    if (section.curvature && sum.curvature) section.curvature[to * dim + d] = sum.curvature[from * dim + d];
  }
}
