/** Batches of examples through a learner, each score judged before its example is learned. */
import type { ProgressiveQuality } from '@millrace/core';
import type { LocalLearner } from '@millrace/learner';
import { sigmoid } from '@millrace/model';
import { type Features, isMillraceError, MillraceError } from '@millrace/protocol';
import type { Example } from '../log-file/index.ts';

export interface JudgedBatches {
  /**
   * Takes an example; the batch that it fills is scored, judged, and learned where that is wanted.
   * @throws MILL_FEATURE_INVALID naming its line.
   */
  take(example: Example): Promise<void> | undefined;
  /** The same with a last batch that is not full. */
  end(): Promise<void> | undefined;
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
  let labels = new Uint8Array(64);
  let offsets = new Float32Array(64);
  let count = 0;

  const add = ({ request, label, timeMs, line, offset = 0 }: Example) => {
    const { user = noFeatures, context = noFeatures, items } = request;
    try {
      learner.add({ user, context, item: items[0], shown: 1, clicked: label, offset, timeMs });
    } catch (error) {
      if (!isMillraceError(error, 'MILL_FEATURE_INVALID')) throw error;
      throw new MillraceError('MILL_FEATURE_INVALID', `line ${line} of the log: ${error.message}`, {
        cause: error,
      });
    }
    if (count === labels.length) {
      const larger = new Uint8Array(2 * count);
      larger.set(labels);
      labels = larger;
      const more = new Float32Array(2 * count);
      more.set(offsets);
      offsets = more;
    }
    labels[count] = label;
    offsets[count] = offset;
    count += 1;
  };
  const judge = () => {
    const { logits } = learner;
    // A sampled log is judged by what the model says of such a log.
    for (let i = 0; i < count; i += 1) quality.add(sigmoid(logits[i] + offsets[i]), labels[i] as 0 | 1);
    count = 0;
  };
  const run = (): Promise<void> | undefined => {
    const running = use === 'learn' ? learner.learn() : learner.score();
    if (running !== undefined) return running.then(judge);
    judge();
    return undefined;
  };

  return {
    take(example) {
      add(example);
      return count === batchExamples ? run() : undefined;
    },
    end: () => (count > 0 ? run() : undefined),
  };
}
