/** What an evaluation tells: estimates with their intervals, and how far the log carries them. */
import {
  bootstrapSelfNormalized,
  clipWeights,
  directMethod,
  doublyRobust,
  type Estimate,
  type Interval,
  inversePropensityScore,
  normalInterval,
  type RewardModel,
  reportOnWeights,
  selfNormalized,
  switchDoublyRobust,
} from '@millrace/core';

export interface AssessInput {
  /** float64[count]: the policy's probability over the logged one. */
  readonly weights: Float64Array;
  /** float64[count] */
  readonly rewards: Float64Array;
  readonly count: number;
  /** What a model of the reward says; null: there is none. */
  readonly model: RewardModel | null;
  /** Heavier weights count as this; null: none is cut. */
  readonly clip: number | null;
  readonly confidence: number;
  readonly resamples: number;
  readonly seed: number;
}

export interface Told extends Estimate {
  readonly interval: Interval;
}

export interface Assessment {
  readonly events: number;
  /** Events with a reward above 0. */
  readonly clicks: number;
  /** What the logging policy earned an event. */
  readonly logged: Told;
  /** Of the clipped weights, where they are clipped. */
  readonly ips: Told;
  readonly snips: Told;
  readonly dm: Told | null;
  readonly dr: Told | null;
  /** Of the weights before clipping; heavier decisions than the threshold, √events, count by the model. */
  readonly switchDr: (Told & { readonly threshold: number }) | null;
  /** Of the weights before clipping. */
  readonly meanWeight: number;
  readonly weightMax: number;
  /** Of the weights that were used. */
  readonly effectiveSampleSize: number;
  readonly clipping: Clipping | null;
  /** What speaks against the figures, in sentences. */
  readonly warnings: readonly string[];
}

export interface Clipping {
  readonly at: number;
  readonly clipped: number;
  /** Of all events. */
  readonly clippedShare: number;
  /** Of all weight. */
  readonly weightLost: number;
  readonly ipsBefore: Told;
}

/** One decision that holds more of all weight than this decides too much alone. */
const weightShareMax = 0.05;
/** As does one so many times as heavy as the mean. */
const weightOverMeanMax = 1_000;
const effectiveShareMin = 0.01;
/** The mean weight is 1 but for chance: so many standard errors off, and the propensities are not those that drew. */
const meanWeightErrorsMax = 5;

export function assess(input: AssessInput): Assessment {
  const { rewards, count, model, clip, confidence } = input;
  const told = (estimate: Estimate): Told => ({
    ...estimate,
    interval: normalInterval(estimate, confidence),
  });
  const raw = { weights: input.weights, rewards, count };
  const cut = clip === null ? null : clipWeights(input.weights, count, clip);
  const used = cut === null ? raw : { ...raw, weights: cut.weights };
  const before = reportOnWeights(raw.weights, count);
  const effectiveSampleSize = reportOnWeights(used.weights, count).effectiveSampleSize;
  // The order that balances bias and spread (Wang, Agarwal, Dudík).
  const threshold = Math.sqrt(count);
  const clipping =
    cut === null
      ? null
      : {
          at: clip as number,
          clipped: cut.clipped,
          clippedShare: cut.clipped / count,
          weightLost: cut.weightLost,
          ipsBefore: told(inversePropensityScore(raw)),
        };
  return {
    events: count,
    clicks: rewards.subarray(0, count).reduce((sum, reward) => sum + (reward > 0 ? 1 : 0), 0),
    logged: told(inversePropensityScore({ ...raw, weights: new Float64Array(count).fill(1) })),
    ips: told(inversePropensityScore(used)),
    snips: snipsOf(used, input),
    dm: model && told(directMethod(model, count)),
    dr: model && told(doublyRobust(used, model)),
    switchDr: model && { ...told(switchDoublyRobust(raw, model, threshold)), threshold },
    meanWeight: before.mean,
    weightMax: before.max,
    effectiveSampleSize,
    clipping,
    warnings: warningsOn({ ...input, ...before, used: effectiveSampleSize }),
  };
}

function snipsOf(
  used: Parameters<typeof selfNormalized>[0],
  { confidence, resamples, seed }: AssessInput,
): Told {
  const estimate = selfNormalized(used);
  const interval =
    resamples === 0
      ? normalInterval(estimate, confidence)
      : bootstrapSelfNormalized(used, { confidence, resamples, seed });
  return { ...estimate, interval };
}

interface WarningInput {
  readonly weights: Float64Array;
  readonly count: number;
  readonly clip: number | null;
  readonly mean: number;
  readonly max: number;
  /** Effective sample size of the weights used. */
  readonly used: number;
}

function warningsOn({ weights, count, clip, mean, max, used }: WarningInput): string[] {
  const warnings: string[] = [];
  const share = max / (mean * count);
  if (clip === null && (share > weightShareMax || max > weightOverMeanMax * mean)) {
    warnings.push(
      `one decision weighs ${short(max)}, ${short(max / mean)} times the mean and ${short(100 * share)} % of all: the estimate rests on it; see what --clip gives`,
    );
  }
  if (mean === 0)
    warnings.push('the policy would never have shown what the log shows: nothing can be said of it');
  else if (used < effectiveShareMin * count) {
    warnings.push(
      `the log tells as much as ${short(used)} events of the policy itself, under 1 % of its ${count}: the policies are too far apart`,
    );
  }
  let squares = 0;
  for (let i = 0; i < count; i += 1) squares += (weights[i] - mean) ** 2;
  const error = Math.sqrt(squares / count / Math.max(1, count - 1));
  if (mean > 0 && Math.abs(mean - 1) > meanWeightErrorsMax * error + 1e-9) {
    warnings.push(
      `the weights average ${short(mean)} (± ${short(error)}), and true propensities make it 1: see that they are those of the shown item, and that the items are all there were`,
    );
  }
  return warnings;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
