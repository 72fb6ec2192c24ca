/** Asks the shards that hold a partition what they hold of it, over their own port. */
import { createShardConnection, type ShardConnection } from '@millrace/client';
import { frameKinds, type PartitionReport, packedFrame, packedValueOf, reasonFrom } from '@millrace/protocol';
import type { Clock, ClusterView, Network } from '@millrace/runtime';

export interface OwnerAnswer {
  readonly shard: string;
  /** Null when it does not hold the partition, or gave no answer. */
  readonly report: PartitionReport | null;
  /** Why there is no report. */
  readonly reason: string;
}

export interface OwnerInspector {
  /** What each shard that the map names for a partition (owners, then those that still serve it) says of it. */
  inspect(model: string, partition: number): Promise<readonly OwnerAnswer[]>;
  close(): void;
}

export interface OwnerInspectorOptions {
  readonly view: ClusterView;
  readonly network: Network;
  readonly clock: Clock;
  readonly cluster: string;
  /** Shown to shards; null: none. Default null. */
  readonly token?: string | null;
}

/** A shard hashes every row of the partition before it answers: some seconds for millions of rows. */
const answerMsMax = 30_000;

export function createOwnerInspector(options: OwnerInspectorOptions): OwnerInspector {
  const { view, network, clock, cluster, token = null } = options;
  const connections = new Map<string, ShardConnection>();

  const connectionTo = (shard: string): ShardConnection | null => {
    const known = connections.get(shard);
    if (known) return known;
    const lease = view.shards().find((sight) => sight.lease.shard === shard)?.lease;
    if (!lease) return null;
    const address = { shard, host: lease.host, port: lease.port };
    const connection = createShardConnection({
      network,
      address,
      cluster,
      role: 'verify',
      token,
      clock,
      requestTimeoutMs: answerMsMax,
    });
    connections.set(shard, connection);
    return connection;
  };

  const ask = async (shard: string, model: string, partition: number): Promise<OwnerAnswer> => {
    const connection = connectionTo(shard);
    if (!connection) return { shard, report: null, reason: 'it has told no address' };
    const requestId = connection.nextRequestId();
    const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { model, partition });
    let reports: readonly PartitionReport[] = [];
    try {
      await connection.request(frame, requestId, ({ bytes }) => {
        reports = packedValueOf(bytes).partitions as readonly PartitionReport[];
      });
    } catch (error) {
      return { shard, report: null, reason: reasonFrom(error) };
    }
    const report = reports.find((each) => each.partition === partition) ?? null;
    return { shard, report, reason: report === null ? 'it does not hold the partition' : '' };
  };

  return {
    inspect(model, partition) {
      const map = view.mapOf(model);
      const places = new Set([...(map?.owners[partition] ?? []), ...(map?.former?.[partition] ?? [])]);
      return Promise.all([...places].map((place) => ask(map?.shards[place] ?? '', model, partition)));
    },
    close() {
      for (const connection of connections.values()) connection.close();
    },
  };
}
