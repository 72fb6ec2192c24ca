/** A net with dense weights that stay as they are: a version of a model, made ready to run. */

import { areFinite, momentFloats } from '@millrace/core';
import { featureValuesMax, invariant, type ModelFile } from '@millrace/protocol';
import { createBatchSpace, scoreSpace, tablesToPull } from './batch-space.ts';
import { compileNet } from './compile-model.ts';
import type { DenseVersion } from './dense-versions.ts';
import type { Engine, EngineName, Program } from './engine.ts';
import { createFeatureEncoder } from './feature-encoder.ts';
import { compileFeatures, type FeaturePlan } from './feature-plan.ts';
import { scalesFrom } from './moments.ts';
import { hasMatrices } from './net-shape.ts';
import { engineFor, type OpenNetOptions } from './open-net.ts';

export interface FrozenNet {
  readonly file: ModelFile;
  readonly plan: FeaturePlan;
  readonly engine: Engine;
  readonly program: Program;
  readonly dense: DenseVersion;
  dispose(): void;
}

export interface FrozenNetOptions extends OpenNetOptions {
  /** What runs another net with matrices in this process, and this one then; null: `auto` chooses. Default null. */
  readonly opened?: EngineName | null;
  /** Resolves once others have had their turn: making the net ready is done in steps. Default: in one. */
  readonly turn?: () => Promise<void>;
}

/**
 * @param weights float32, the parameters of the file's net and its moments; copied.
 * @param version sequence of the dense log that they are told to be of.
 * @throws MILL_ENGINE_UNAVAILABLE
 */
export async function openFrozenNet(
  file: ModelFile,
  weights: Float32Array,
  version: number,
  options: FrozenNetOptions,
): Promise<FrozenNet> {
  const { opened = null, turn = async () => {}, ...choice } = options;
  const shape = compileNet(file);
  const moments = shape.moments.length;
  invariant(weights.length === shape.parameters + momentFloats * moments, 'weights are those of the net');
  const plan = compileFeatures(file, shape, featureValuesMax);
  await turn();
  // To measure again holds up whoever is being served meanwhile.
  const known = opened !== null && hasMatrices(shape);
  const { engine } = await engineFor(file, shape, { ...choice, ...(known && { wanted: opened }) });
  try {
    await turn();
    const program = engine.compile(shape);
    await turn();
    const dense = { version, loaded: program.load(weights), scales: scalesFrom(weights, moments) };
    return {
      file,
      plan,
      engine,
      program,
      dense,
      dispose() {
        dense.loaded.dispose();
        program.dispose();
        engine.dispose();
      },
    };
  } catch (error) {
    // Its programs go with it.
    engine.dispose();
    throw error;
  }
}

/**
 * Runs a net once on a request of `rows` items without features, so that what the first pass of that shape costs is paid before
 * it takes traffic.
 * @returns false when a logit is not finite: weights that are may still overflow.
 */
export async function warmUp(
  { plan, program, dense }: Pick<FrozenNet, 'plan' | 'program' | 'dense'>,
  rows: number,
): Promise<boolean> {
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  encoder.beginRequest({}, {});
  for (let place = 0; place < rows; place += 1) encoder.addItem(space.batch, {}, place);
  // Nothing is pulled: a bias, which all items have, is 0.
  tablesToPull(space);
  await scoreSpace(program, dense.loaded, dense.scales, space);
  return areFinite(space.logits.subarray(0, rows));
}
