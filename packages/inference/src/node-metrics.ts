/** What a node tells of its scoring in /metrics, all models together, since its start. */
import type { Metrics } from '@millrace/runtime';
import type { ScoringCore } from './scoring-core.ts';

type Told = readonly [name: string, help: string, read: (core: ScoringCore) => number];

const told: readonly Told[] = [
  ['mill_scored_items', 'Items scored.', ({ totals }) => totals.scored],
  [
    'mill_known_items',
    'Items whose keys were known from a request before.',
    ({ totals }) => totals.knownItems,
  ],
  ['mill_batches', 'Batches run.', ({ totals }) => totals.batches],
  ['mill_passes_beside', 'Forward passes that the thread beside did.', ({ totals }) => totals.passesBeside],
  ['mill_queue_rows', 'Items that wait for a batch.', (core) => core.status().node.queueRows],
  ['mill_answered_requests', 'Requests that batches answered.', ({ totals }) => totals.answered],
  ['mill_failed_requests', 'Requests whose batch failed or made no numbers.', ({ totals }) => totals.failed],
  [
    'mill_stage_wait_seconds',
    'Of answered requests, added up: until their batch left.',
    ({ totals }) => totals.waitMs / 1_000,
  ],
  [
    'mill_stage_pull_seconds',
    'Then until keys were made and rows there.',
    ({ totals }) => totals.pullMs / 1_000,
  ],
  ['mill_stage_forward_seconds', 'Then until the net was done.', ({ totals }) => totals.forwardMs / 1_000],
  [
    'mill_stage_answer_seconds',
    'Then until all of the batch had scores.',
    ({ totals }) => totals.answerMs / 1_000,
  ],
  ['mill_lost_impressions', 'Impressions that the log did not take.', (core) => core.lostImpressions],
  [
    'mill_scores_not_finite',
    'Requests whose scores were no numbers; answered by earlier weights, or not at all.',
    (core) => core.notFinite,
  ],
];

export function tellNode(metrics: Metrics, core: ScoringCore): void {
  for (const [name, help, read] of told) metrics.gauge({ name, help }, () => read(core));
}
