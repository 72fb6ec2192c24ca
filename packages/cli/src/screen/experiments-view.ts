/** Experiments as text. */
import type { ArmComparison, ArmReport, ExperimentReport, RateEstimate } from '@millrace/protocol';
import { colours } from './colours.ts';
import { textTable } from './text-table.ts';

/** All experiments, a line each. */
export function experimentsView(experiments: readonly ExperimentReport[]): string {
  if (experiments.length === 0) return 'no experiments; start one with: millrace experiments start FILE';
  return textTable([
    ['experiment', 'model', 'layer', 'state', 'arms', 'shown', 'verdict'],
    ...experiments.map((one) => [
      one.name,
      one.model,
      one.layer,
      stateOf(one),
      one.arms.map(({ name, share }) => `${name} ${percent(share)}`).join(', '),
      String(Math.round(one.arms.reduce((sum, { shown }) => sum + shown, 0))),
      firstSentence(one.verdict),
    ]),
  ]).join('\n');
}

/** One experiment: its arms, what may be said of their differences, and what was changed. */
export function experimentView(report: ExperimentReport): string {
  const { name, model, layer, key, control, arms, comparisons, changes, verdict, confidence } = report;
  const kinds = [...new Set(arms.flatMap(({ values }) => values.map(({ kind }) => kind)))];
  const withValues = kinds.length > 1 ? kinds : [];
  return [
    `${colours.bold(name)} of ${model}, ${stateOf(report)}: layer ${layer}, units by ${key}`,
    '',
    ...textTable([
      [
        'arm',
        'share',
        'units',
        'scored by',
        'shown',
        'click rate',
        ...withValues.map((kind) => `Σ ${kind}`),
        'calibration',
        'logloss',
        'requests',
        'p99 ms',
        'no numbers',
      ],
      ...arms.map((arm) => [
        arm.name === control ? `${arm.name} (control)` : arm.name,
        arm.takenOut === null ? percent(arm.share) : colours.yellow('taken out'),
        arm.units === null ? '–' : String(arm.units),
        targetOf(arm),
        String(Math.round(arm.shown)),
        arm.clickRate === null ? '–' : percent(arm.clickRate),
        ...withValues.map((kind) => figure(arm.values.find((value) => value.kind === kind)?.sum ?? null)),
        figure(arm.calibration),
        figure(arm.logloss),
        String(arm.scoring?.requests ?? '–'),
        figure(arm.scoring?.p99Ms ?? null),
        String(arm.scoring?.notFinite ?? '–'),
      ]),
    ]),
    '',
    ...sampleRatioLines(report),
    ...comparisonLines(comparisons, confidence),
    ...offPolicyLines(arms, confidence),
    ...changes.map(({ timeMs, by, shares, reason }) => {
      const dealt = Object.entries(shares).map(([arm, share]) => `${arm} ${percent(share)}`);
      const who = by === 'guard' ? colours.yellow('guard') : by;
      return `${new Date(timeMs).toISOString()}  ${who}: ${reason} (${dealt.join(', ')})`;
    }),
    '',
    verdict,
  ].join('\n');
}

function comparisonLines(comparisons: readonly ArmComparison[], confidence: number): string[] {
  if (comparisons.length === 0) return [];
  return [
    ...textTable([
      [
        'arm',
        'against the control',
        'control',
        'arm',
        'difference',
        `at ${percent(confidence)}, always`,
        'p',
      ],
      ...comparisons.map(({ arm, metric, control, value, difference, interval, pValue }) => [
        arm,
        metric,
        figure(control),
        figure(value),
        signed(difference),
        interval === null ? 'too little yet' : `${signed(interval[0])} … ${signed(interval[1])}`,
        figure(pValue),
      ]),
    ]),
    '',
  ];
}

function sampleRatioLines({ sampleRatio }: ExperimentReport): string[] {
  const { arms, mismatch, pValue, verdict } = sampleRatio;
  if (pValue === null) return [`sample ratio ${verdict}`, ''];
  const shares = arms.map(({ name, expected, found }) => `${name} ${percent(found)} of ${percent(expected)}`);
  // The verdict on all repeats it where it says what to do.
  const state = mismatch ? colours.yellow('units do not come as dealt') : verdict;
  return [`sample ratio: ${state} (p ${figure(pValue)}: ${shares.join(', ')})`, ''];
}

/** What arms would have earned in first place without exploring; a line where nobody ranks. */
function offPolicyLines(arms: readonly ArmReport[], confidence: number): string[] {
  const ranked = arms.filter(({ offPolicy }) => offPolicy.ranks > 0);
  const doubted = arms.filter(({ offPolicy }) => offPolicy.reason !== null);
  const reasons = new Set(doubted.map(({ offPolicy }) => offPolicy.reason));
  if (ranked.length === 0) return [...[...reasons].map((reason) => `first places: ${reason}`), ''];
  const doubts = doubted.map(({ name, offPolicy }) => `${name}: ${offPolicy.reason}`);
  return [
    ...textTable([
      [
        'first place',
        'orders',
        `as drawn, at ${percent(confidence)}, always`,
        'greedy: SNIPS',
        'greedy: DR',
        'effective orders',
        'mean weight',
      ],
      ...ranked.map(({ name, offPolicy }) => [
        name,
        String(Math.round(offPolicy.ranks)),
        rateOf(offPolicy.drawn),
        rateOf(offPolicy.snips),
        rateOf(offPolicy.dr),
        String(Math.round(offPolicy.effectiveSampleSize)),
        figure(offPolicy.meanWeight),
      ]),
    ]),
    ...doubts,
    '',
  ];
}

function rateOf(rate: RateEstimate | null): string {
  if (rate === null) return '–';
  const { value, interval } = rate;
  const range = interval === null ? 'too little yet' : `${percent(interval[0])} … ${percent(interval[1])}`;
  return `${percent(value)} (${range})`;
}

function stateOf({ endedMs, kept }: ExperimentReport): string {
  if (endedMs === null) return 'running';
  return kept === null ? 'ended' : `ended, ${kept} stays`;
}

function targetOf({ target, shadow }: ArmReport): string {
  const parts = {
    default: 'as without',
    live: 'live',
    version: target.type === 'version' ? `version ${target.version}` : '',
    label: target.type === 'label' ? `label ${target.label}` : '',
    model: target.type === 'model' ? `model ${target.model}` : '',
  };
  return `${parts[target.type]}${shadow ? ', shadow' : ''}`;
}

function firstSentence(text: string): string {
  return text.split(/(?<=\.) /, 1)[0];
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}

function figure(value: number | null): string {
  return value === null ? '–' : String(Number(value.toPrecision(4)));
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${Number(value.toPrecision(3))}`;
}
