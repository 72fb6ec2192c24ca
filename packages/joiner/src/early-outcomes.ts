/** Outcomes that came before their impression. One request may have so many; those of all requests are bounded by what may follow the first of them. */
import type { Outcome } from '@millrace/protocol';
import type { FoldTime, Waiting } from './fold-time.ts';

/** Outcomes of one unknown request that are kept; more are refused. */
export const earlyOutcomesMax = 2_000;

/** An outcome and its kind's number. */
export interface KnownOutcome {
  readonly outcome: Outcome;
  readonly kind: number;
}

interface Early extends Waiting {
  readonly outcomes: KnownOutcome[];
}

export interface EarlyOutcomes {
  readonly size: number;
  has(requestId: string): boolean;
  /** @returns false when there are too many of that request already. */
  add(requestId: string, known: KnownOutcome, at: Waiting): boolean;
  /** Those of a request, in the order they came; they wait no longer. */
  take(requestId: string): readonly KnownOutcome[];
  /** Gives up what has waited long enough, oldest first. */
  close(onGivenUp: (outcome: Outcome) => void): void;
}

/** @param waitMs how long they wait. */
export function createEarlyOutcomes(time: FoldTime, waitMs: number): EarlyOutcomes {
  /** In order of the first outcome. */
  const early = new Map<string, Early>();
  return {
    get size() {
      return early.size;
    },
    has: (requestId) => early.has(requestId),
    add(requestId, known, at) {
      const waiting = early.get(requestId);
      if (waiting === undefined) early.set(requestId, { ...at, outcomes: [known] });
      else if (waiting.outcomes.length < earlyOutcomesMax) waiting.outcomes.push(known);
      else return false;
      return true;
    },
    take(requestId) {
      const waiting = early.get(requestId);
      if (waiting === undefined) return none;
      early.delete(requestId);
      return waiting.outcomes;
    },
    close(onGivenUp) {
      for (const [requestId, waiting] of early) {
        if (!time.isOver(waiting, waitMs)) return;
        early.delete(requestId);
        for (const { outcome } of waiting.outcomes) onGivenUp(outcome);
      }
    },
  };
}

const none: readonly KnownOutcome[] = [];
