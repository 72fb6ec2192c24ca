/** What one scoring session measured: counts, quality against the outcomes, latency. Shared by demo and replay. */
import {
  createHistogram,
  createProgressiveQuality,
  createRate,
  type Histogram,
  type ProgressiveQuality,
  type Rate,
} from '@millrace/core';

export interface RunRecord {
  readonly quality: ProgressiveQuality;
  readonly scoreRate: Rate;
  /** Time of a score request at its caller, ms. */
  readonly scoreMs: Histogram;
  /** Click to changed score, ms. */
  readonly freshnessMs: Histogram;
  scored: number;
  clicksSent: number;
  errors: number;
  /** The newest error, for the screen. */
  lastError: string;
  /** Answers with default rows in place of unreachable ones. */
  degraded: number;
  /** Probes that saw no change within their time limit. */
  missedProbes: number;
}

export function createRunRecord(): RunRecord {
  return {
    quality: createProgressiveQuality(),
    scoreRate: createRate({ windowMs: 5_000 }),
    scoreMs: createHistogram(),
    freshnessMs: createHistogram(),
    scored: 0,
    clicksSent: 0,
    errors: 0,
    lastError: '',
    degraded: 0,
    missedProbes: 0,
  };
}

/** Counts a failed call. */
export function noteError(record: RunRecord, error: unknown): void {
  record.errors += 1;
  record.lastError = error instanceof Error ? error.message : String(error);
}
