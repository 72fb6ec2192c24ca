/** `millrace demo` and `millrace up`: a cluster on this machine, with and without generated traffic. */
import { join } from 'node:path';
import { engineNames } from '@millrace/model';
import { readConfig, systemClock } from '@millrace/runtime';
import { Command, InvalidArgumentError, Option } from 'commander';
import { cliSettings } from '../cli-settings.ts';
import type { DemoReport } from '../demo/demo-report.ts';
import { startDemoSession } from '../demo/demo-session.ts';
import { natsServerPath } from '../find-nats-server.ts';
import { liveView, plainLine } from '../screen/live-view.ts';
import { openScreen, type Screen } from '../screen/screen.ts';
import { type LocalCluster, startLocalCluster } from '../supervisor/local-cluster.ts';
import { jsonOption, shippedFile, wholeNumber } from './options.ts';

export interface ClusterFlags {
  readonly data?: string;
  readonly shards: number;
  readonly inference: number;
  readonly host: string;
  readonly port: number;
  readonly natsPort: number;
  readonly natsVia?: ReadonlyMap<string, string>;
  readonly engine: string;
  readonly seconds?: number;
  readonly json: boolean;
}

interface DemoFlags extends ClusterFlags {
  readonly traffic: 'on' | 'off';
  readonly rate: number;
  readonly seed: number;
}

/** Options of every command that starts a cluster. */
export function withClusterOptions(command: Command): Command {
  return (
    command
      .option('--data <dir>', 'data directory (default: MILL_DATA, else .millrace)')
      .option('--shards <n>', 'shard processes', wholeNumber({ min: 1, max: 64 }), 2)
      .option('--inference <n>', 'inference nodes', wholeNumber({ min: 1, max: 16 }), 1)
      .option('--host <address>', 'address of the HTTP ports', '127.0.0.1')
      .option(
        '--port <n>',
        'HTTP port of the first inference node, the others have the next ones; free ones are taken when it is in use',
        wholeNumber({ min: 0, max: 65_535 }),
        8_080,
      )
      .option('--nats-port <n>', 'port of nats-server; 0: any', wholeNumber({ min: 0, max: 65_535 }), 0)
      // For whoever cuts single processes off from nats-server to see what they do.
      .addOption(
        new Option('--nats-via <process=url>', 'address under which a process reaches nats-server')
          .argParser(addressesFrom)
          .hideHelp(),
      )
      .addOption(
        new Option('--engine <name>', 'what runs the dense part')
          .choices(['auto', ...engineNames])
          .default('auto'),
      )
      .option('--seconds <n>', 'stop by itself after so long', wholeNumber({ min: 1, max: 31_536_000 }))
      .addOption(jsonOption())
  );
}

/** `shard-0=nats://127.0.0.1:4223`, any number of them. */
function addressesFrom(text: string, before?: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const [, name, url] = /^([a-z0-9-]+)=(nats:\/\/.+)$/.exec(text) ?? [];
  if (name === undefined || url === undefined) throw new InvalidArgumentError('wanted PROCESS=nats://….');
  return new Map(before).set(name, url);
}

export function demoCommand(): Command {
  return withClusterOptions(
    new Command('demo').description(
      'start a cluster here and play generated traffic at it (what npm start runs)',
    ),
  )
    .addOption(
      new Option('--traffic <on|off>', 'off starts the cluster alone').choices(['on', 'off']).default('on'),
    )
    .option(
      '--rate <n>',
      'score requests a second, of eight items each',
      wholeNumber({ min: 1, max: 100_000 }),
      100,
    )
    .option('--seed <n>', 'world of the simulator', wholeNumber({ min: 0, max: 4_294_967_295 }), 1)
    .action(runDemo);
}

export async function runDemo(flags: DemoFlags): Promise<void> {
  const screen = openScreen({ json: flags.json, now: systemClock.monotonicMs });
  const stop = stopSignal();
  const opened = await openCluster(flags, screen);
  const { cluster, dataDirectory } = opened;
  let report: DemoReport | null = null;
  try {
    printHints(screen, cluster.urls, flags.traffic);
    if (flags.traffic === 'off') await stop.afterSeconds(flags.seconds ?? null);
    else report = await playDemo({ flags, screen, stop, cluster, dataDirectory });
  } finally {
    screen.say('stopping');
    await cluster.close();
  }
  if (flags.json)
    process.stdout.write(
      `${JSON.stringify(report ?? { url: cluster.urls[0], urls: cluster.urls, errors: 0 })}\n`,
    );
  else if (report) process.stdout.write(`${summary(report)}\n`);
}

interface PlayInput {
  readonly flags: DemoFlags;
  readonly screen: Screen;
  readonly stop: StopSignal;
  readonly cluster: LocalCluster;
  readonly dataDirectory: string;
}

async function playDemo({ flags, screen, stop, cluster, dataDirectory }: PlayInput): Promise<DemoReport> {
  const session = await startDemoSession({
    urls: cluster.urls,
    clock: systemClock,
    modelPath: shippedFile('examples/demo.json'),
    progressPath: join(dataDirectory, 'demo.json'),
    seed: flags.seed,
    requestsPerSecond: flags.rate,
    totalSeconds: flags.seconds ?? null,
    restarts: () => cluster.processes.reduce((sum, { restarts }) => sum + restarts, 0),
  });
  const redraw = setInterval(() => {
    const figures = session.figures();
    screen.live(
      (width, colours) => liveView(figures, width, colours),
      () => plainLine(figures),
    );
  }, 500);
  try {
    await stop.afterSeconds(flags.seconds ?? null);
  } finally {
    clearInterval(redraw);
    screen.endLive();
  }
  screen.say('draining');
  return session.finish();
}

/** Starts the cluster that the flags describe and says what happens to its processes. */
export async function openCluster(
  flags: ClusterFlags,
  screen: Screen,
): Promise<{ cluster: LocalCluster; dataDirectory: string }> {
  const settings = readConfig(cliSettings, process.env);
  const dataDirectory = flags.data ?? settings.dataDirectory;
  const natsServer = await natsServerPath(settings.natsServer, screen.say);
  const cluster = await startLocalCluster({
    dataDirectory,
    natsServer,
    shards: flags.shards,
    inference: flags.inference,
    httpHost: flags.host,
    httpPort: flags.port,
    natsPort: flags.natsPort,
    natsVia: flags.natsVia ?? new Map(),
    engine: flags.engine,
    clock: systemClock,
    say: screen.say,
    watch: {
      onDeath: (name, reason, pauseMs) =>
        screen.say(`${name} died (${reason}), starting it again in ${pauseMs} ms`),
      onReady: (name, restarts) => {
        if (restarts > 0) screen.say(`${name} is back (restart ${restarts})`);
      },
    },
  });
  return { cluster, dataDirectory };
}

function printHints(screen: Screen, urls: LocalCluster['urls'], traffic: 'on' | 'off'): void {
  const [url] = urls;
  screen.say(`ready at ${urls.join(', ')}, try in another terminal:`);
  if (traffic === 'on') {
    const body =
      '{"model":"demo","user":{"user":"u1","segment":"student"},"context":{"hour":20,"placement":"feed"},"items":[{"item":"i1","category":"film"},{"item":"i2","category":"toys"}]}';
    screen.say(`  curl -s ${url}/v1/score -H 'content-type: application/json' -d '${body}'`);
  } else {
    screen.say(`  npx millrace replay FILE --model MODEL --url ${url}`);
    screen.say(`  curl -s ${url}/openapi.json`);
  }
  screen.say(`  curl -s ${url}/v1/status`);
}

function summary(report: DemoReport): string {
  const { auc, oracleAuc, logloss, oracleLogloss } = report;
  return [
    `${report.scored} scored, ${report.learned} learned, ${report.errors} errors in ${report.seconds} s`,
    `AUC ${auc} (oracle ${oracleAuc})  logloss ${logloss} (oracle ${oracleLogloss})  over the last third`,
    `click → changed score ${report.freshnessMsP50} ms p50, ${report.freshnessMsP99} ms p99`,
  ].join('\n');
}

export interface StopSignal {
  /** Resolves after so many seconds, or at Ctrl-C or SIGTERM; null: only then. */
  afterSeconds(seconds: number | null): Promise<void>;
}

/** Listens from now on, so that a Ctrl-C while things start is not lost; a second one ends the process at once. */
export function stopSignal(): StopSignal {
  let asked = false;
  let wake = () => {};
  const onSignal = () => {
    if (asked) process.exit(1);
    asked = true;
    wake();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    async afterSeconds(seconds) {
      if (asked) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (seconds !== null) setTimeout(resolve, seconds * 1_000);
      });
    },
  };
}
