/** What a joiner gives out: parts of examples, each at a place in the event log. */
import type { ExamplePlace, Features, Weighting } from '@millrace/protocol';

export interface Example {
  readonly place: ExamplePlace;
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
  /**
   * Its part of the loss shown · ln(1 + e^z) − clicked · z. A negative has 1 and 0, a positive of weight w has w and w; a
   * positive that was learned as a negative before has w − 1 and w, so that both together are the positive.
   */
  readonly shown: number;
  readonly clicked: number;
  /** Added to the logit in the loss, −ln of the rate at which its impression's negatives are kept. */
  readonly offset: number;
  readonly weighting: Weighting;
  /** Nothing was taught of this item of this impression before. */
  readonly isFirst: boolean;
  /** It is what makes the item a positive. */
  readonly makesPositive: boolean;
  /** Probability that was returned for it. */
  readonly score: number;
  /** Experiment arms that it is in, and the unit of each, as its impression says; absent: none. */
  readonly arm?: string;
  readonly units?: readonly number[];
  /** What a shadow arm made of it; absent: none did. */
  readonly shadow?: {
    readonly arm: string;
    readonly unit: number;
    readonly score: number;
    /** Of the item that a rank showed first; absent: it is none. */
    readonly greedy?: Choice;
  };
  /** Of the item that a rank showed first; absent: it is none. */
  readonly ranked?: RankedFirst;
  /** Version that scored it; absent: the live line. */
  readonly modelVersion?: number;
  /** Kind of the outcome that makes it a positive, among the model's, and its value; absent: it is a negative. */
  readonly kind?: number;
  readonly value?: number;
  /** Where a fold must begin to find it and all later ones again, and nothing else after the example before it. */
  readonly origin: Origin;
}

/** What scores alone would have shown where a rank showed something. */
export interface Choice {
  /** It is the very item that was shown. */
  readonly isShown: boolean;
  /** Probability that was answered for it. */
  readonly score: number;
}

export interface RankedFirst {
  /** With which the item was drawn, above 0. */
  readonly propensity: number;
  /** By the scores that were answered. */
  readonly greedy: Choice;
}

/** A place in the event log and the watermark just before it. */
export interface Origin {
  readonly sequence: number;
  readonly watermarkMs: number;
}
