/** Opens what commands need to look at the past of a cluster, and closes it behind them. */
import {
  type Clock,
  commonSettings,
  connectNatsBus,
  createLogger,
  createTcpNetwork,
  type Network,
  readConfig,
  readSecurity,
  securitySettings,
  systemClock,
  watchCluster,
} from '@millrace/runtime';
import { createArchive, openStores, snapshotSettings } from '@millrace/snapshot';
import { Option } from 'commander';
import { cliSettings } from '../cli-settings.ts';
import type { HistorySource } from '../history/history-source.ts';
import { runningClusterIn } from '../supervisor/cluster-directory.ts';

export interface OpenHistory extends HistorySource {
  readonly clock: Clock;
  readonly network: Network;
  readonly cluster: string;
  /** Shown to shards; null: none. */
  readonly token: string | null;
}

/** Somebody waits at the prompt: a server that is there answers sooner. */
const firstConnectMsMax = 5_000;

export function dataOption(): Option {
  return new Option('--data <directory>', 'directory of the cluster that runs here (default: MILL_DATA)');
}

export function modelOption(): Option {
  return new Option('--model <name>', 'model, where there are several');
}

/** Runs `work` on the past of a cluster: the one that MILL_NATS_URL names, else the one that runs in `data`. */
export async function withHistory<T>(
  { data }: { readonly data?: string },
  work: (history: OpenHistory) => Promise<T>,
): Promise<T> {
  const common = readConfig(commonSettings, process.env);
  const security = await readSecurity(readConfig(securitySettings, process.env), systemClock.now());
  const running = await runningClusterIn(data ?? readConfig(cliSettings, process.env).dataDirectory);
  const servers =
    process.env.MILL_NATS_URL === undefined && running ? [running.natsUrl] : [...common.natsUrl];
  const logger = createLogger({ service: 'millrace', level: 'silent' });
  const bus = await connectNatsBus({
    servers,
    name: 'millrace-history',
    logger,
    firstConnectMsMax,
    ...security.nats,
  });
  try {
    const damaged: string[] = [];
    const stores = await openStores(bus, readConfig(snapshotSettings, process.env));
    const onDamaged = (store: string, path: string, { message }: Error) =>
      damaged.push(`${store}: ${path}: ${message}`);
    const archive = stores.length === 0 ? null : createArchive({ stores, onDamaged });
    const view = await watchCluster(bus, systemClock, logger);
    try {
      const { cluster } = common;
      return await work({
        bus,
        archive,
        view,
        damaged,
        clock: systemClock,
        network: createTcpNetwork({ tls: security.tls }),
        cluster,
        token: security.token,
      });
    } finally {
      await view.close();
    }
  } finally {
    await bus.close();
  }
}
