/** Compares what all live owners of each partition hold, once nothing is learned any more. */
import type { PartitionReport } from '@millrace/protocol';
import { eventually } from '../eventually.ts';
import type { LocalClusterFixture } from '../local-cluster-fixture.ts';

export interface OwnerStates {
  /** `equal`, or what differs. */
  readonly verdict: string;
  /** Blocks that owners have applied less those that their logs hold, and the like, are told by the reports themselves. */
  readonly reports: ReadonlyMap<string, readonly PartitionReport[]>;
}

const settleMsMax = 20_000;

/** Resolves once all owners have reached the same sequences, to what their states are then. */
export async function compareOwners(cluster: LocalClusterFixture, model: string): Promise<OwnerStates> {
  return eventually(
    async () => {
      const { shards } = await cluster.client.status();
      const reports = new Map<string, readonly PartitionReport[]>();
      for (const { id } of shards) reports.set(id, await cluster.inspect(id, model));
      const lagging = differencesIn(reports, ({ sequence }) => `${sequence}`);
      if (lagging.length > 0) throw new Error(`owners at different sequences: ${lagging.join('; ')}`);
      const differences = differencesIn(reports, ({ stateHash }) => stateHash.slice(0, 12));
      return { verdict: differences.length === 0 ? 'equal' : differences.join('; '), reports };
    },
    { withinMs: settleMsMax, everyMs: 500 },
  );
}

function differencesIn(
  reports: ReadonlyMap<string, readonly PartitionReport[]>,
  of: (report: PartitionReport) => string,
): readonly string[] {
  const byPartition = new Map<number, Map<string, string>>();
  for (const [shard, list] of reports) {
    for (const report of list) {
      const owners = byPartition.get(report.partition) ?? new Map<string, string>();
      byPartition.set(report.partition, owners.set(shard, of(report)));
    }
  }
  return [...byPartition].flatMap(([partition, owners]) =>
    new Set(owners.values()).size > 1
      ? [`partition ${partition}: ${[...owners].map((owner) => owner.join(' ')).join(', ')}`]
      : [],
  );
}
