/** Schema of how outcomes become updates. */
import type { LearningSpec, OutcomeSpec } from '@millrace/protocol';
import { nameText } from './schema-names.ts';
import { notNegative, positive } from './schema-optimizer.ts';
import { choice, closed, integer, list, number, text } from './schema-parts.ts';

export const learning = closed<LearningSpec>(
  'How outcomes become updates.',
  {
    negatives: choice(
      'When an impression without an outcome counts as a negative: after-window (default), or at-once with a later click adding its own part of the gradient.',
      ['after-window', 'at-once'],
    ),
    joinWindowMs: number('How long an impression waits for its outcomes, ms. Default 30,000.', {
      minimum: 0,
      maximum: 86_400_000,
    }),
    latePositives: choice(
      'What comes of an outcome after the join window: wait (default) refuses it, ignore counts it, fake-negative-weighted learns it beside the negative that its impression counted as.',
      ['wait', 'fake-negative-weighted', 'ignore'],
    ),
    lateWindowMs: number(
      'How long after the join window a late outcome is known for one, ms. Default: as long as the join window.',
      { minimum: 0, maximum: 86_400_000 },
    ),
    outcomes: list(
      'Kinds of outcomes. Default: one, click.',
      closed<OutcomeSpec>(
        'One kind.',
        {
          name: text('Its name in events.', nameText),
          valueMin: number('Values below this teach that the item was not wanted. Default 1.', notNegative),
          weight: number('Weight of the example in the loss. Default 1.', positive),
          valueWeight: choice('Factor that the value adds to the weight. Default none.', [
            'none',
            'linear',
            'log1p',
          ]),
          valueMax: number('Values beyond this count as this. Default 1,000.', positive),
        },
        ['name'],
      ),
      { minItems: 1, maxItems: 16 },
    ),
    negativeRate: number('Share of negatives that is learned; scores stay calibrated. Default 1.', {
      exclusiveMinimum: 0,
      maximum: 1,
    }),
    batchExamplesMax: integer('Examples of one gradient batch, at most. Default 512.', 1, 65_536),
    batchDelayMs: number('How long the first example of a batch waits for others, ms. Default 20.', {
      minimum: 0,
      maximum: 60_000,
    }),
  },
  [],
);
