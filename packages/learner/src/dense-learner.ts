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
   * @param targets  float32[rows]: what each score should be, 0 … 1: labels, scores of another net, or between them.
   * @param offsets  float32[rows]: added to the logits in the loss.
   * @returns undefined when it is done, which an engine that need not wait makes true at once.
   */
  learn(space: BatchSpace, targets: Float32Array, offsets: Float32Array): Promise<void> | undefined;
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
  let shown = new Float32Array(0);

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
    learn(space, targets, offsets) {
      const { rows } = space.batch;
      out.logits = atLeast(out.logits, rows);
      out.logitGradients = atLeast(out.logitGradients, rows);
      out.embeddings = atLeast(out.embeddings, rows * plan.embeddingFloats);
      if (shown.length < rows) shown = new Float32Array(2 * rows).fill(1);
      const { loaded, scales } = versions.current;
      if (plan.moments.length > 0) batchMoments(plan, space.batch, shown, parameters, shape.parameters);
      const input = { ...gatherSpace(space, scales), offsets };
      const running = program.gradients(loaded, input, shown, targets, out);
      if (running !== undefined) return running.then(apply);
      apply();
      return undefined;
    },
  };
}
