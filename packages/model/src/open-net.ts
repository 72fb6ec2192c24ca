/** A model file made ready to run: features, net, engine, and the fold of its dense weights with their versions. */
import { createDenseState, type DenseState, fingerprintOf } from '@millrace/core';
import { featureValuesMax, MillraceError, type ModelFile } from '@millrace/protocol';
import { type ChosenEngine, openEngine } from './choose-engine.ts';
import { compileNet, denseOptimizerOf } from './compile-model.ts';
import { createDenseVersions, type DenseVersions } from './dense-versions.ts';
import type { Engine, EngineName, Program } from './engine.ts';
import { compileFeatures, type FeaturePlan } from './feature-plan.ts';
import { openImportedNet } from './imported-net.ts';
import { initialParameters } from './initial-parameters.ts';
import type { EngineWork } from './measure-engine.ts';
import type { NetShape } from './net-shape.ts';

export interface OpenNet {
  readonly file: ModelFile;
  readonly fingerprint: number;
  readonly shape: NetShape;
  readonly plan: FeaturePlan;
  readonly engine: Engine;
  /** Why this engine, and what was measured. */
  readonly choice: Pick<ChosenEngine, 'reason' | 'speeds'>;
  readonly program: Program;
  readonly dense: DenseState;
  readonly versions: DenseVersions;
  dispose(): void;
}

export interface OpenNetOptions {
  readonly wanted: 'auto' | EngineName;
  readonly onSkip: (name: EngineName, reason: string) => void;
  /** What the net is for: `auto` then measures. Without it, `auto` is the same engine at every start. */
  readonly work?: EngineWork;
  /**
   * Whether the thread that asks for scores has other work meanwhile: an engine that would hold it up then makes them in a thread
   * of its own, which takes a little longer. Asked at each call. Absent: it has none.
   */
  readonly isBusy?: () => boolean;
  /** Reads an imported net's file; who cannot opens no such model. @throws MILL_FILE_INVALID */
  readonly readNet?: (file: string) => Promise<Uint8Array>;
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

/** @throws MILL_ENGINE_UNAVAILABLE; for an imported net MILL_FILE_INVALID and MILL_UNSUPPORTED */
export async function openNet(file: ModelFile, options: OpenNetOptions): Promise<OpenNet> {
  const chosen = await engineFor(file, compileNet(file), options);
  return netOn(chosen, file, () => chosen.engine.dispose());
}

/** Another net on an engine that is open, and stays so when the net is disposed. */
export function openNetOn(engine: Engine, file: ModelFile): OpenNet {
  return netOn({ engine, reason: 'named', speeds: [] }, file, () => {});
}

function netOn(
  { engine, reason, speeds }: ChosenEngine,
  file: ModelFile,
  disposeEngine: () => void,
): OpenNet {
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
    choice: { reason, speeds },
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

/** What runs a net: an engine, or what has read an imported net. @throws as openNet */
export async function engineFor(
  file: ModelFile,
  shape: NetShape,
  options: OpenNetOptions,
): Promise<ChosenEngine> {
  const { imported } = shape;
  if (imported === null) return openEngine({ ...options, shape });
  if (options.readNet === undefined) {
    const message = `model "${file.name}" has an imported net, which inference nodes serve and nothing else runs`;
    throw new MillraceError('MILL_UNSUPPORTED', message);
  }
  const engine = await openImportedNet(imported, options.readNet);
  return { engine, reason: 'imported', speeds: [] };
}
