/**
 * The smaller nets that learn beside a learner, over its rows: a student from the first example on, pruned ones once there is
 * something to prune. Each learns from labels and from the scores of the whole net.
 */
import { createDenseLearner, type DenseLearner, type LocalLearner } from '@millrace/learner';
import {
  hiddenUnitsOf,
  magnitudeMask,
  narrowNet,
  openNetOn,
  sigmoid,
  withHiddenUnits,
} from '@millrace/model';
import type { Lesson } from '../training/label-lessons.ts';
import type { NetKept } from './methods.ts';

export interface SmallerNetsOptions {
  readonly wanted: ReadonlySet<NetKept>;
  /** Share of a hidden layer's units that stay, or that a student has. */
  readonly unitsKept: { readonly narrow: number; readonly student: number };
  /** Share of the weights that are set to 0. */
  readonly zeros: number;
  /** How much the whole net's score counts in what a smaller one learns, against the label: 0 … 1. */
  readonly fromTeacher: number;
}

/** An example that the learner has just learned, and how. */
export interface Taught {
  readonly lesson: Lesson;
  readonly label: 0 | 1;
}

export interface SmallerNets {
  readonly nets: ReadonlyMap<NetKept, DenseLearner>;
  /** Makes the pruned nets of what has been learned so far. */
  prune(): void;
  /** Has every net that there is learn the batch that the learner has just learned. */
  learn(examples: readonly Taught[]): Promise<void> | undefined;
  dispose(): void;
}

export function openSmallerNets(teacher: LocalLearner, options: SmallerNetsOptions): SmallerNets {
  const { wanted, unitsKept, zeros, fromTeacher } = options;
  const { file, engine, dense, shape } = teacher.net;
  const nets = new Map<NetKept, DenseLearner>();
  let shown = new Float32Array(0);
  let clicked = new Float32Array(0);
  let offsets = new Float32Array(0);

  if (wanted.has('student')) {
    const units = hiddenUnitsOf(file).map((count) => Math.max(1, Math.round(unitsKept.student * count)));
    nets.set('student', createDenseLearner(openNetOn(engine, withHiddenUnits(file, units))));
  }

  const setTargets = (examples: readonly Taught[]) => {
    if (shown.length < examples.length) {
      shown = new Float32Array(examples.length);
      clicked = new Float32Array(examples.length);
      offsets = new Float32Array(examples.length);
    }
    for (const [i, { label, lesson }] of examples.entries()) {
      const { offset } = lesson;
      offsets[i] = offset;
      shown[i] = lesson.shown;
      // Of weighted examples the teacher says how many of the weight are clicks, which is what a student has to say.
      const target = (1 - fromTeacher) * label + fromTeacher * sigmoid(teacher.logits[i] + offset);
      clicked[i] = lesson.shown * target;
    }
  };

  return {
    nets,
    prune() {
      if (wanted.has('narrow')) {
        const narrow = narrowNet(file, dense.weights, unitsKept.narrow);
        const net = openNetOn(engine, narrow.file);
        startFrom(net.dense, narrow.weights);
        nets.set('narrow', createDenseLearner(net));
      }
      if (wanted.has('sparse')) {
        const mask = magnitudeMask(shape, dense.weights, zeros);
        const net = openNetOn(engine, file);
        startFrom(
          net.dense,
          dense.weights.map((weight, i) => (mask[i] === 0 ? 0 : weight)),
        );
        nets.set('sparse', createDenseLearner(net, mask));
      }
      for (const { net } of nets.values()) net.versions.refresh();
    },
    learn(examples) {
      if (nets.size === 0) return undefined;
      setTargets(examples);
      let running: Promise<void> | undefined;
      for (const net of nets.values()) {
        if (running === undefined) running = net.learn(teacher.space, { shown, clicked, offsets });
        else running = running.then(() => net.learn(teacher.space, { shown, clicked, offsets }));
      }
      return running;
    },
    dispose() {
      for (const { net } of nets.values()) net.dispose();
    },
  };
}

function startFrom(dense: { readonly weights: Float32Array; sequence: number }, weights: Float32Array): void {
  dense.weights.set(weights);
  dense.sequence += 1;
}
