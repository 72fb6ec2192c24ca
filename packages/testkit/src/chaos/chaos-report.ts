/** What a chaos run has found, as one JSON object and as text. */
import { type Harm, type HarmTarget, harmName } from './harms.ts';

export interface Recovery {
  readonly median: number;
  readonly max: number;
}

export interface ChaosReport {
  readonly seed: number;
  /** Of harming, its recoveries included. */
  readonly seconds: number;
  /** All harms, of every kind. */
  readonly kills: number;
  readonly harms: Readonly<Record<string, number>>;
  readonly scored: number;
  readonly failedScores: number;
  readonly degradedScores: number;
  readonly acknowledgedClicks: number;
  readonly learnedClicks: number;
  readonly lostBlocks: number;
  readonly doubleApplied: number;
  readonly lostExamples: number;
  readonly lostClicks: number;
  readonly doubleClicks: number;
  /** Answered scores that nothing can be learned from, and how many of the lost clicks are of those. */
  readonly lostImpressions: number;
  readonly clicksWithoutImpression: number;
  /** From the end of a harm until the cluster is whole again, s, by what was harmed. */
  readonly recoverySeconds: Readonly<Partial<Record<HarmTarget, Recovery>>>;
  /** `equal`, or what differs. */
  readonly verify: string;
  /** Whether all inference nodes answer alike at the newest dense version: `equal`, or how they differ. */
  readonly denseNodes: string;
  /** Partitions and dense logs that were trimmed behind their snapshots. */
  readonly trimmedLogs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** A few of the failures, as the client told them, and of the degraded scores. */
  readonly failures: readonly string[];
}

/** Empty when all that must hold has held, else what has not. */
export function faultsOf(report: ChaosReport): readonly string[] {
  const { failedScores, lostBlocks, lostExamples, doubleApplied, verify, denseNodes } = report;
  const counts = { failedScores, lostBlocks, lostExamples, doubleApplied };
  const faults = Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`]));
  if (verify !== 'equal') faults.push(`verify: ${verify}`);
  if (denseNodes !== 'equal') faults.push(`inference nodes: ${denseNodes}`);
  return faults;
}

/** How often each harm was done: `kill shard`, `stop inference`, …. */
export function harmCounts(harms: readonly Harm[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind, target } of harms) {
    const name = harmName(kind, target);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** The value below which a share of all values lie; 0 when there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export function recoveryOf(seconds: readonly number[]): Recovery {
  return { median: rounded(quantile(seconds, 0.5), 2), max: rounded(Math.max(...seconds), 2) };
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

export function reportText(report: ChaosReport): string {
  const { harms, recoverySeconds, failures } = report;
  const recoveries = Object.entries(recoverySeconds).map(
    ([target, { median, max }]) => `${target} ${median} s (longest ${max} s)`,
  );
  const faults = faultsOf(report);
  return [
    `seed ${report.seed}: ${report.kills} harms in ${report.seconds} s: ${Object.entries(harms)
      .map(([name, count]) => `${count} × ${name}`)
      .join(', ')}`,
    `${report.scored} scored, ${report.failedScores} failed, ${report.degradedScores} degraded, ${report.p50Ms} ms p50, ${report.p99Ms} ms p99`,
    `${report.acknowledgedClicks} clicks acknowledged, ${report.learnedClicks} learned, ${report.lostClicks} lost (${report.clicksWithoutImpression} with their impression), ${report.doubleClicks} twice`,
    `${report.lostBlocks} blocks and ${report.lostExamples} examples lost, ${report.doubleApplied} applied twice, ${report.lostImpressions} impressions lost`,
    `whole again after ${recoveries.join(', ')}`,
    `verify: ${report.verify}; inference nodes: ${report.denseNodes}; ${report.trimmedLogs} logs trimmed behind snapshots`,
    ...failures,
    faults.length === 0 ? 'all held' : `broken: ${faults.join(', ')}`,
  ].join('\n');
}
