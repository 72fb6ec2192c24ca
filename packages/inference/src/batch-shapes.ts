/** Which sizes of batches a model's traffic makes, so that a net can be warmed up at them. */

export interface BatchShapes {
  note(rows: number): void;
  /** Rows to warm up at, ascending: the powers of two that batches seen lately were rounded up to; before any, 1 and the largest. */
  inUse(): readonly number[];
}

/** Batches after which older ones count half: some seconds of traffic. */
const halfAfter = 4_096;

/** @param rowsMax of a batch; one large request may exceed it. */
export function createBatchShapes(rowsMax: number): BatchShapes {
  /** By the power of two, up to 2^16. */
  const counts = new Uint32Array(17);
  let noted = 0;
  return {
    note(rows) {
      counts[Math.min(16, 32 - Math.clz32(Math.max(1, rows) - 1))] += 1;
      noted += 1;
      if (noted % halfAfter === 0) for (let i = 0; i < counts.length; i += 1) counts[i] >>>= 1;
    },
    inUse() {
      if (noted === 0) return rowsMax === 1 ? [1] : [1, rowsMax];
      return Array.from(counts, (count, power) => (count > 0 ? 2 ** power : 0)).filter((rows) => rows > 0);
    },
  };
}
