/**
 * What outcomes and their absence teach of one item, in whatever order they come. The loss of an example is
 * shown · ln(1 + e^z) − clicked · z (ADR 5), so parts of it can be learned at different times:
 *
 *                       nothing taught    taught as a negative    passed over    taught as a positive
 *   it is a negative    {1, 0}            –                       –              –
 *   positive, weight w  {w, w}            {w − 1, w}              {w, w}         {w, w}
 *
 * In the end an item has {1, 0}, or {Σw, Σw} over the kinds of its positive outcomes. A kind counts once for an item.
 *
 * Fake negatives are taught of every item, and a positive never takes one back: {1, 0} weighted 1 − p², then {w, w} weighted
 * 1 + p. An outcome within the window teaches both at once, since the weights are right only where each positive has its
 * negative: at the optimum p(1 + f) / (1 − f²) = f / (1 − f) gives f = p, however many of the clicks came late.
 */
import type { Outcome, Weighting } from '@millrace/protocol';
import { type Entry, passedOver, taughtNegative, taughtNothing, taughtPositive } from './entry.ts';
import type { Example } from './example.ts';
import type { JoinerOptions } from './joiner-options.ts';
import { positiveWeight } from './positive-weight.ts';
import { isKept } from './sampling.ts';

/** A part of an example, and where it stands among those of its impression at one event. */
export interface Part
  extends Pick<Example, 'shown' | 'clicked' | 'weighting' | 'isFirst' | 'makesPositive' | 'kind' | 'value'> {
  readonly index: number;
  /** Parts of one impression at one event ascend by (rank, index). */
  readonly rank: number;
}

export interface Teaching {
  /** Every item of which nothing has been taught is a negative. */
  teachNegatives(entry: Entry): void;
  /** @returns false when the item had its outcome of that kind already. */
  take(entry: Entry, index: number, kind: number, outcome: Outcome): boolean;
  /** Negatives that sampling passed over. */
  readonly sampledOut: number;
}

export function createTeaching(
  options: Pick<JoinerOptions, 'negatives' | 'latePositives' | 'kinds' | 'seed'>,
  emit: (entry: Entry, part: Part) => void,
): Teaching {
  const { kinds, seed } = options;
  const isFake = options.latePositives === 'fake-negative-weighted';
  const ofNegatives: Weighting = isFake ? 'fake-negative' : 'none';
  const ofPositives: Weighting = isFake ? 'late-positive' : 'none';
  /** Behind the negatives, where an event may teach both. */
  const firstRank = isFake || options.negatives === 'at-once' ? 1 : 0;
  let sampledOut = 0;

  const teachNegative = (entry: Entry, index: number, rank: number) => {
    if (!isKept(entry.requestId, index, seed, entry.rate)) {
      entry.taught[index] = passedOver;
      sampledOut += 1;
      return;
    }
    entry.taught[index] = taughtNegative;
    const how = { weighting: ofNegatives, isFirst: true, makesPositive: false };
    emit(entry, { index, rank, shown: 1, clicked: 0, ...how });
  };

  const teachPositive = (
    entry: Entry,
    index: number,
    rank: number,
    weight: number,
    outcome: Required<Pick<Part, 'kind' | 'value'>>,
  ) => {
    if (isFake && entry.taught[index] === taughtNothing) teachNegative(entry, index, 0);
    const before = entry.taught[index];
    entry.taught[index] = taughtPositive;
    const shown = before === taughtNegative && !isFake ? weight - 1 : weight;
    emit(entry, {
      index,
      rank,
      shown,
      clicked: weight,
      weighting: ofPositives,
      isFirst: before === taughtNothing || before === passedOver,
      makesPositive: before !== taughtPositive,
      ...outcome,
    });
  };

  return {
    teachNegatives(entry) {
      for (let index = 0; index < entry.taught.length; index += 1) {
        if (entry.taught[index] === taughtNothing) teachNegative(entry, index, 0);
      }
    },
    take(entry, index, kind, { value }) {
      const bit = 1 << kind;
      if (entry.seen[index] & bit) return false;
      entry.seen[index] |= bit;
      const weight = positiveWeight(kinds[kind], value);
      if (weight !== null) teachPositive(entry, index, firstRank + kind, weight, { kind, value });
      else if (entry.taught[index] === taughtNothing) teachNegative(entry, index, isFake ? 0 : kind);
      return true;
    },
    get sampledOut() {
      return sampledOut;
    },
  };
}
