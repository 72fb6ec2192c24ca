/** What is read of an example when arms are judged: a part of the joiner's (joiner/example.ts). */
import type { ExamplePlace } from '@millrace/protocol';

/** What scores alone would have shown first: whether it is what was shown, and the probability answered for it. */
export interface Choice {
  readonly isShown: boolean;
  readonly score: number;
}

export interface JudgedExample {
  readonly place: ExamplePlace;
  /** −ln of the rate at which its impression's negatives are kept. */
  readonly offset: number;
  readonly isFirst: boolean;
  readonly makesPositive: boolean;
  readonly score: number;
  /** Arms that decided of it, with spaces between, and the unit of each. */
  readonly arm?: string;
  readonly units?: readonly number[];
  /** What a shadow made of it. */
  readonly shadow?: {
    readonly arm: string;
    readonly unit: number;
    readonly score: number;
    readonly greedy?: Choice;
  };
  /** How the item came to the first place of an order; absent: it did not. */
  readonly ranked?: { readonly propensity: number; readonly greedy: Choice };
  /** Version that scored it; absent: the live line. */
  readonly modelVersion?: number;
  /** Kind of the outcome that it comes of, among the model's, and its value; absent: it is a negative. */
  readonly kind?: number;
  readonly value?: number;
  readonly origin: { readonly sequence: number; readonly watermarkMs: number };
}

/**
 * What an example adds to impressions and clicks. An item counts once however it was taught: as a negative, which sampling kept
 * at a rate and which then stands for 1/rate of them, and as a positive, which takes back what its negative was too much.
 */
export function countsOf({
  isFirst,
  makesPositive,
  offset,
}: Pick<JudgedExample, 'isFirst' | 'makesPositive' | 'offset'>): {
  readonly shown: number;
  readonly clicked: number;
} {
  const negatives = offset === 0 ? 1 : Math.exp(offset);
  const clicked = makesPositive ? 1 : 0;
  if (isFirst) return { shown: makesPositive ? 1 : negatives, clicked };
  return { shown: makesPositive ? 1 - negatives : 0, clicked };
}

const probabilityMin = 1e-15;

/** shown · −ln(1 − p) for negatives, −ln p for positives: shown · ln(1 + e^z) − clicked · z. */
export function lossOf(score: number, shown: number, clicked: number): number {
  return (shown - clicked) * lossOfNegative(score) + clicked * lossOfPositive(score);
}

/**
 * What an example adds to Σ loss² of items. Not the square of what it adds to Σ loss: of an item that was a negative first and is
 * a positive now, that is the difference of two losses.
 */
export function lossSquareOf(score: number, shown: number, clicked: number): number {
  return (shown - clicked) * lossOfNegative(score) ** 2 + clicked * lossOfPositive(score) ** 2;
}

/** The same of Σ (loss − other's loss)². */
export function gapSquareOf(
  { score, other }: { readonly score: number; readonly other: number },
  shown: number,
  clicked: number,
): number {
  const negative = lossOfNegative(score) - lossOfNegative(other);
  const positive = lossOfPositive(score) - lossOfPositive(other);
  return (shown - clicked) * negative ** 2 + clicked * positive ** 2;
}

function lossOfNegative(score: number): number {
  return -Math.log1p(-within(score));
}

function lossOfPositive(score: number): number {
  return -Math.log(within(score));
}

function within(score: number): number {
  return Math.min(Math.max(score, probabilityMin), 1 - probabilityMin);
}
