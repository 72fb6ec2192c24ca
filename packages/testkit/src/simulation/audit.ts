/**
 * Asks shards what they hold, over the network as an operator would, and holds it against the truth:
 *   I1  a state is the fold of its log up to its sequence        I2  two owners at one sequence are equal
 *   I3  as many blocks are applied as the log has                I4  a state that began with a snapshot is the fold too
 */
import { createShardConnection, type ShardConnection } from '@millrace/client';
import {
  frameHeaderBytes,
  frameKinds,
  type PartitionReport,
  packedFrame,
  packedValueOf,
  pullFrameBytes,
  writeFrameHeader,
} from '@millrace/protocol';
import { addressOf, type Host, type SimulatedCluster } from './simulated-cluster.ts';

export interface Audit {
  /** Asks; what is found wrong is told when the answer comes. */
  ask(host: Host): void;
  /** What every running shard answers; empty where one does not. */
  askAll(): Promise<ReadonlyMap<string, readonly PartitionReport[]>>;
  /** Reports that were held against the truth. */
  readonly reports: number;
  close(): void;
}

const answerMsMax = 2_000;

export function createAudit(cluster: SimulatedCluster): Audit {
  const { world, truth, nats, network, file } = cluster;
  const { random } = world;
  const { process } = cluster.visitor('auditor');
  const connections = new Map<string, { readonly key: string; readonly connection: ShardConnection }>();
  const hashes = new Map<string, { readonly shard: string; readonly hash: string }>();
  const own = network.of(process);
  let reports = 0;

  const connectionTo = (host: Host): ShardConnection | null => {
    const address = addressOf(nats, host.name);
    if (address === null) return null;
    const key = `${address.host}:${address.port}`;
    const known = connections.get(host.name);
    if (known && known.key === key) return known.connection;
    known?.connection.close();
    const connection = createShardConnection({
      network: own,
      address: { shard: host.name, ...address },
      cluster: 'simulation',
      role: 'auditor',
      clock: process.clock,
      requestTimeoutMs: answerMsMax,
    });
    connections.set(host.name, { key, connection });
    return connection;
  };

  const check = (host: Host, report: PartitionReport) => {
    reports += 1;
    const { partition, sequence, stateHash, applied } = report;
    const plain = truth.partitions[partition];
    const where = `${host.name}, partition ${partition} at ${sequence}`;
    const isRestored = host.restored.has(String(partition));
    if (sequence !== 0 && !plain.sequences.includes(sequence)) {
      world.violate('I1', `${where}: no such place in its log`);
      return;
    }
    if (applied !== plain.appliedUntil(sequence))
      world.violate(
        'I3',
        `${where}: ${applied} blocks are applied, its log has ${plain.appliedUntil(sequence)}`,
      );
    if (stateHash !== plain.hashAt(sequence)) {
      world.violate('I1', `${where}: another state than its log gives`);
      if (isRestored)
        world.violate('I4', `${where}: another state than its log gives, begun with a snapshot`);
    }
    const key = `${partition} ${sequence}`;
    const before = hashes.get(key);
    if (before === undefined) hashes.set(key, { shard: host.name, hash: stateHash });
    else if (before.hash !== stateHash)
      world.violate('I2', `${where}: ${before.shard} held another state there`);
  };

  const inspect = async (host: Host): Promise<readonly PartitionReport[]> => {
    const connection = connectionTo(host);
    if (connection === null) return [];
    const requestId = connection.nextRequestId();
    let found: readonly PartitionReport[] = [];
    const frame = packedFrame(frameKinds.inspect, { requestId, epoch: 0 }, { model: file.name });
    await connection.request(frame, requestId, ({ bytes }) => {
      found = packedValueOf(bytes).partitions as readonly PartitionReport[];
    });
    for (const report of found) check(host, report);
    return found;
  };

  /** Pulls a row of some partition, whoever holds it: a shard that does not must refuse (wire-watch.ts looks at the answer). */
  const pull = async (host: Host): Promise<void> => {
    const connection = connectionTo(host);
    if (connection === null) return;
    const requestId = connection.nextRequestId();
    const frame = new Uint8Array(pullFrameBytes(1));
    const view = new DataView(frame.buffer);
    writeFrameHeader(view, 0, { bytes: frame.length, kind: frameKinds.pull, requestId, epoch: 0 });
    const words = [random.pick(truth.layouts).tableId, 1, random.whole(2 ** 32), random.whole(2 ** 32)];
    for (const [i, word] of words.entries()) view.setUint32(frameHeaderBytes + 4 * i, word, true);
    await connection.request(frame, requestId, () => undefined);
  };

  return {
    ask(host) {
      // A shard that is down, has no model yet, or does not hold the partition has nothing to tell.
      inspect(host).catch(() => undefined);
      for (let i = 0; i < 3; i += 1) pull(host).catch(() => undefined);
    },
    async askAll() {
      const answers = new Map<string, readonly PartitionReport[]>();
      for (const host of cluster.hosts) {
        if (host.shard === null) continue;
        answers.set(host.name, await inspect(host).catch(() => []));
      }
      return answers;
    },
    get reports() {
      return reports;
    },
    close() {
      for (const { connection } of connections.values()) connection.close();
    },
  };
}
