/** Reports in words, and many of them as one. */
import type { SimulationReport } from './simulation.ts';

export interface SimulationSummary {
  readonly seeds: number;
  readonly failed: readonly SimulationReport[];
  /** Events that ran. */
  readonly events: number;
  /** Harm done, by kind. */
  readonly harms: Readonly<Record<string, number>>;
  readonly virtualHours: number;
  readonly figures: Readonly<Record<string, number>>;
}

export function summaryOf(reports: readonly SimulationReport[]): SimulationSummary {
  const harms: Record<string, number> = {};
  const figures: Record<string, number> = {};
  for (const report of reports) {
    for (const [kind, count] of Object.entries(report.harms)) harms[kind] = (harms[kind] ?? 0) + count;
    for (const [name, count] of Object.entries(report.figures)) figures[name] = (figures[name] ?? 0) + count;
  }
  return {
    seeds: reports.length,
    failed: reports.filter(({ violations }) => violations.length > 0),
    events: reports.reduce((sum, { events }) => sum + events, 0),
    harms,
    virtualHours: reports.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000,
    figures,
  };
}

/** What broke, and how to see it again. */
export function failureLines({ seed, violations, traceHash }: SimulationReport, steps: number): string {
  const lines = violations.map(({ invariant, what, atMs }) => `  ${invariant}  at ${atMs} ms: ${what}`);
  const replay = `SEED=${seed} npm run simulate -- --steps ${steps} --trace`;
  return [`seed ${seed} is broken (trace ${traceHash}); replay: ${replay}`, ...lines].join('\n');
}

export function summaryLines(summary: SimulationSummary): string {
  const { seeds, failed, events, harms, virtualHours, figures } = summary;
  const listed = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    `${seeds} seeds, ${failed.length} broken; ${events} events, ${virtualHours.toFixed(2)} virtual hours`,
    `harm: ${listed(harms)}`,
    `met: ${listed(figures)}`,
  ].join('\n');
}
