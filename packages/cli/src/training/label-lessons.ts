/**
 * What a record of a log file teaches, as the updater would have it taught (joiner/teaching.ts), had the record been shown as
 * one item and its label come as an outcome:
 *
 *   1   {w, w}, w the weight of the label's kind of outcome
 *   0   {1, 0}, or nothing where learning.negativeRate passes it over; the rate offsets every example
 *
 * The kind is the one that is called as the label's column, else `click`, else the model's first. A label says no amount, so its
 * value is the least that makes a positive of 1 or more.
 */
import { isKept, positiveWeight } from '@millrace/joiner';
import { type ModelFile, type OutcomeSpec, outcomeKindsOf, outcomeNameDefault } from '@millrace/protocol';

/** Parts of the loss, as a gradient step takes them. */
export interface Lesson {
  readonly shown: number;
  readonly clicked: number;
  readonly offset: number;
}

export interface LabelLessons {
  readonly outcome: string;
  /** That an outcome of label 1 is sent with. */
  readonly positiveValue: number;
  /** True where some negatives are not learned. */
  readonly isSampling: boolean;
  /** Null: it is passed over. */
  lessonOf(labelled: Labelled): Lesson | null;
}

export interface Labelled {
  /** Of its file: which negatives are passed over is decided by it. */
  readonly line: number;
  readonly label: 0 | 1;
  /** −ln of the rate at which the log itself was sampled. */
  readonly offset?: number;
}

const valueMinDefault = 1;

export function labelLessonsOf({ label, learning = {}, seed }: ModelFile): LabelLessons {
  const kind = kindOf(label, outcomeKindsOf(learning));
  const positiveValue = Math.max(1, kind.valueMin ?? valueMinDefault);
  const weight = positiveWeight(kind, positiveValue) ?? 1;
  const { negativeRate = 1 } = learning;
  const rateOffset = negativeRate < 1 ? -Math.log(negativeRate) : 0;
  const [negative, positive] = [
    { shown: 1, clicked: 0, offset: rateOffset },
    { shown: weight, clicked: weight, offset: rateOffset },
  ];
  return {
    outcome: kind.name,
    positiveValue,
    isSampling: negativeRate < 1,
    lessonOf({ line, label: found, offset = 0 }) {
      if (found === 0 && !isKept(lineRequestId(line), 0, seed, negativeRate)) return null;
      const lesson = found === 1 ? positive : negative;
      return offset === 0 ? lesson : { ...lesson, offset: lesson.offset + offset };
    },
  };
}

/** The request that a line of a log stands for. */
export function lineRequestId(line: number): string {
  return `line-${line}`;
}

function kindOf(label: string, kinds: readonly OutcomeSpec[]): OutcomeSpec {
  const named = (name: string) => kinds.find((kind) => kind.name === name);
  return named(label) ?? named(outcomeNameDefault) ?? kinds[0];
}
