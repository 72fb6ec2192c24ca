/** What is logged of scores that were answered: what was asked, what came of it, and what it takes to compute them again. */
import type { CopyFormat } from '@millrace/client';
import type { Impression, ScoreRequest } from '@millrace/protocol';
import type { WayScored } from './arm-routing.ts';

/** The items in the order shown, and what goes with them. */
export type Shown = Pick<Impression, 'items' | 'scores'> & Partial<Impression>;

export interface ImpressionFacts {
  readonly timeMs: number;
  /** How copies of rows are kept. */
  readonly rowFormat: CopyFormat;
}

const noFeatures = {};

export function impressionOf(
  { model, route: { line }, assignment, scored: { version, degraded, reads } }: WayScored,
  {
    user = noFeatures,
    context = noFeatures,
    requestId,
  }: Pick<ScoreRequest, 'user' | 'context'> & { readonly requestId: string },
  shown: Shown,
  { timeMs, rowFormat }: ImpressionFacts,
): Impression {
  const { negativeRate = 1 } = model.net.file.learning ?? {};
  return {
    type: 'impression',
    requestId,
    timeMs,
    user,
    context,
    ...shown,
    version,
    ...(line.number !== null && { modelVersion: line.number }),
    engine: line.engine,
    ...(assignment !== null && assignment.arm !== '' && { arm: assignment.arm, units: assignment.units }),
    ...(reads && { reads }),
    ...(rowFormat !== 'float32' && { rowFormat }),
    ...(degraded && { degraded }),
    ...(negativeRate < 1 && { negativeRate }),
  };
}
