/**
 * A shard in a process of its own, started as the command starts it. It tells its parent how long it took from nothing to
 * all partitions answering reads, and ends in order when the parent lets go of it.
 */
import {
  connectNatsBus,
  createLogger,
  createMetrics,
  createTcpNetwork,
  systemClock,
} from '@millrace/runtime';
import { startShard } from '@millrace/shard';
import { openStores } from '@millrace/snapshot';

export interface ShardPlan {
  readonly natsUrl: string;
  readonly shard: string;
  /** Null: none of its own. */
  readonly ownDirectory: string | null;
  readonly snapshotEveryMs: number;
}

/** What the process tells its parent, once. */
export interface ShardReady {
  /** From the start of the shard to all of its partitions answering reads. */
  readonly readyMs: number;
}

/** What it tells at its end. */
export interface ShardEnd {
  readonly snapshots: number;
}

const lookMs = 2;

async function main(plan: ShardPlan): Promise<void> {
  const logger = createLogger({ service: plan.shard, level: 'warn' });
  const bus = await connectNatsBus({ servers: [plan.natsUrl], name: plan.shard, logger });
  const metrics = createMetrics({ service: plan.shard });
  const startedMs = performance.now();
  const running = await startShard({
    bus,
    network: createTcpNetwork(),
    clock: systemClock,
    logger,
    metrics,
    cluster: 'bench',
    shard: plan.shard,
    host: '127.0.0.1',
    port: 0,
    advertiseHost: '127.0.0.1',
    zone: '',
    replicas: 2,
    minReplicas: 1,
    connectionsMax: 16,
    stores: await openStores(bus, { snapshotStore: 'nats', ownDirectory: plan.ownDirectory }),
    snapshotEveryMs: plan.snapshotEveryMs,
    snapshotChains: 2,
    drainMsMax: 10_000,
    onFailed: (error) => {
      throw error;
    },
  });
  while (!running.ready) await new Promise((resolve) => setTimeout(resolve, lookMs));
  const ready: ShardReady = { readyMs: performance.now() - startedMs };
  const end = async () => {
    await running.close();
    await bus.close();
    const counts = await metrics.registry.getSingleMetric('mill_snapshots_total')?.get();
    const snapshots = counts?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
    const told: ShardEnd = { snapshots };
    process.send?.(told, () => process.exit());
  };
  process.once('message', () => void end());
  process.once('disconnect', () => process.exit(1));
  process.send?.(ready);
}

await main(JSON.parse(process.argv[2]) as ShardPlan);
