/** A net with dense weights that stay as they are: a version of a model, made ready to run. */

import { areFinite, momentFloats } from '@millrace/core';
import { featureValuesMax, invariant, type ModelFile } from '@millrace/protocol';
import { createBatchSpace, scoreSpace, tablesToPull } from './batch-space.ts';
import { compileNet } from './compile-model.ts';
import type { DenseVersion } from './dense-versions.ts';
import type { Engine, Program } from './engine.ts';
import { createFeatureEncoder } from './feature-encoder.ts';
import { compileFeatures, type FeaturePlan } from './feature-plan.ts';
import { scalesFrom } from './moments.ts';
import { hasMatrices, type NetShape } from './net-shape.ts';
import { engineFor, type OpenNet, type OpenNetOptions } from './open-net.ts';

export interface FrozenNet {
  readonly file: ModelFile;
  readonly plan: FeaturePlan;
  readonly engine: Engine;
  readonly program: Program;
  readonly dense: DenseVersion;
  dispose(): void;
}

export interface FrozenNetOptions extends OpenNetOptions {
  /** A net that is open here, and stays so for longer: its engine runs this one, too, where it can. Null: there is none. Default null. */
  readonly beside?: Pick<OpenNet, 'engine' | 'choice'> | null;
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
  const { turn = async () => {} } = options;
  const shape = compileNet(file);
  const moments = shape.moments.length;
  invariant(weights.length === shape.parameters + momentFloats * moments, 'weights are those of the net');
  const plan = compileFeatures(file, shape, featureValuesMax);
  await turn();
  const { engine, giveBack } = await engineOf(file, shape, options);
  let program: Program | null = null;
  try {
    await turn();
    program = engine.compile(shape);
    await turn();
    const dense = { version, loaded: program.load(weights), scales: scalesFrom(weights, moments) };
    await turn();
    program.loadBeside?.(dense.loaded);
    const made = program;
    return {
      file,
      plan,
      engine,
      program: made,
      dense,
      dispose() {
        dense.loaded.dispose();
        made.dispose();
        giveBack();
      },
    };
  } catch (error) {
    program?.dispose();
    giveBack();
    throw error;
  }
}

/** To open an engine, and more so to measure engines, holds up whoever is being served meanwhile. */
async function engineOf(
  file: ModelFile,
  shape: NetShape,
  { beside = null, turn: _turn, ...choice }: FrozenNetOptions,
): Promise<{ readonly engine: Engine; readonly giveBack: () => void }> {
  const own = async (wanted: OpenNetOptions['wanted']) => {
    const { engine } = await engineFor(file, shape, { ...choice, wanted });
    return { engine, giveBack: () => engine.dispose() };
  };
  // What `auto` takes for a net without matrices says nothing of one with them.
  if (beside === null || beside.choice.reason === 'simple' || !hasMatrices(shape)) return own(choice.wanted);
  // An engine for an imported net runs no other.
  const isOfOneNet = beside.choice.reason === 'imported' || shape.imported !== null;
  return isOfOneNet ? own(beside.engine.name) : { engine: beside.engine, giveBack() {} };
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
