/**
 * Learns a net's dense weights over the rows of another learner, which stay as they are: a smaller net beside the one that the
 * rows are learned with. It takes the other's batch as it was read, before the step, so nothing is encoded or read twice and no
 * example is scored with rows that know its label.
 */
import { stepDense } from '@millrace/core';
import {
  atLeast,
  type BatchSpace,
  batchMoments,
  type Gradients,
  gatherSpace,
  type OpenNet,
} from '@millrace/model';

export interface DenseLearner {
  readonly net: OpenNet;
  /**
   * One step of the dense weights by a batch that another learner has just learned or scored.
   * @param space  its batch and rows; gathered anew.
   * @returns undefined when it is done, which an engine that need not wait makes true at once.
   */
  learn(space: BatchSpace, lessons: DenseLessons): Promise<void> | undefined;
}

/** Parts of the loss shown · ln(1 + e^z) − clicked · z, each float32[rows or more]; only read. */
export interface DenseLessons {
  /** Weight of each example. */
  readonly shown: Float32Array;
  /** The weight times what the score should be, 0 … 1: a label, a score of another net, or between them. */
  readonly clicked: Float32Array;
  /** Added to the logits in the loss. */
  readonly offsets: Float32Array;
}

/**
 * @param net  reads the same tables and inputs as the net whose batches it learns; the caller disposes it.
 * @param mask  uint8[parameters]: weights where it is 0 stay 0; null: all learn.
 */
export function createDenseLearner(net: OpenNet, mask: Uint8Array | null = null): DenseLearner {
  const { plan, shape, program, dense, versions } = net;
  const parameters = new Float32Array(shape.denseParameters);
  const out: { -readonly [Name in keyof Gradients]: Float32Array } = {
    logits: new Float32Array(0),
    logitGradients: new Float32Array(0),
    embeddings: new Float32Array(0),
    parameters,
  };

  const apply = () => {
    stepDense(dense, parameters);
    if (mask !== null) {
      const { weights } = dense;
      for (let i = 0; i < mask.length; i += 1) if (mask[i] === 0) weights[i] = 0;
    }
    versions.refresh();
  };

  return {
    net,
    learn(space, { shown, clicked, offsets }) {
      const { rows } = space.batch;
      out.logits = atLeast(out.logits, rows);
      out.logitGradients = atLeast(out.logitGradients, rows);
      out.embeddings = atLeast(out.embeddings, rows * plan.embeddingFloats);
      const { loaded, scales } = versions.current;
      if (plan.moments.length > 0) batchMoments(plan, space.batch, shown, parameters, shape.parameters);
      const input = { ...gatherSpace(space, scales), offsets };
      const running = program.gradients(loaded, input, shown, clicked, out);
      if (running !== undefined) return running.then(apply);
      apply();
      return undefined;
    },
  };
}
