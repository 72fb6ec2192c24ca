/**
 * Progressive validation: each example is scored before it is learned, and the scores are judged as they come.
 * Observations are kept in order, so that quality can be told of any stretch of the run ("its last third") and not only
 * as a running mean that remembers the beginning for ever.
 *
 *   position   0 ────── kept from ─────────────────── count       position n is the n-th observation since the start
 *              dropped         ring of typed arrays
 *
 * The ring doubles from `ringCountFirst` up to `windowCount`; from then on the newest overwrites the oldest, and reports
 * that reach further back say how many observations they lack. 17 bytes an observation (25 while it doubles).
 */
import { aucFromScores } from './auc.ts';
import { calibrationRatioFromScores } from './calibration.ts';
import { loglossFromScores, normalizedEntropyFromScores } from './logloss.ts';

/** Small, since most tests and short logs need no more; doubling reaches millions in twelve copies. */
const ringCountFirst = 1_024;
/** About 87 minutes at 800 observations a second, in 71 MB. */
const windowCountDefault = 4_194_304;

export interface QualityOptions {
  /** Observations kept at most, ≥ 1. Default 4,194,304. */
  readonly windowCount?: number;
}

/** A stretch of positions: `from` included, `to` excluded. */
export interface QualityRange {
  /** Default: the oldest observation kept. */
  readonly from?: number;
  /** Default: the end. */
  readonly to?: number;
}

export interface QualityReport {
  /** Observations judged. */
  readonly count: number;
  /** Observations of the wanted range that were no longer kept. */
  readonly dropped: number;
  /** NaN when one class is absent. */
  readonly auc: number;
  /** Mean, nats; NaN when `count` is 0. */
  readonly logloss: number;
  /** logloss over that of the mean label; NaN when one class is absent. */
  readonly normalizedEntropy: number;
  /** Σ scores / Σ labels; NaN when there is no positive. */
  readonly calibration: number;
  /** The same of the true probabilities; there only when every observation judged came with one. */
  readonly oracleAuc?: number;
  readonly oracleLogloss?: number;
}

export interface ProgressiveQuality {
  /** Observations since the start; the position of the next one, so a mark to report from. */
  readonly count: number;
  /** Position of the oldest observation still kept. */
  readonly keptFrom: number;
  /**
   * @param score predicted probability.
   * @param label 0 or 1.
   * @param oracleScore true probability, where it is known.
   */
  add(score: number, label: 0 | 1, oracleScore?: number): void;
  /** Judges a stretch; allocates and sorts, O(n log n). The newest n: `{ from: quality.count - n }`. */
  report(range?: QualityRange): QualityReport;
}

/** Starts with no observations. */
export function createProgressiveQuality(options: QualityOptions = {}): ProgressiveQuality {
  return new Ring(Math.max(1, Math.floor(options.windowCount ?? windowCountDefault)));
}

class Ring implements ProgressiveQuality {
  readonly #windowCount: number;
  #scores: Float64Array;
  #oracle: Float64Array;
  #labels: Uint8Array;
  #count = 0;

  constructor(windowCount: number) {
    this.#windowCount = windowCount;
    const size = Math.min(ringCountFirst, windowCount);
    this.#scores = new Float64Array(size);
    this.#oracle = new Float64Array(size);
    this.#labels = new Uint8Array(size);
  }

  get count(): number {
    return this.#count;
  }

  get keptFrom(): number {
    return Math.max(0, this.#count - this.#windowCount);
  }

  add(score: number, label: 0 | 1, oracleScore = Number.NaN): void {
    if (this.#count === this.#labels.length && this.#count < this.#windowCount) this.#grow();
    const place = this.#count % this.#labels.length;
    this.#scores[place] = score;
    this.#oracle[place] = oracleScore;
    this.#labels[place] = label;
    this.#count++;
  }

  report(range: QualityRange = {}): QualityReport {
    const to = Math.min(Math.max(range.to ?? this.#count, 0), this.#count);
    const wanted = Math.min(Math.max(range.from ?? this.keptFrom, 0), to);
    const from = Math.min(Math.max(wanted, this.keptFrom), to);
    const count = to - from;
    const scores = unrolled(this.#scores, new Float64Array(count), from);
    const oracle = unrolled(this.#oracle, new Float64Array(count), from);
    const labels = unrolled(this.#labels, new Uint8Array(count), from);
    const report = {
      count,
      dropped: from - wanted,
      auc: aucFromScores(scores, labels, count),
      logloss: loglossFromScores(scores, labels, count),
      normalizedEntropy: normalizedEntropyFromScores(scores, labels, count),
      calibration: calibrationRatioFromScores(scores, labels, count),
    };
    if (count === 0 || oracle.some(Number.isNaN)) return report;
    return {
      ...report,
      oracleAuc: aucFromScores(oracle, labels, count),
      oracleLogloss: loglossFromScores(oracle, labels, count),
    };
  }

  /** Only called before the ring has wrapped, so places and positions agree. */
  #grow(): void {
    const size = Math.min(this.#labels.length * 2, this.#windowCount);
    this.#scores = grown(this.#scores, new Float64Array(size));
    this.#oracle = grown(this.#oracle, new Float64Array(size));
    this.#labels = grown(this.#labels, new Uint8Array(size));
  }
}

function grown<T extends Float64Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** Fills `straight` with the ring's values from position `from` on, in order. */
function unrolled<T extends Float64Array | Uint8Array>(ring: T, straight: T, from: number): T {
  const start = from % ring.length;
  const first = Math.min(straight.length, ring.length - start);
  straight.set(ring.subarray(start, start + first));
  straight.set(ring.subarray(0, straight.length - first), first);
  return straight;
}
