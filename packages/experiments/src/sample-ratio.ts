/** Whether units came to the arms of an experiment as its shares deal them, by samples of units (unit-sample.ts). */
import { sampleRatioPValue } from '@millrace/core';
import {
  type Arm,
  armName,
  type Experiment,
  type SampleRatio,
  type SampleRatioArm,
  unitSampleMax,
} from '@millrace/protocol';
import { dealOf } from './catalog.ts';
import type { OpenSums, SumsByArm } from './open-sums.ts';

/**
 * Below it the shares are not believed. While all units are in the samples it holds at every look; later looks see another
 * sample for each time that units double, so over an experiment a few of ten thousand are blamed wrongly.
 */
const level = 0.001;
const wholeRange = 4_294_967_296;

/** Distinct units of an arm since its shares were dealt: exact while the sample holds all, then to about 1.6 %; null: not counted. */
export function unitsOf(own: OpenSums | undefined, experiment: Experiment): number | null {
  const sample = sampleOf(own, experiment);
  if (sample === null) return null;
  const last = sample[sample.length - 1];
  return sample.length < unitSampleMax
    ? sample.length
    : Math.round((unitSampleMax - 1) / ((last + 1) / wholeRange));
}

export function sampleRatioOf(model: string, experiment: Experiment, sums: SumsByArm): SampleRatio {
  const deal = dealOf(experiment);
  // A shadow is left out by a busy node; an arm that learns apart is counted by another log, at another moment.
  const judged = experiment.arms.filter(
    (arm) => !arm.shadow && arm.learn === 'shared' && (deal?.shares[arm.name] ?? 0) > 0,
  );
  if (deal === null || judged.length < 2) return unjudged('fewer than two arms that answer and share a log');
  const samples = judged.map((arm) => sampleOf(sums.get(armName(model, experiment, arm)), experiment));
  const below = Math.min(...samples.map(endOf));
  const counts = samples.map((sample) => countBelow(sample, below));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return unjudged('no units have come since the shares were dealt');
  const shares = judged.map(({ name }) => deal.shares[name]);
  const dealt = shares.reduce((sum, share) => sum + share, 0);
  const arms = judged.map(({ name }: Arm, i) => ({
    name,
    expected: shares[i] / dealt,
    found: counts[i] / total,
  }));
  const pValue = sampleRatioPValue(counts, shares);
  const mismatch = pValue < level;
  return { arms, units: total, pValue, mismatch, verdict: verdictOf(arms, mismatch) };
}

function unjudged(verdict: string): SampleRatio {
  return { arms: [], units: 0, pValue: null, mismatch: false, verdict: `not judged: ${verdict}` };
}

function verdictOf(arms: readonly SampleRatioArm[], mismatch: boolean): string {
  if (!mismatch) return 'units come to the arms as dealt';
  const worst = arms.reduce((most, arm) => (offOf(arm) > offOf(most) ? arm : most));
  const way = worst.found < worst.expected ? 'fewer' : 'more';
  return `units do not come as dealt: ${worst.name} has ${percent(worst.found)} of them where ${percent(worst.expected)} were dealt, ${way} than chance makes. Do not trust the differences. Look for what keeps units of an arm out: requests that fail and are answered outside of it (errors), a version that is not loaded, callers that drop or do not log its answers; mend it, and start anew under another name`;
}

function offOf({ expected, found }: SampleRatioArm): number {
  return Math.abs(found - expected) / Math.sqrt(expected);
}

/** Null: none, or one of another deal. */
function sampleOf(own: OpenSums | undefined, experiment: Experiment): Uint32Array | null {
  const deal = dealOf(experiment);
  return own?.units !== undefined && own.units !== null && own.units.sinceMs === deal?.sinceMs
    ? own.units.sample
    : null;
}

/** Up to here a sample holds all of its arm's units. */
function endOf(sample: Uint32Array | null): number {
  return sample !== null && sample.length === unitSampleMax ? sample[sample.length - 1] : wholeRange;
}

function countBelow(sample: Uint32Array | null, end: number): number {
  return sample === null ? 0 : sample.reduce((count, unit) => count + (unit < end ? 1 : 0), 0);
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}
