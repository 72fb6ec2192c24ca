import type { AdmissionSpec } from '@millrace/protocol';
import type { Admission } from './admission.ts';
import { createExactCounter } from './exact-counter.ts';
import { createProbability } from './probability.ts';
import { createSketchCounter } from './sketch-counter.ts';

/** The policy that a table asks for. `seed` is the table's. */
export function createAdmission(spec: AdmissionSpec, seed: number): Admission {
  if (spec.type === 'probability') return createProbability(spec.probability, seed);
  if (spec.counter === 'sketch') return createSketchCounter(spec.count, spec.cells ?? cellsDefault, seed);
  return createExactCounter(spec.count);
}

/** 64 KiB a partition and table where counts fit a byte. */
const cellsDefault = 65_536;
