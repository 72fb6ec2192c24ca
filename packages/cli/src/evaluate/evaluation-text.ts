/** An evaluation as the command prints it: one JSON line, or a table with what to know beside it. */
import { logReportJson } from '../log-file/index.ts';
import { textTable } from '../screen/text-table.ts';
import { columnsText } from './columns.ts';
import type { Evaluation } from './evaluate-log.ts';
import type { Told } from './figures.ts';

/** Flat, so that a script picks a figure by its name. */
export function evaluationJson(policy: string, confidence: number, evaluation: Evaluation) {
  const { clipping, columns, log } = evaluation;
  return {
    policy,
    events: evaluation.events,
    clicks: evaluation.clicks,
    items: evaluation.items,
    outsideItems: evaluation.outsideItems,
    confidence,
    ...told('logged', evaluation.logged),
    ...told('ips', evaluation.ips),
    ...told('snips', evaluation.snips),
    ...told('dm', evaluation.dm),
    ...told('dr', evaluation.dr),
    ...told('switchDr', evaluation.switchDr),
    ...(evaluation.switchDr && { switchAt: rounded(evaluation.switchDr.threshold) }),
    rewardModel: evaluation.rewardModel,
    meanWeight: rounded(evaluation.meanWeight),
    weightMax: rounded(evaluation.weightMax),
    effectiveSampleSize: rounded(evaluation.effectiveSampleSize),
    clip: clipping?.at ?? null,
    ...(clipping && {
      clipped: clipping.clipped,
      clippedShare: rounded(clipping.clippedShare),
      weightLost: rounded(clipping.weightLost),
      ...told('ipsBeforeClipping', clipping.ipsBefore),
    }),
    columns,
    warnings: evaluation.warnings,
    ...logReportJson(log),
  };
}

export function evaluationText(policy: string, confidence: number, evaluation: Evaluation): string {
  const { events, clicks, items, outsideItems, clipping } = evaluation;
  const rows: readonly (readonly [string, Told | null])[] = [
    ['logged', evaluation.logged],
    ...(clipping ? ([['IPS, before clipping', clipping.ipsBefore]] as const) : []),
    ['IPS', evaluation.ips],
    ['SNIPS', evaluation.snips],
    ['DM', evaluation.dm],
    ['DR', evaluation.dr],
    ['switch-DR', evaluation.switchDr],
  ];
  const percent = Number((100 * confidence).toFixed(6));
  const table = rows.flatMap(([name, estimate]) =>
    estimate === null
      ? []
      : [
          [
            name,
            figure(estimate.value),
            figure(estimate.standardError),
            estimate.interval.map(figure).join(' … '),
          ],
        ],
  );
  const outside = outsideItems > 0 ? `; ${outsideItems} events show other items` : '';
  const cut = clipping
    ? [
        `clipped at ${clipping.at}: ${clipping.clipped} events (${figure(100 * clipping.clippedShare)} %), ${figure(100 * clipping.weightLost)} % of the weight`,
      ]
    : [];
  return [
    `${policy} on ${events} events, ${clicks} of them rewarded, ${items} items${outside}`,
    columnsText(evaluation.columns),
    '',
    ...textTable([['reward an event', 'estimate', 'std. error', `${percent} %`], ...table]),
    '',
    `weights: mean ${figure(evaluation.meanWeight)}, largest ${figure(evaluation.weightMax)}, effective sample size ${figure(evaluation.effectiveSampleSize)}`,
    ...cut,
    ...(evaluation.rewardModel === null ? [] : [`DM and DR: ${evaluation.rewardModel}`]),
  ].join('\n');
}

function told(name: string, estimate: Told | null) {
  if (estimate === null) return { [name]: null };
  return {
    [name]: rounded(estimate.value),
    [`${name}StandardError`]: rounded(estimate.standardError),
    [`${name}Interval`]: estimate.interval.map(rounded),
  };
}

/** Six digits: more than any log carries. NaN, where there is no such figure, is null in JSON. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '–';
}
