/** Why the model file is as it is, in lines that a terminal shows. */
import type { FieldSpec, TableSpec } from '@millrace/protocol';
import { textTable } from '../screen/text-table.ts';
import type { InitResult } from './init-model.ts';
import type { ScreenedColumn } from './screen-columns.ts';

export function explainChoices(result: InitResult): readonly string[] {
  const { profile, columns } = result;
  return [
    ...logLines(result),
    '',
    ...textTable([
      ['column', 'becomes', 'scope', 'alone', 'why'],
      ...columns.map((column) => columnCells(column, result)),
    ]),
    ...(profile.columnsPassedOver > 0
      ? [`${profile.columnsPassedOver} more columns were not looked at: a log may have 1,024`]
      : []),
    '',
    ...modelLines(result),
    ...trialLines(result),
  ];
}

function logLines({ profile, roles, file }: InitResult): string[] {
  const { events, positives, label, timestamp, report } = profile;
  const rate = positives / events;
  const byName = (guessed: boolean) => (guessed ? ', by its name' : ', as said');
  const time =
    timestamp === null
      ? 'time    none: the order of the file counts'
      : `time    ${timestamp}${byName(profile.timestampGuessed)}; no feature is made of it, since the model file cannot take the hour of it (write such a column)`;
  const lines = [
    `log     ${events} events, ${positives} positive (${percent(rate)}), ${profile.columns.length} columns`,
    `label   ${label}${byName(profile.labelGuessed)}`,
    time,
    `user    ${roles.user ?? 'no column found'}`,
    `item    ${file.item ?? 'no column found; outcomes then name candidates by their place'}`,
  ];
  const back = report.notes.timeBackwards;
  if (back && back.count > 0.01 * events)
    lines.push(`warning ${back.count} events are older than one before them: sort the log by ${timestamp}`);
  if (report.skippedTotal > 0)
    lines.push(`warning ${report.skippedTotal} records were skipped, as backtest will`);
  return lines;
}

function columnCells({ use, gain }: ScreenedColumn, { file, roles }: InitResult): string[] {
  const field = file.fields.find(({ name }) => name === use.column);
  if (field === undefined) return [use.column, 'left out', '', '', use.why];
  const alone = Number.isNaN(gain) ? '' : gain.toFixed(4);
  return [
    use.column,
    becomes(field),
    field.scope ?? 'context',
    alone,
    `${use.why}; ${roles.why.get(use.column) ?? ''}`,
  ];
}

function becomes(field: FieldSpec): string {
  if (field.type !== 'dense') return field.type === 'multi' ? 'list' : 'value';
  const { transform } = field;
  if (transform?.type === 'bucket') return `${transform.boundaries.length + 1} intervals`;
  if (transform?.type === 'log1p') return 'ln(1 + x) · w';
  return transform?.type === 'standardize' ? '(x − mean) / deviation · w' : 'x · w';
}

function modelLines({ file, choices, profile }: InitResult): string[] {
  const { lambda, c } = choices;
  const lines = [
    `start   log-odds of the log's mean (${percent(profile.positives / profile.events)}), in the bias`,
    `steps   diagonal Newton: prior precision ${lambda}, ${c} of the evidence damps later steps`,
  ];
  const ids = file.tables.find(({ name }) => name === 'ids');
  if (ids)
    lines.push(`ids     columns of over 100 values have a table of their own, precision ${lambdaOf(ids)}`);
  for (const { name } of file.crosses ?? []) lines.push(`cross   ${name}: they say more together than apart`);
  if (choices.factors.length > 0)
    lines.push(`factors ${choices.factors.join(', ')}: a factorisation machine of 8 factors`);
  return lines;
}

function lambdaOf({ wide }: TableSpec): string {
  return wide?.optimizer.type === 'newton' ? String(wide.optimizer.lambda) : '';
}

function trialLines({ trials, profile }: InitResult): string[] {
  if (trials.length === 0) return ['trials  none: these are the choices for a log of which no more is known'];
  const { records, leftOut } = profile.sample;
  const of =
    leftOut === 0
      ? `all ${records.length} events`
      : `${records.length} events, the first and the last of the log`;
  return [
    `trials  ${trials.length} backtests over ${of}; the figures are of the events that chose`,
    '',
    ...textTable([
      ['kept', 'AUC', 'logloss', 'trial'],
      ...trials.map(({ kept, figures, what }) => [
        kept ? 'yes' : '',
        figures.auc.toFixed(4),
        figures.logloss.toFixed(4),
        what,
      ]),
    ]),
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;
}
