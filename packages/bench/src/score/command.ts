/** Options that the benchmarks of scoring share. */
import { wholeNumber } from '../common/whole-number.ts';
import type { ScoreParameters } from './parameters.ts';

export const scoreOptions = {
  json: { type: 'boolean', default: false },
  smoke: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  'cache-rows': { type: 'string' },
  rows: { type: 'string' },
  items: { type: 'string' },
  steps: { type: 'string' },
  'step-ms': { type: 'string' },
  seed: { type: 'string' },
} as const;

export const scoreOptionsUsage =
  '[--json] [--smoke] [--cache-rows N] [--rows N] [--items N] [--steps N] [--step-ms N] [--seed N]';

export interface ScoreOptionValues {
  readonly 'cache-rows'?: string | undefined;
  readonly rows?: string | undefined;
  readonly items?: string | undefined;
  readonly steps?: string | undefined;
  readonly 'step-ms'?: string | undefined;
  readonly seed?: string | undefined;
}

/** `size` with what was asked for on the command line. */
export function scoreParametersFrom(values: ScoreOptionValues, size: ScoreParameters): ScoreParameters {
  return {
    ...size,
    cacheRows: wholeNumber(values['cache-rows'], size.cacheRows, 0),
    rows: wholeNumber(values.rows, size.rows),
    items: wholeNumber(values.items, size.items),
    steps: wholeNumber(values.steps, size.steps),
    stepMs: wholeNumber(values['step-ms'], size.stepMs),
    seed: wholeNumber(values.seed, size.seed),
  };
}
