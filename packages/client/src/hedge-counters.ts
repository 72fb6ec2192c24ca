import type { Metrics } from '@millrace/runtime';
import type { HedgeEvent } from './part-asker.ts';

/** Counters of second requests, for the onHedge of a pull client. Once a registry. */
export function createHedgeCounters(metrics: Metrics): (event: HedgeEvent) => void {
  const asked = metrics.counter({
    name: 'mill_hedged_pulls_total',
    help: 'Parts of pulls that were asked of a second holder, since the first took longer than usual.',
  });
  const won = metrics.counter({
    name: 'mill_hedge_wins_total',
    help: 'Parts of pulls that the second holder answered first.',
  });
  return (event) => (event === 'asked' ? asked : won).inc();
}
