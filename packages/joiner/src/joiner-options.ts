/** How the events of a model are joined; all of it comes from the model file, so that every fold of a log joins alike. */
import {
  joinBytesMax,
  joinEventsMax,
  joinWindowMsDefault,
  type LearningSpec,
  type ModelFile,
  type OutcomeSpec,
  outcomeKindsOf,
} from '@millrace/protocol';

export interface JoinerOptions {
  readonly negatives: NonNullable<LearningSpec['negatives']>;
  /** How long an impression waits for its outcomes, ms. */
  readonly windowMs: number;
  readonly latePositives: NonNullable<LearningSpec['latePositives']>;
  /** How long after that a late outcome is known for one, ms; 0 when late ones wait. */
  readonly lateMs: number;
  readonly kinds: readonly OutcomeSpec[];
  /** Name of the item field that outcomes may name an item by. */
  readonly itemField: string | undefined;
  /** Chooses the negatives that are kept where an impression says a rate. */
  readonly seed: number;
  /** Later events, of all models, that something may wait for. */
  readonly eventsMax: number;
  /** Bytes of later events of this model that something may wait for. */
  readonly bytesMax: number;
}

export function joinerOptionsOf({ learning = {}, item, seed }: ModelFile): JoinerOptions {
  const { negatives = 'after-window', latePositives = 'wait' } = learning;
  const windowMs = learning.joinWindowMs ?? joinWindowMsDefault;
  // With no window to wait for, a negative that is only taken for one needs no later event to say so.
  const isAtOnce = latePositives === 'fake-negative-weighted' && windowMs === 0;
  return {
    negatives: isAtOnce ? 'at-once' : negatives,
    windowMs,
    latePositives,
    lateMs: latePositives === 'wait' ? 0 : (learning.lateWindowMs ?? windowMs),
    kinds: outcomeKindsOf(learning),
    itemField: item,
    seed,
    eventsMax: joinEventsMax,
    bytesMax: joinBytesMax,
  };
}
