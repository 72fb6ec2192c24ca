/** Hands out places in a net's flat parameters, in the order in which its parts ask, and notes how each begins. */
import type { LayerSpec } from '@millrace/protocol';
import type { DenseLayer, InitialRun } from './net-shape.ts';

export interface ParameterPlan {
  readonly initial: InitialRun[];
  /** Floats handed out. */
  parameters: number;
}

export function createParameterPlan(): ParameterPlan {
  return { initial: [], parameters: 0 };
}

/** Places for `count` floats that begin at 0. */
export function takeZeros(plan: ParameterPlan, count: number): number {
  const offset = plan.parameters;
  plan.parameters += count;
  return offset;
}

export function takeConstant(plan: ParameterPlan, count: number, constant: number): number {
  const offset = takeZeros(plan, count);
  plan.initial.push({ offset, count, start: { constant } });
  return offset;
}

/** A matrix that begins Glorot-uniform: ± sqrt(6 / (inputs + units)). */
export function takeMatrix(plan: ParameterPlan, inputs: number, units: number): number {
  const offset = takeZeros(plan, inputs * units);
  plan.initial.push({ offset, count: inputs * units, start: { uniform: Math.sqrt(6 / (inputs + units)) } });
  return offset;
}

/** Lays out layers one after another, each reading the one before. */
export function takeLayers(plan: ParameterPlan, specs: readonly LayerSpec[], inputs: number): DenseLayer[] {
  let width = inputs;
  return specs.map(({ units, activation = 'relu' }) => {
    const layer = { inputs: width, units, activation, kernelOffset: takeMatrix(plan, width, units) };
    takeZeros(plan, units);
    width = units;
    return layer;
  });
}
