/** Tells how far restoring has come: a line every few seconds while partitions are not readable, and one when all are. */
import type { Clock, Logger, Timer } from '@millrace/runtime';
import type { HoldingPhase, PartitionHolding } from './partition-holding.ts';

const reportEveryMs = 3_000;

export interface RestoreReportOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly holdings: () => readonly PartitionHolding[];
}

export interface RestoreReport {
  /** To be called when partitions may have been taken on, let go, or become readable. */
  watch(): void;
  close(): void;
}

export function reportRestores({ clock, logger, holdings }: RestoreReportOptions): RestoreReport {
  let timer: Timer | null = null;
  let startedMs = 0;

  const sightOf = (all: readonly PartitionHolding[]) => {
    const gone = countOf(all, 'gone');
    return {
      ready: countOf(all, 'ready'),
      of: all.length,
      ...(gone > 0 ? { gone } : {}),
      rows: all.reduce((sum, { restoredRows }) => sum + restoredRows, 0),
      behind: all.reduce((sum, { behind }) => sum + behind, 0),
      durationMs: Math.round(clock.monotonicMs() - startedMs),
    };
  };
  const tell = () => {
    logger.info(sightOf(holdings()), 'partitions being restored');
    timer = clock.setTimer(reportEveryMs, tell);
  };

  return {
    watch() {
      const all = holdings();
      const isDone = countOf(all, 'ready') === all.length;
      if (timer === null && !isDone) {
        startedMs = clock.monotonicMs();
        timer = clock.setTimer(reportEveryMs, tell);
      } else if (timer !== null && isDone) {
        timer.cancel();
        timer = null;
        logger.info(sightOf(all), 'partitions restored');
      }
    },
    close() {
      timer?.cancel();
      timer = null;
    },
  };
}

function countOf(holdings: readonly PartitionHolding[], wanted: HoldingPhase): number {
  return holdings.reduce((count, { phase }) => count + (phase === wanted ? 1 : 0), 0);
}
