/** Batches of examples through a learner, each score judged before its example is learned. */
import type { ProgressiveQuality } from '@millrace/core';
import type { LocalLearner } from '@millrace/learner';
import { sigmoid } from '@millrace/model';
import { type Features, isMillraceError, MillraceError } from '@millrace/protocol';
import type { Example } from '../log-file/index.ts';
import { type Lesson, labelLessonsOf } from './label-lessons.ts';

export interface JudgedBatches {
  /**
   * Takes an example; the batch that it fills is scored, judged, and learned where that is wanted.
   * @throws MILL_FEATURE_INVALID naming its line.
   */
  take(example: Example): Promise<void> | undefined;
  /** The same with a last batch that is not full. */
  end(): Promise<void> | undefined;
  /** Examples learned so far: negatives that the model's rate passes over are scored alone. */
  readonly learned: number;
}

export interface JudgedOptions {
  readonly learner: LocalLearner;
  /** Examples of one step. */
  readonly batchExamples: number;
  readonly quality: ProgressiveQuality;
  readonly use: 'learn' | 'score';
}

/** Examples scored at once where nothing is learned in between. */
export const scoredAtOnce = 256;

const noFeatures: Features = {};

export function createJudgedBatches({ learner, batchExamples, quality, use }: JudgedOptions): JudgedBatches {
  const lessons = labelLessonsOf(learner.net.file);
  /** Some are scored that are not learned: it takes a pass for each. */
  const isApart = use === 'learn' && lessons.isSampling;
  const kept: Example[] = [];
  let labels = new Uint8Array(64);
  let offsets = new Float32Array(64);
  let count = 0;
  let learned = 0;

  const add = (example: Example) => {
    const lesson = lessons.lessonOf(example);
    addExample(learner, example, lesson ?? scoredAlone);
    if (lesson !== null && isApart) kept.push(example);
    if (count === labels.length) {
      const larger = new Uint8Array(2 * count);
      larger.set(labels);
      labels = larger;
      const more = new Float32Array(2 * count);
      more.set(offsets);
      offsets = more;
    }
    labels[count] = example.label;
    offsets[count] = example.offset ?? 0;
    count += 1;
  };
  const judge = () => {
    const { logits } = learner;
    // A log that was sampled before is judged by what the model says of such a log.
    for (let i = 0; i < count; i += 1) quality.add(sigmoid(logits[i] + offsets[i]), labels[i] as 0 | 1);
    if (use === 'learn' && !isApart) learned += count;
    count = 0;
  };
  const learnKept = (): Promise<void> | undefined => {
    if (kept.length === 0) return undefined;
    for (const example of kept) addExample(learner, example, lessons.lessonOf(example) ?? scoredAlone);
    learned += kept.length;
    kept.length = 0;
    return learner.learn();
  };
  const run = (): Promise<void> | undefined => {
    const running = use === 'learn' && !isApart ? learner.learn() : learner.score();
    if (running !== undefined) return running.then(judge).then(learnKept);
    judge();
    return learnKept();
  };

  return {
    get learned() {
      return learned;
    },
    take(example) {
      add(example);
      return count === batchExamples ? run() : undefined;
    },
    end: () => (count > 0 ? run() : undefined),
  };
}

/** What is given of an example that nothing is learned of. */
const scoredAlone: Lesson = { shown: 1, clicked: 0, offset: 0 };

/** Appends an example to the learner's batch. @throws MILL_FEATURE_INVALID naming its line. */
export function addExample(
  learner: LocalLearner,
  { request, timeMs, line }: Example,
  { shown, clicked, offset }: Lesson,
): void {
  const { user = noFeatures, context = noFeatures, items } = request;
  try {
    learner.add({ user, context, item: items[0], shown, clicked, offset, timeMs });
  } catch (error) {
    if (!isMillraceError(error, 'MILL_FEATURE_INVALID')) throw error;
    throw new MillraceError('MILL_FEATURE_INVALID', `line ${line} of the log: ${error.message}`, {
      cause: error,
    });
  }
}
