/** Tells how far restoring has come: a line every few seconds while partitions are not readable, and one when all are. */
import type { Clock, Logger, Timer } from '@millrace/runtime';
import type { PartitionHolding } from './partition-holding.ts';

const reportEveryMs = 3_000;

export interface RestoreReportOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly holdings: () => readonly PartitionHolding[];
}

export interface RestoreReport {
  /** To be called when partitions may have been taken on. */
  watch(): void;
  close(): void;
}

export function reportRestores({ clock, logger, holdings }: RestoreReportOptions): RestoreReport {
  let timer: Timer | null = null;
  let startedMs = 0;

  const look = () => {
    timer = null;
    const all = holdings();
    const ready = all.filter(({ phase }) => phase === 'ready').length;
    const gone = all.filter(({ phase }) => phase === 'gone').length;
    const sight = {
      ready,
      of: all.length,
      ...(gone > 0 ? { gone } : {}),
      rows: all.reduce((sum, { restoredRows }) => sum + restoredRows, 0),
      behind: all.reduce((sum, { behind }) => sum + behind, 0),
      durationMs: Math.round(clock.monotonicMs() - startedMs),
    };
    if (ready === all.length) {
      logger.info(sight, 'partitions restored');
      return;
    }
    logger.info(sight, 'partitions being restored');
    timer = clock.setTimer(reportEveryMs, look);
  };

  return {
    watch() {
      if (timer !== null || holdings().every(({ phase }) => phase === 'ready')) return;
      startedMs = clock.monotonicMs();
      timer = clock.setTimer(reportEveryMs, look);
    },
    close() {
      timer?.cancel();
      timer = null;
    },
  };
}
