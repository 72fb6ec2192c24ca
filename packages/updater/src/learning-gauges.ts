/** What updaters have learned and what became of outcomes, summed over the models of a process, for /metrics. */
import type { LearningCounters } from '@millrace/protocol';
import type { Metrics } from '@millrace/runtime';

type Count = Exclude<keyof LearningCounters, 'rejections' | 'batches'>;

const gauges: readonly { readonly name: string; readonly help: string; readonly of: Count }[] = [
  { name: 'mill_learned_examples', help: 'Examples learned, restarts included.', of: 'learned' },
  { name: 'mill_open_impressions', help: 'Impressions that wait for outcomes.', of: 'openImpressions' },
  { name: 'mill_rejected_outcomes', help: 'Outcomes without an impression.', of: 'rejectedOutcomes' },
  { name: 'mill_invalid_events', help: 'Events that cannot be read.', of: 'invalidEvents' },
  { name: 'mill_duplicate_outcomes', help: 'Outcomes that came again.', of: 'duplicateOutcomes' },
  { name: 'mill_early_outcomes', help: 'Outcomes that came before their impression.', of: 'earlyOutcomes' },
  { name: 'mill_late_outcomes', help: 'Outcomes that came in the late window.', of: 'lateOutcomes' },
  { name: 'mill_ignored_outcomes', help: 'Late outcomes that taught nothing.', of: 'ignoredOutcomes' },
  { name: 'mill_duplicate_impressions', help: 'Impressions that came again.', of: 'duplicateImpressions' },
  {
    name: 'mill_dropped_impressions',
    help: 'Impressions let go before their time, since too much followed.',
    of: 'droppedImpressions',
  },
  { name: 'mill_negatives_passed_over', help: 'Negatives that sampling left out.', of: 'sampledOut' },
];

/** @param counters of the models that are learned now. */
export function addLearningGauges(metrics: Metrics, counters: () => Iterable<LearningCounters>): void {
  for (const { name, help, of } of gauges) {
    metrics.gauge({ name, help }, () => {
      let sum = 0;
      for (const counted of counters()) sum += counted[of];
      return sum;
    });
  }
}
