/**
 * A model that learns in this process: examples in, rows and dense weights out. What a cluster does with a log between its
 * parts happens here in one go, by the same kernels in the same order, so the same examples in the same batches give the same
 * bits (test/equality.test.ts in cli).
 *
 *   add, example by example → learn: rows of the batch's keys ← tables of this process        core pull-kernel
 *                                    logits, gradients summed a key                            model gradient-step
 *                                    each key's row ← one step; dense weights ← one step       core step-row, dense-fold
 *
 * One forward pass gives the scores and the gradients, so scoring an example before it is learned costs nothing. With an engine
 * that has nothing to wait for a step makes no promise and no block.
 */
import {
  createPartitionState,
  noteEventTime,
  type PartitionState,
  partitionOf,
  stepDense,
  stepRow,
  sweepPartition,
  tableLayouts,
} from '@millrace/core';
import {
  type BatchSpace,
  createGradientStep,
  createKeyOccurrences,
  type EngineName,
  type GradientStep,
  gatherSpace,
  type KeyOccurrences,
  type OpenNet,
  openNet,
  type StepExample,
} from '@millrace/model';
import { invariant, type ModelFile, partitionsDefault } from '@millrace/protocol';
import { createRowReader, type ReadRows } from './row-reader.ts';

/** An example and when it happened. */
export interface LearnerExample extends StepExample {
  /** Unix ms; null where it is not known. */
  readonly timeMs: number | null;
}

export interface LocalLearner {
  readonly net: OpenNet;
  /** By partition; only read, and only between two steps. */
  readonly states: readonly PartitionState[];
  /** Examples of the batch in work. */
  readonly examples: number;
  /** Appends an example to the batch. @throws MILL_FEATURE_INVALID; the batch is as before then. */
  add(example: LearnerExample): void;
  /**
   * Scores the batch of at least one example and then learns it in one step. The next `add` begins a new batch.
   * @returns undefined when it is done, which an engine that need not wait makes true at once.
   */
  learn(): Promise<void> | undefined;
  /** Scores the batch and learns nothing of it. The next `add` begins a new batch. */
  score(): Promise<void> | undefined;
  /** float32[examples or more]: of the batch that was last learned or scored; valid until the next `add`. */
  readonly logits: Float32Array;
  /** float32[examples or more]: how unsure those logits are, valid as long; null where no table keeps a precision. */
  readonly variances: Float32Array | null;
  /** The batch that was last learned or scored, with its rows as they were read for it; valid until the next `add`. */
  readonly space: BatchSpace;
  /** Summed loss of the batch that was last learned, at the weights before it was. */
  lossSum(): number;
  /** Newest time of an example so far, Unix ms, which expiry goes by; 0 before one was known. */
  readonly timeMs: number;
  dispose(): void;
}

export interface LocalLearnerOptions {
  readonly engine: 'auto' | EngineName;
  readonly onSkip: (name: EngineName, reason: string) => void;
}

/** A learner that has learned nothing. @throws MILL_ENGINE_UNAVAILABLE */
export async function openLocalLearner(
  file: ModelFile,
  { engine, onSkip }: LocalLearnerOptions,
): Promise<LocalLearner> {
  const net = await openNet(file, { wanted: engine, onSkip });
  const layouts = tableLayouts(file);
  const { fingerprint } = net;
  const states = Array.from({ length: file.partitions ?? partitionsDefault }, (_, partition) =>
    createPartitionState({ model: file.name, fingerprint, partition, layouts }),
  );
  return createLocalLearner(net, states);
}

/**
 * A learner that goes on from a state.
 * @param net     its dense fold is what the dense weights are learned in; disposed with the learner.
 * @param states  by partition, all of them; taken over.
 */
export function createLocalLearner(net: OpenNet, states: readonly PartitionState[]): LocalLearner {
  return new Learner(net, states);
}

class Learner implements LocalLearner {
  readonly net: OpenNet;
  readonly states: readonly PartitionState[];
  logits: Float32Array = new Float32Array(0);
  timeMs = 0;
  readonly #step: GradientStep;
  readonly #read: ReadRows;
  /** By table; null where nobody asks how often a key occurs. */
  readonly #occurrences: readonly (KeyOccurrences | null)[];
  /** Partitions met in this batch: their numbers, how many, and for each partition the batch in which it was last met. */
  readonly #meetings: Uint16Array;
  #met = 0;
  readonly #stamps: Float64Array;
  #stamp = 0;
  /** The batch has been used; what is in it stays for `lossSum`. */
  #used = false;

  constructor(net: OpenNet, states: readonly PartitionState[]) {
    this.net = net;
    this.states = states;
    this.#step = createGradientStep(net);
    this.#read = createRowReader(states);
    this.#occurrences = net.plan.tables.map(({ admission, expiry }) =>
      admission === null && expiry === null ? null : createKeyOccurrences(),
    );
    this.#meetings = new Uint16Array(states.length);
    this.#stamps = new Float64Array(states.length);
    // Weights that were put into the fold since the net was opened.
    net.versions.refresh();
  }

  get variances(): Float32Array | null {
    const { plan, variances } = this.#step.space;
    return plan.hasVariance ? variances : null;
  }

  get space(): BatchSpace {
    return this.#step.space;
  }

  get examples(): number {
    return this.#used ? 0 : this.#step.space.batch.rows;
  }

  add(example: LearnerExample): void {
    if (this.#used) this.#step.begin();
    this.#used = false;
    this.#step.add(example, this.#step.space.batch.rows);
    if (example.timeMs !== null && example.timeMs > this.timeMs) this.timeMs = example.timeMs;
  }

  learn(): Promise<void> | undefined {
    this.#readRows();
    const running = this.#step.run(this.net.versions.current);
    if (running !== undefined) return running.then(() => this.#apply());
    this.#apply();
    return undefined;
  }

  score(): Promise<void> | undefined {
    this.#readRows();
    const { space } = this.#step;
    const { loaded, scales } = this.net.versions.current;
    const input = gatherSpace(space, scales);
    this.logits = space.logits;
    return this.net.program.forward(loaded, input, space.logits);
  }

  lossSum(): number {
    return this.#step.lossSum();
  }

  dispose(): void {
    this.net.dispose();
  }

  #readRows(): void {
    const { space } = this.#step;
    invariant(!this.#used && space.batch.rows > 0, 'a batch has an example');
    this.#used = true;
    this.#read(space);
  }

  /** What the blocks of this batch would do to each partition that has a key in it. */
  #apply(): void {
    this.logits = this.#step.logits;
    const { space, sums, parameters } = this.#step;
    const { states, net } = this;
    this.#stamp += 1;
    this.#met = 0;
    for (let t = 0; t < sums.length; t += 1) {
      const { keys, unique } = space.batch.tables[t];
      const { gradients, curvature } = sums[t];
      const { dim } = net.plan.tables[t];
      const seen = this.#occurrences[t]?.count(space.batch.tables[t]);
      for (let i = 0; i < unique; i += 1) {
        const low = keys[2 * i];
        const high = keys[2 * i + 1];
        const partition = partitionOf(low, high, states.length);
        if (this.#stamps[partition] !== this.#stamp) this.#meet(partition);
        stepRow(states[partition], t, low, high, gradients, curvature, i * dim, seen ? seen[i] : 1);
      }
    }
    for (let i = 0; i < this.#met; i += 1) sweepPartition(states[this.#meetings[i]]);
    if (parameters.length === 0) return;
    stepDense(net.dense, parameters);
    net.versions.refresh();
  }

  /** The first key of a batch in a partition. Its sequence counts the batches that changed it, as a log of its own would. */
  #meet(partition: number): void {
    this.#stamps[partition] = this.#stamp;
    this.#meetings[this.#met] = partition;
    this.#met += 1;
    const state = this.states[partition];
    state.sequence += 1;
    state.counts.applied += 1;
    noteEventTime(state, this.timeMs);
  }
}
