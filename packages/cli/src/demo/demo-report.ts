/** The figures of a demo run: one object, printed as the last line with --json and as a few lines without. */
import type { ClusterStatus } from '@millrace/sdk';
import type { RunRecord } from './run-record.ts';

export interface DemoReport {
  readonly seconds: number;
  readonly scored: number;
  readonly learned: number;
  readonly clicks: number;
  /** Over the last third of the run; the oracle scores with the true probabilities. */
  readonly auc: number;
  readonly oracleAuc: number;
  readonly logloss: number;
  readonly oracleLogloss: number;
  readonly calibration: number;
  readonly freshnessMsP50: number;
  readonly freshnessMsP99: number;
  readonly freshnessProbes: number;
  readonly scoreMsP50: number;
  readonly scoreMsP99: number;
  readonly errors: number;
  readonly degraded: number;
  readonly missedProbes: number;
  readonly restarts: number;
  readonly engine: string;
  readonly version: number;
  readonly rows: number;
  readonly lastError?: string;
}

export interface ReportInput {
  readonly record: RunRecord;
  readonly status: ClusterStatus | null;
  readonly model: string;
  readonly seconds: number;
  /** Examples that the cluster had learned when the run began. */
  readonly learnedBefore: number;
  /** Observation from which the last third counts. */
  readonly lastThirdFrom: number;
  readonly restarts: number;
}

export function demoReport(input: ReportInput): DemoReport {
  const { record, status } = input;
  const quality = record.quality.report({ from: input.lastThirdFrom });
  const model = status?.models.find(({ name }) => name === input.model);
  return {
    seconds: round(input.seconds, 1),
    scored: record.scored,
    learned: Math.max(0, (model?.learned ?? 0) - input.learnedBefore),
    clicks: record.clicksSent,
    auc: round(quality.auc, 4),
    oracleAuc: round(quality.oracleAuc ?? Number.NaN, 4),
    logloss: round(quality.logloss, 4),
    oracleLogloss: round(quality.oracleLogloss ?? Number.NaN, 4),
    calibration: round(quality.calibration, 3),
    freshnessMsP50: round(record.freshnessMs.quantile(0.5), 1),
    freshnessMsP99: round(record.freshnessMs.quantile(0.99), 1),
    freshnessProbes: record.freshnessMs.count,
    scoreMsP50: round(record.scoreMs.quantile(0.5), 2),
    scoreMsP99: round(record.scoreMs.quantile(0.99), 2),
    errors: record.errors + record.missedProbes,
    degraded: record.degraded,
    missedProbes: record.missedProbes,
    restarts: input.restarts,
    engine: model?.engine ?? 'unknown',
    version: model?.version ?? 0,
    rows: Math.max(0, ...(status?.shards ?? []).map(({ rows }) => rows)),
    ...(record.lastError ? { lastError: record.lastError } : {}),
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
