/** From sums to what is told of an experiment: figures, intervals that hold at every look, and what they mean in words. */
import { groupedRatio, sequentialInterval, sequentialPValue } from '@millrace/core';
import {
  type Arm,
  type ArmComparison,
  type ArmReport,
  type ArmScoring,
  armName,
  type Experiment,
  type ExperimentCatalog,
  type ExperimentReport,
  shareOf,
  sumColumnCount,
  sumColumns,
  sumTotalCount,
  sumTotals,
} from '@millrace/protocol';
import { clickedMin, haveGroups, type Spread, sequentialInputOf } from './always-valid.ts';
import { greedyClicks, greedyGain, offPolicyOf } from './off-policy.ts';
import { clickedOf, type OpenSums, type SumsByArm, shownOf, sumOf } from './open-sums.ts';
import { sampleRatioOf, unitsOf } from './sample-ratio.ts';
import { comparisonVerdict, experimentVerdict } from './verdict.ts';

export type ScoringByArm = ReadonlyMap<string, ArmScoring>;

export function reportOn(
  { model, kept }: Pick<ExperimentCatalog, 'model' | 'kept'>,
  experiment: Experiment,
  sums: SumsByArm,
  scoring: ScoringByArm,
): ExperimentReport {
  const { name, arms, ...about } = experiment;
  const reports = arms.map((arm) => armReport(model, experiment, arm, sums, scoring));
  const comparisons = comparisonsOf(model, experiment, sums);
  const sampleRatio = sampleRatioOf(model, experiment, sums);
  return {
    name,
    model,
    layer: about.layer,
    key: about.key,
    salt: about.salt,
    control: about.control,
    confidence: about.confidence,
    guards: about.guards,
    note: about.note,
    startedMs: about.startedMs,
    endedMs: about.endedMs,
    kept: kept?.experiment === name ? kept.arm : null,
    arms: reports,
    sampleRatio,
    comparisons,
    changes: about.changes,
    verdict: experimentVerdict(experiment, reports, comparisons, sampleRatio),
  };
}

/** Why a guard took an arm out and nobody gave it units again; null: it did not. */
export function takenOutOf({ changes }: Experiment, { name }: Pick<Arm, 'name'>): string | null {
  let why: string | null = null;
  let before = 0;
  for (const { by, shares, reason } of changes) {
    const share = shares[name] ?? 0;
    if (share > 0) why = null;
    else if (by === 'guard' && before > 0) why = reason;
    before = share;
  }
  return why;
}

function armReport(
  model: string,
  experiment: Experiment,
  arm: Arm,
  sums: SumsByArm,
  scoring: ScoringByArm,
): ArmReport {
  const { name, target, learn, shadow } = arm;
  const full = armName(model, experiment, arm);
  const own = sums.get(full);
  const total = (column: number) => (own === undefined ? 0 : sumOf(own.column(column)));
  const shown = total(sumColumns.shown);
  const clicked = total(sumColumns.clicked);
  return {
    name,
    share: shareOf(arm),
    target,
    learn,
    shadow,
    takenOut: takenOutOf(experiment, arm),
    shown,
    clicked,
    clickRate: ratio(clicked, shown),
    values: (own?.kinds ?? []).map((kind, i) => {
      const sum = total(sumColumnCount + i);
      return { kind, sum, mean: ratio(sum, shown) };
    }),
    calibration: ratio(total(sumColumns.predicted), clicked),
    logloss: ratio(total(sumColumns.loss), shown),
    offPolicy: offPolicyOf(own, shadow, 1 - experiment.confidence),
    units: unitsOf(own, experiment),
    scoring: scoring.get(full) ?? null,
  };
}

const greedyClickRate = 'greedyClickRate';

/** What one metric is of an arm: two columns, and the spread of one item for the choice of the prior. */
interface Metric {
  readonly name: string;
  top(sums: OpenSums): Float64Array;
  unitVariance(sums: OpenSums, ratio: number): number;
}

const clickRate: Metric = {
  name: 'clickRate',
  top: (sums) => sums.column(sumColumns.clicked),
  unitVariance: (_sums, rate) => rate * (1 - rate),
};
const logloss: Metric = {
  name: 'logloss',
  top: (sums) => sums.column(sumColumns.loss),
  unitVariance: (sums, mean) => sums.total(sumTotals.lossSquares) / shownOf(sums) - mean * mean,
};

function valueMetric(kind: string, index: number): Metric {
  return {
    name: `value of ${kind}`,
    top: (sums) => sums.column(sumColumnCount + index),
    unitVariance: (sums, mean) => sums.total(sumTotalCount + index) / shownOf(sums) - mean * mean,
  };
}

function comparisonsOf(model: string, experiment: Experiment, sums: SumsByArm): readonly ArmComparison[] {
  const { control, arms } = experiment;
  const sumsOf = (arm: Arm) => sums.get(armName(model, experiment, arm));
  const controlSums = arms.filter((arm) => arm.name === control).map(sumsOf)[0];
  const others = arms.filter((arm) => arm.name !== control || arm.shadow);
  // Together they err at the confidence that was asked for, whatever depends on what (Bonferroni).
  const alpha = (1 - experiment.confidence) / Math.max(1, others.length);
  return others.flatMap((arm) => {
    const own = sumsOf(arm);
    if (own === undefined) return [];
    if (arm.shadow) return [shadowComparison(arm, own, alpha), ...shadowOrders(arm, own, alpha)];
    if (controlSums === undefined) return [];
    // A kind that clicks are counted by already says nothing new.
    const kinds = own.kinds.map((kind, i) => valueMetric(kind, i));
    const metrics = [clickRate, ...(own.kinds.length > 1 ? kinds : []), logloss];
    const compared = metrics.map((metric) => comparison(arm, metric, controlSums, own, alpha));
    return [...compared, ...orderComparison(arm, controlSums, own, alpha)];
  });
}

function comparison(
  arm: Arm,
  metric: Metric,
  control: OpenSums,
  own: OpenSums,
  alpha: number,
): ArmComparison {
  const [a, b] = [control, own].map((side) => groupedRatio(metric.top(side), side.column(sumColumns.shown)));
  const unitVariance = metric.unitVariance(control, a.value);
  const variance = a.variance + b.variance;
  const isEnough = [control, own].every((side) => clickedOf(side) >= clickedMin) && haveGroups(a, b);
  const both = { control: a.value, value: b.value, difference: b.value - a.value };
  return judged(arm, metric.name, both, isEnough ? { variance, unitVariance } : null, alpha);
}

/** The same items, scored by both: their difference item by item tells more than two arms could. */
function shadowComparison(arm: Arm, own: OpenSums, alpha: number): ArmComparison {
  const shown = own.column(sumColumns.shown);
  const main = own.column(sumColumns.mainLoss);
  const gap = own.column(sumColumns.loss).map((loss, g) => loss - main[g]);
  const ratioOfGap = groupedRatio(gap, shown);
  const control = groupedRatio(main, shown).value;
  const difference = ratioOfGap.value;
  const unitVariance = own.total(sumTotals.gapSquares) / shownOf(own) / 2;
  const isEnough = clickedOf(own) >= clickedMin && haveGroups(ratioOfGap, ratioOfGap);
  const spread = isEnough ? { variance: ratioOfGap.variance, unitVariance } : null;
  return judged(arm, logloss.name, { control, value: control + difference, difference }, spread, alpha);
}

/** What each would have earned in first place without exploring. */
function orderComparison(arm: Arm, control: OpenSums, own: OpenSums, alpha: number): ArmComparison[] {
  if (control.ranks === null || own.ranks === null) return [];
  const [a, b] = [greedyClicks(control.ranks), greedyClicks(own.ranks)];
  const variance = a.ratio.variance + b.ratio.variance;
  const isEnough = a.isEnough && b.isEnough && haveGroups(a.ratio, b.ratio);
  const [from, to] = [a.ratio.value, b.ratio.value];
  const both = { control: from, value: to, difference: to - from };
  const spread = isEnough ? { variance, unitVariance: a.unitVariance } : null;
  return [judged(arm, greedyClickRate, both, spread, alpha)];
}

/** The same requests: what a shadow would have shown first, against what was drawn. */
function shadowOrders(arm: Arm, { ranks }: OpenSums, alpha: number): ArmComparison[] {
  if (ranks === null) return [];
  const { ratio: gain, drawn, unitVariance, isEnough } = greedyGain(ranks);
  const { value: difference, variance } = gain;
  const spread = isEnough && haveGroups(gain) ? { variance, unitVariance } : null;
  const both = { control: drawn, value: drawn + difference, difference };
  return [judged(arm, greedyClickRate, both, spread, alpha)];
}

function judged(
  { name, shadow }: Arm,
  metric: string,
  both: Pick<ArmComparison, 'control' | 'value' | 'difference'>,
  spread: Spread | null,
  alpha: number,
): ArmComparison {
  const finite = {
    control: finiteOr0(both.control),
    value: finiteOr0(both.value),
    difference: finiteOr0(both.difference),
  };
  let interval: readonly [number, number] | null = null;
  let pValue: number | null = null;
  const input = spread === null ? null : sequentialInputOf(both.difference, spread, alpha);
  if (input !== null) {
    interval = sequentialInterval(input, alpha);
    pValue = sequentialPValue(input);
  }
  const compared = { arm: name, metric, ...finite, interval, pValue };
  return { ...compared, verdict: comparisonVerdict(compared, shadow) };
}

function ratio(top: number, bottom: number): number | null {
  return bottom > 0 ? top / bottom : null;
}

function finiteOr0(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
