/**
 * Records of a log for trials: its first three fifths and its last two fifths of what is wanted, so that a log that changes
 * on its way shows that it does, and a short one is there whole.
 */
export interface Sample {
  /** Values by column, in order of the log. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
  /** uint8[records] */
  readonly labels: Uint8Array;
  /** Records of the log between those of its start and those of its end. */
  readonly leftOut: number;
}

export interface Sampler {
  add(values: Readonly<Record<string, unknown>>, label: 0 | 1): void;
  sample(): Sample;
}

interface Kept {
  readonly values: Readonly<Record<string, unknown>>;
  readonly label: 0 | 1;
}

/** @param recordsMax held at most. */
export function createSampler(recordsMax: number): Sampler {
  const firstMax = Math.ceil(recordsMax * 0.6);
  const ringMax = recordsMax - firstMax;
  const first: Kept[] = [];
  const ring: Kept[] = [];
  let seen = 0;
  return {
    add(values, label) {
      const kept = { values, label };
      if (seen < firstMax) first.push(kept);
      else if (ringMax > 0) ring[(seen - firstMax) % ringMax] = kept;
      seen += 1;
    },
    sample() {
      const after = Math.max(0, seen - firstMax);
      const oldest = after > ringMax && ringMax > 0 ? after % ringMax : 0;
      const all = [...first, ...ring.slice(oldest), ...ring.slice(0, oldest)];
      return {
        records: all.map(({ values }) => values),
        labels: Uint8Array.from(all, ({ label }) => label),
        leftOut: seen - all.length,
      };
    },
  };
}
