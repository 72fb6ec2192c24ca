/** Opens a learner for a model file, with the engine that suits steps of so many examples. */
import { type LocalLearner, openLocalLearner } from '@millrace/learner';
import { compileNet, type EngineName } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';

/**
 * A step of a tensor library costs some 0.4 ms before it computes anything; plain loops cost about 12 ns an example and dense
 * weight. Below this product the loops are faster (model/DESIGN.md has both measured).
 */
const plainWorkMax = 32_000;

/** What `auto` means for steps of `batchExamples`. */
export function engineForSteps(
  file: ModelFile,
  wanted: 'auto' | EngineName,
  batchExamples: number,
): 'auto' | EngineName {
  if (wanted !== 'auto') return wanted;
  return compileNet(file).parameters * batchExamples <= plainWorkMax ? 'plain' : 'auto';
}

export interface LearnerOptions {
  readonly file: ModelFile;
  readonly engine: 'auto' | EngineName;
  readonly batchExamples: number;
}

/** A learner that has learned nothing. @throws MILL_ENGINE_UNAVAILABLE */
export function openLearner({ file, engine, batchExamples }: LearnerOptions): Promise<LocalLearner> {
  return openLocalLearner(file, { engine: engineForSteps(file, engine, batchExamples), onSkip: () => {} });
}
