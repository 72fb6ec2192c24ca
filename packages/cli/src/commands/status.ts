/** `millrace status`: what the cluster is doing. */
import { type ClusterStatus, createMillraceClient } from '@millrace/sdk';
import { Command } from 'commander';
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
      const client = createMillraceClient({ url: urls });
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
    `this node: ${node.scored} scored in ${node.batches} batches of ${node.meanBatchRows.toFixed(1)} on average, ${node.queueRows} waiting`,
  ].join('\n');
}
