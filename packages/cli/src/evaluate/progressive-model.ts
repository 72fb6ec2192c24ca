/**
 * A model that is asked what it would choose and then learns what was chosen instead: it never judges an example that it has
 * learned from, so its scores are honest both as a policy and as a model of the reward.
 */
import type { LearnerExample, LocalLearner } from '@millrace/learner';
import type { Features, ScoreRequest } from '@millrace/protocol';
import { labelLessonsOf } from '../training/label-lessons.ts';

export interface Judgement {
  /** float64[items] */
  readonly logits: Float64Array;
  /** float64[items]: how unsure each logit is; null where the model does not say. */
  readonly variances: Float64Array | null;
}

export interface ProgressiveModel {
  /** Judges the items for a user in a context. @throws MILL_FEATURE_INVALID */
  judge(request: Omit<ScoreRequest, 'items'>, items: readonly Features[]): Promise<Judgement>;
  /** Learns what came of an item, once as many wait as a step takes. @throws MILL_FEATURE_INVALID */
  learn(example: LearnedOutcome): Promise<void>;
}

export interface LearnedOutcome {
  readonly request: Omit<ScoreRequest, 'items'>;
  readonly item: Features;
  readonly label: 0 | 1;
  /** Of the log. */
  readonly line: number;
  readonly timeMs: number | null;
}

const noFeatures: Features = {};

/** @param batchExamples  of one gradient step. */
export function createProgressiveModel(learner: LocalLearner, batchExamples: number): ProgressiveModel {
  const lessons = labelLessonsOf(learner.net.file);
  let waiting: LearnerExample[] = [];
  return {
    async judge({ user = noFeatures, context = noFeatures }, items) {
      for (const item of items) learner.add({ user, context, item, shown: 1, clicked: 0, timeMs: null });
      await learner.score();
      const logits = Float64Array.from(learner.logits.subarray(0, items.length));
      const variances = learner.variances && Float64Array.from(learner.variances.subarray(0, items.length));
      return { logits, variances };
    },
    async learn({ request: { user = noFeatures, context = noFeatures }, item, label, line, timeMs }) {
      const lesson = lessons.lessonOf({ line, label });
      if (lesson === null) return;
      waiting.push({ user, context, item, ...lesson, timeMs });
      if (waiting.length < batchExamples) return;
      for (const example of waiting) learner.add(example);
      waiting = [];
      await learner.learn();
    },
  };
}
