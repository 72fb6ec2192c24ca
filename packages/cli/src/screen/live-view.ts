/** The live view of `millrace demo`: a pure function from what is known to lines of text. */
import type { ClusterStatus } from '@millrace/sdk';
import type { Colours } from './colours.ts';

export interface LiveFigures {
  readonly elapsedSeconds: number;
  readonly totalSeconds: number | null;
  readonly url: string;
  readonly scoresPerSecond: number;
  readonly learnedPerSecond: number;
  readonly scored: number;
  readonly learned: number;
  readonly auc: number;
  readonly oracleAuc: number;
  readonly logloss: number;
  readonly oracleLogloss: number;
  readonly calibration: number;
  readonly freshnessMsP50: number;
  readonly freshnessMsP99: number;
  readonly scoreMsP50: number;
  readonly scoreMsP99: number;
  readonly errors: number;
  readonly status: ClusterStatus | null;
  /** Share of the oracle's lift over time, 0 … 1, oldest first. */
  readonly history: readonly number[];
  readonly notice: string;
}

const bars = '▁▂▃▄▅▆▇█';

export function liveView(figures: LiveFigures, width: number, colours: Colours): string {
  const row = (label: string, value: string, more: string) =>
    `${colours.dim(label.padEnd(16))}${value.padEnd(14)}${colours.dim(more)}`;
  const { status } = figures;
  const model = status?.models[0];
  const clock =
    figures.totalSeconds === null
      ? seconds(figures.elapsedSeconds)
      : `${seconds(figures.elapsedSeconds)} of ${seconds(figures.totalSeconds)}`;
  const lines = [
    `${colours.bold('millrace')}  ${figures.url}  ${colours.dim(`${clock}  engine ${model?.engine ?? '–'}  version ${model?.version ?? 0}`)}`,
    '',
    row('scores/s', number(figures.scoresPerSecond), `${number(figures.scored)} scored`),
    row('learned/s', number(figures.learnedPerSecond), `${number(figures.learned)} learned`),
    row('AUC', decimal(figures.auc), `oracle ${decimal(figures.oracleAuc)}   ${lift(figures)}`),
    row('logloss', decimal(figures.logloss), `oracle ${decimal(figures.oracleLogloss)}`),
    row('calibration', decimal(figures.calibration, 3), 'Σ predicted / Σ clicked, last 10,000'),
    row('click → score', `${ms(figures.freshnessMsP50)} p50`, `${ms(figures.freshnessMsP99)} p99`),
    row('score request', `${ms(figures.scoreMsP50)} p50`, `${ms(figures.scoreMsP99)} p99`),
    row('errors', figures.errors === 0 ? colours.green('0') : colours.red(String(figures.errors)), ''),
    '',
    colours.dim(
      'shard'.padEnd(14) +
        'rows'.padStart(10) +
        'memory'.padStart(12) +
        'sequence'.padStart(12) +
        'staleness'.padStart(12),
    ),
    ...(status?.shards ?? []).map((shard) => shardLine(shard, colours)),
  ];
  if (figures.history.length > 1)
    lines.push('', `${colours.dim('share of the oracle’s lift ')}${sparkline(figures.history, width - 30)}`);
  if (figures.notice) lines.push('', colours.yellow(figures.notice));
  return lines.join('\n');
}

/** One line, for places that are no terminal. */
export function plainLine(figures: LiveFigures): string {
  return [
    seconds(figures.elapsedSeconds),
    `${number(figures.scoresPerSecond)} scores/s`,
    `${number(figures.learnedPerSecond)} learned/s`,
    `AUC ${decimal(figures.auc)} (oracle ${decimal(figures.oracleAuc)})`,
    `click→score ${ms(figures.freshnessMsP50)} p50 ${ms(figures.freshnessMsP99)} p99`,
    `errors ${figures.errors}`,
  ].join('  ');
}

function shardLine(shard: ClusterStatus['shards'][number], colours: Colours): string {
  const state = !shard.live ? colours.red(' gone') : shard.ready ? '' : colours.yellow(' catching up');
  return (
    shard.id.padEnd(14) +
    number(shard.rows).padStart(10) +
    `${(shard.bytes / 1024 / 1024).toFixed(1)} MiB`.padStart(12) +
    number(shard.sequence).padStart(12) +
    (shard.stalenessMs === null ? '–' : ms(shard.stalenessMs)).padStart(12) +
    state
  );
}

function lift({ auc, oracleAuc }: LiveFigures): string {
  const share = (auc - 0.5) / (oracleAuc - 0.5);
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)} % of its lift` : '';
}

function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-Math.max(10, width));
  return shown
    .map((value) => bars[Math.max(0, Math.min(bars.length - 1, Math.floor(value * bars.length)))])
    .join('');
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function decimal(value: number, digits = 4): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

function ms(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

function seconds(value: number): string {
  return value < 120 ? `${Math.round(value)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
