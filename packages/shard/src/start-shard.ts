/** The shard process: joins the cluster, holds what the map gives it, answers pulls, leaves in order. */
import {
  type Bus,
  type Clock,
  type Logger,
  type Metrics,
  type Network,
  watchCluster,
} from '@millrace/runtime';
import type { ArchiveStore } from '@millrace/snapshot';
import { awaitHandover } from './handover.ts';
import { createHoldings } from './holdings.ts';
import { keepLease } from './lease-keeper.ts';
import { proposeMaps } from './map-proposer.ts';
import { openSnapshots } from './open-snapshots.ts';
import { listenForPulls } from './tcp-server.ts';

const retryMs = 1_000;

export interface ShardOptions {
  readonly bus: Bus;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly cluster: string;
  /** What callers must show; null: nothing. Default null. */
  readonly token?: string | null;
  readonly shard: string;
  /** Address to listen on; port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /** Address told to others, when it differs from `host`. */
  readonly advertiseHost: string;
  /** Where it runs; '' when nothing was said. */
  readonly zone: string;
  readonly replicas: number;
  /** Owners that must answer reads before earlier ones let go. */
  readonly minReplicas: number;
  /** Where snapshots lie, nearest first: `own`, `shared`, both or neither. */
  readonly stores: readonly ArchiveStore[];
  /** Pause between two rounds of snapshots, ms; 0: none. */
  readonly snapshotEveryMs: number;
  /** Full snapshots kept of each partition. */
  readonly snapshotChains: number;
  /** How long to wait at the end for others to answer for what this shard holds, ms. */
  readonly drainMsMax: number;
  readonly connectionsMax: number;
  readonly onFailed: (error: Error) => void;
}

export interface RunningShard {
  readonly port: number;
  /** True once it stands in the maps, and every partition that it owns answers reads. */
  readonly ready: boolean;
  close(): Promise<void>;
}

export async function startShard(options: ShardOptions): Promise<RunningShard> {
  const { bus, clock, logger, shard, replicas, minReplicas } = options;
  const view = await watchCluster(bus, clock, logger);
  const snapshots = openSnapshots(options, {
    goneCount: () => holdings.goneCount,
    behind: () => holdings.leases().reduce((sum, { behind }) => sum + behind, 0),
  });
  const { metrics } = snapshots;
  const holdings = createHoldings({
    bus,
    clock,
    logger,
    view,
    shard,
    archive: snapshots.archive,
    onChange: () => leaseIsNews(),
    onRestored: metrics.rowsRestored,
    onFailed: options.onFailed,
  });
  const server = await listenForPulls({
    network: options.network,
    clock,
    host: options.host,
    port: options.port,
    cluster: options.cluster,
    token: options.token ?? null,
    shard,
    connectionsMax: options.connectionsMax,
    holdings,
    logger,
    onPull: metrics.keysPulled,
  });
  const lease = await keepLease({
    bus,
    clock,
    logger,
    shard,
    host: options.advertiseHost,
    port: server.port,
    zone: options.zone,
    models: () => holdings.leases(),
  });
  let renewalTimer: { cancel(): void } | null = null;
  // Partitions become ready in bursts; one renewal shortly after tells of all of them.
  const leaseIsNews = () => {
    renewalTimer ??= clock.setTimer(20, () => {
      renewalTimer = null;
      void lease.renew();
    });
  };

  let retryTimer = clock.setTimer(0, () => {});
  let acting = false;
  let again = false;
  let leaving = false;
  let proposing: Promise<boolean> = Promise.resolve(true);
  const retryLater = () => {
    retryTimer.cancel();
    retryTimer = clock.setTimer(retryMs, () => void act());
  };
  const act = async (): Promise<void> => {
    if (acting) {
      again = true;
      return;
    }
    acting = true;
    try {
      do {
        again = false;
        // A map of its own could name it again, since its view does not have it as leaving yet.
        if (!leaving) {
          proposing = proposeMaps({ bus, view, logger, shard, replicas, minReplicas });
          if (!(await proposing)) retryLater();
        }
        await holdings.reconcile();
      } while (again);
    } catch (error) {
      // NATS is out of reach: what is held goes on being read, and the map is looked at again when it is back.
      logger.warn({ err: error }, 'partition map not acted on');
      retryLater();
    } finally {
      acting = false;
    }
    leaseIsNews();
  };
  const stopListening = view.onChange(() => void act());
  await act();
  const writer = snapshots.start(view, holdings);
  logger.info({ shard, port: server.port }, 'shard started');

  return {
    port: server.port,
    get ready() {
      return holdings.ready;
    },
    async close() {
      leaving = true;
      await Promise.allSettled([lease.drain(), proposing]);
      const written = writer?.close();
      const end = await awaitHandover({
        bus,
        clock,
        view,
        shard,
        waitMsMax: options.drainMsMax,
        isRead: () => server.connections > 0,
      });
      logger.info({ shard, end }, 'shard leaves');
      stopListening();
      renewalTimer?.cancel();
      retryTimer.cancel();
      await lease.close();
      await server.close();
      await written;
      await holdings.close();
      await view.close();
      logger.info({ shard }, 'shard stopped');
    },
  };
}
