/** The ways of exploring behind one function: how likely each of the items that are left takes the next place. */
import type { ExplorationSpec } from '@millrace/protocol';
import { epsilonGreedyProbabilities, greedyProbabilities } from './epsilon-greedy.ts';
import { softmaxProbabilities } from './softmax.ts';
import { thompsonProbabilities } from './thompson.ts';

/** An ExplorationSpec with nothing left out. */
export type Exploration =
  | { readonly type: 'epsilon-greedy'; readonly epsilon: number }
  | { readonly type: 'softmax'; readonly temperature: number }
  | { readonly type: 'thompson'; readonly scale: number }
  | { readonly type: 'greedy' };

const epsilonDefault = 0.05;
const temperatureDefault = 0.1;
const scaleDefault = 1;

export function explorationFrom(spec: ExplorationSpec | undefined): Exploration {
  switch (spec?.type) {
    case undefined:
      return { type: 'epsilon-greedy', epsilon: epsilonDefault };
    case 'epsilon-greedy':
      return { type: 'epsilon-greedy', epsilon: spec.epsilon ?? epsilonDefault };
    case 'softmax':
      return { type: 'softmax', temperature: spec.temperature ?? temperatureDefault };
    case 'thompson':
      return { type: 'thompson', scale: spec.scale ?? scaleDefault };
    case 'greedy':
      return { type: 'greedy' };
  }
}

/** What a policy chooses between. */
export interface Candidates {
  /** float64[count] */
  readonly logits: Float64Array;
  /** float64[count]: how unsure each logit is; only Thompson sampling reads it. */
  readonly variances: Float64Array;
  readonly count: number;
}

/**
 * Writes the probability of each candidate; they sum to 1.
 * @param out float64[count]; overwritten.
 */
export function fillProbabilities(
  exploration: Exploration,
  { logits, variances, count }: Candidates,
  out: Float64Array,
): void {
  switch (exploration.type) {
    case 'epsilon-greedy':
      epsilonGreedyProbabilities(logits, count, exploration.epsilon, out);
      break;
    case 'softmax':
      softmaxProbabilities(logits, count, exploration.temperature, out);
      break;
    case 'thompson':
      thompsonProbabilities(logits, variances, { count, scale: exploration.scale }, out);
      break;
    case 'greedy':
      greedyProbabilities(logits, count, out);
      break;
  }
}
