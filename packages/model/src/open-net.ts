/** A model file made ready to run: features, net, engine, and the fold of its dense weights with their versions. */
import { createDenseState, type DenseState, fingerprintOf } from '@millrace/core';
import { featureValuesMax, type ModelFile } from '@millrace/protocol';
import { openEngine } from './choose-engine.ts';
import { compileNet, denseOptimizerOf } from './compile-model.ts';
import { createDenseVersions, type DenseVersions } from './dense-versions.ts';
import type { Engine, EngineName, Program } from './engine.ts';
import { compileFeatures, type FeaturePlan } from './feature-plan.ts';
import { initialParameters } from './initial-parameters.ts';
import type { NetShape } from './net-shape.ts';

export interface OpenNet {
  readonly file: ModelFile;
  readonly fingerprint: number;
  readonly shape: NetShape;
  readonly plan: FeaturePlan;
  readonly engine: Engine;
  readonly program: Program;
  readonly dense: DenseState;
  readonly versions: DenseVersions;
  dispose(): void;
}

export interface OpenNetOptions {
  readonly wanted: 'auto' | EngineName;
  readonly onSkip: (name: EngineName, reason: string) => void;
}

/** The fold of a checked model file's dense weights before the first block. */
export function initialDense(file: ModelFile): DenseState {
  const shape = compileNet(file);
  return createDenseState({
    model: file.name,
    fingerprint: fingerprintOf(file),
    initial: initialParameters(shape, file.seed),
    optimizer: denseOptimizerOf(file),
    moments: shape.moments.length,
  });
}

/** @throws MILL_ENGINE_UNAVAILABLE */
export async function openNet(file: ModelFile, options: OpenNetOptions): Promise<OpenNet> {
  const engine = await openEngine({ ...options, shape: compileNet(file) });
  return netOn(engine, file, () => engine.dispose());
}

/** Another net on an engine that is open, and stays so when the net is disposed. */
export function openNetOn(engine: Engine, file: ModelFile): OpenNet {
  return netOn(engine, file, () => {});
}

function netOn(engine: Engine, file: ModelFile, disposeEngine: () => void): OpenNet {
  const shape = compileNet(file);
  const fingerprint = fingerprintOf(file);
  const plan = compileFeatures(file, shape, featureValuesMax);
  const program = engine.compile(shape);
  const dense = initialDense(file);
  const versions = createDenseVersions(program, dense, shape.moments.length);
  return {
    file,
    fingerprint,
    shape,
    plan,
    engine,
    program,
    dense,
    versions,
    dispose() {
      versions.dispose();
      program.dispose();
      disposeEngine();
    },
  };
}
