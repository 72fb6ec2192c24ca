import { createLogger, createManualClock } from '@millrace/runtime';
import { expect, test } from 'vitest';
import type { HoldingPhase, PartitionHolding } from '../src/partition-holding.ts';
import { reportRestores } from '../src/restore-report.ts';

function holdingOf(phase: HoldingPhase, restoredRows: number, behind: number) {
  return { partition: 0, phase, restoredRows, behind, follower: null, drop: async () => {} };
}

test('restore report: a line every three seconds until all answer reads, and one when they do', () => {
  const clock = createManualClock(0);
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line) => lines.push(JSON.parse(line)) },
  });
  let holdings: PartitionHolding[] = [holdingOf('ready', 5, 0)];
  const report = reportRestores({ clock, logger, holdings: () => holdings });
  report.watch();
  expect(clock.timersWaiting).toBe(0);
  holdings = [holdingOf('ready', 5, 0), holdingOf('following', 10, 7), holdingOf('restoring', 3, 0)];
  report.watch();
  report.watch();
  clock.advanceBy(2_999);
  expect(lines).toEqual([]);
  clock.advanceBy(1);
  holdings = [holdingOf('ready', 5, 0), holdingOf('ready', 10, 0), holdingOf('gone', 0, 0)];
  clock.advanceBy(3_000);
  clock.advanceBy(500);
  holdings = [holdingOf('ready', 5, 0)];
  report.watch();
  clock.advanceBy(30_000);
  const told = lines.map(({ msg, ready, of, gone, rows, behind, durationMs }) => [
    msg,
    ready,
    of,
    gone,
    rows,
    behind,
    durationMs,
  ]);
  expect(told).toEqual([
    ['partitions being restored', 1, 3, undefined, 18, 7, 3_000],
    ['partitions being restored', 2, 3, 1, 15, 0, 6_000],
    ['partitions restored', 1, 1, undefined, 5, 0, 6_500],
  ]);
  expect(clock.timersWaiting).toBe(0);
});

test('restore report: close ends it', () => {
  const clock = createManualClock(0);
  const logger = createLogger({ service: 'test', level: 'silent' });
  const report = reportRestores({ clock, logger, holdings: () => [holdingOf('restoring', 0, 0)] });
  report.watch();
  report.close();
  expect(clock.timersWaiting).toBe(0);
});
