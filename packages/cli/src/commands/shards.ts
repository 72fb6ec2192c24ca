/** `millrace shards`: who holds what, and what is on the move. */
import { reasonFrom } from '@millrace/protocol';
import type { MillraceClient } from '@millrace/sdk';
import { Command, Option } from 'commander';
import { clusterClient } from '../cluster-client.ts';
import { clusterUrls } from '../cluster-url.ts';
import { openScreen } from '../screen/screen.ts';
import { type ShardsReport, shardsLine, shardsReport, shardsView } from '../screen/shards-view.ts';
import { jsonOption, urlOption } from './options.ts';

/** Shards renew their leases at this pace, so nothing is newer. */
const watchEveryMs = 1_000;

export function shardsCommand(): Command {
  return new Command('shards')
    .description('show shards, partition maps and moves in progress')
    .addOption(urlOption())
    .addOption(jsonOption())
    .addOption(new Option('--watch', 'look again each second, until Ctrl-C').default(false))
    .action(async (flags: { url?: string; json: boolean; watch: boolean }) => {
      const urls = await clusterUrls(flags.url);
      const client = await clusterClient({ url: urls });
      const print = (report: ShardsReport) =>
        process.stdout.write(
          `${flags.json ? JSON.stringify(report) : shardsView(urls.join(', '), report)}\n`,
        );
      try {
        if (!flags.watch) print(shardsReport(await client.status()));
        else await watch(client, urls.join(', '), flags.json ? print : null);
      } finally {
        await client.close();
      }
    });
}

/** @param print  what to do with each report; null: the live view. */
async function watch(
  client: MillraceClient,
  url: string,
  print: ((report: ShardsReport) => void) | null,
): Promise<void> {
  const screen = openScreen({ json: print !== null, now: () => performance.now() });
  let wake = () => {};
  let stopped = false;
  const stop = () => {
    stopped = true;
    wake();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  while (!stopped) {
    try {
      const report = shardsReport(await client.status());
      if (print) print(report);
      else
        screen.live(
          () => shardsView(url, report),
          () => shardsLine(report),
        );
    } catch (error) {
      // A node that restarts is back in a moment; what was shown last stands until then.
      screen.say(reasonFrom(error));
    }
    if (stopped) break;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, watchEveryMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  if (print === null) screen.endLive();
}
