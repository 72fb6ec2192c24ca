/** `millrace status`: what the cluster is doing. */
import { type MeasureWindow, measureWindows } from '@millrace/protocol';
import type { ClusterStatus } from '@millrace/sdk';
import { Command } from 'commander';
import { clusterClient } from '../cluster-client.ts';
import { clusterUrls } from '../cluster-url.ts';
import { colours } from '../screen/colours.ts';
import { stalenessText, textTable } from '../screen/text-table.ts';
import { jsonOption, urlOption } from './options.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('show models, shards and the inference node')
    .addOption(urlOption())
    .addOption(jsonOption())
    .action(async (flags: { url?: string; json: boolean }) => {
      const urls = await clusterUrls(flags.url);
      const client = await clusterClient({ url: urls });
      try {
        const status = await client.status();
        process.stdout.write(
          flags.json ? `${JSON.stringify(status)}\n` : `${statusText(urls.join(', '), status)}\n`,
        );
      } finally {
        await client.close();
      }
    });
}

export function statusText(url: string, status: ClusterStatus): string {
  const { node } = status;
  return [
    `${colours.bold(status.cluster)} at ${url}`,
    '',
    ...textTable([
      ['model', 'engine', 'version', 'epoch', 'partitions', 'learned', 'open', 'rejected', 'staleness'],
      ...status.models.map((model) => [
        model.name,
        model.engine,
        String(model.version),
        String(model.epoch),
        String(model.partitions),
        String(model.learned),
        String(model.openImpressions),
        String(model.rejected),
        stalenessText(model.stalenessMs),
      ]),
    ]),
    '',
    ...textTable([
      ['shard', 'address', 'state', 'rows', 'MiB', 'sequence', 'staleness'],
      ...status.shards.map((shard) => [
        shard.id,
        shard.address,
        shard.live ? (shard.ready ? 'ready' : 'catching up') : 'gone',
        String(shard.rows),
        (shard.bytes / 1024 / 1024).toFixed(1),
        String(shard.sequence),
        stalenessText(shard.stalenessMs),
      ]),
    ]),
    '',
    ...qualityLines(status.models),
    `this node: ${node.scored} scored in ${node.batches} batches of ${node.meanBatchRows.toFixed(1)} on average, ${node.queueRows} waiting`,
  ].join('\n');
}

/** How well each model and arm does; nothing before its updater has told. */
function qualityLines(models: ClusterStatus['models']): string[] {
  const rows = models.flatMap(({ name, measures }) =>
    (measures?.arms ?? []).flatMap(({ arm, quality }) =>
      (Object.keys(measureWindows) as MeasureWindow[]).map((window) => {
        const { count, auc, logloss, normalizedEntropy, calibration } = quality[window];
        const of = (value: number | null) => (value === null ? '–' : value.toFixed(4));
        const stretch = window === 'start' ? 'since the start' : `last ${window}`;
        return [arm === '' ? name : `${name}/${arm}`, stretch, String(Math.round(count))].concat(
          [auc, logloss, normalizedEntropy, calibration].map(of),
        );
      }),
    ),
  );
  const moved = models.flatMap(({ name, measures }) =>
    (measures?.alerts ?? []).map((what) => `${colours.yellow('moved')}  ${name}: ${what}`),
  );
  if (rows.length === 0) return [];
  const head = ['quality', 'of', 'examples', 'AUC', 'logloss', 'entropy', 'calibration'];
  return [...textTable([head, ...rows]), ...moved, ''];
}
