/** The harm that a simulation does: to updaters, to shards, and to the gradient log. */
import { decodeGradientBlock, gradientsSubject, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { MemoryBus } from '@millrace/runtime';
import type { WriteFate } from './mortal-process.ts';
import type { Random } from './random.ts';
import type { SimulatedCluster, SimulatedUpdater } from './simulated-cluster.ts';

export interface Disorder {
  startUpdater(): Promise<SimulatedUpdater>;
  /** Perhaps does some harm. */
  step(): Promise<void>;
  /** Wakes and then ends what is left, and starts an updater that meets no more harm. */
  end(): Promise<SimulatedUpdater>;
  readonly shardRestarts: number;
  readonly takeovers: number;
  /** Blocks in the log that no shard may apply. */
  readonly badBlocks: number;
}

export function createDisorder(cluster: SimulatedCluster, random: Random): Disorder {
  const { updaters, shards, bus, file } = cluster;
  const counts = { shardRestarts: 0, takeovers: 0, badBlocks: 0 };
  const living = () => updaters.filter(({ process }) => process.alive);
  const startUpdater = () => {
    // Some die at a write of their own, some soon, some late, some not at all.
    const diesAt = random.pick([1 + random.whole(5), 1 + random.whole(60), Number.POSITIVE_INFINITY]);
    const dyingFate: WriteFate = random.pick(['dies-before', 'dies-after']);
    let writes = 0;
    const fateOfWrite = (): WriteFate => {
      writes += 1;
      if (writes === diesAt) return dyingFate;
      if (random.chance(0.02)) return random.pick(['refused', 'unanswered']);
      return 'done';
    };
    return cluster.startUpdater({ fateOfWrite, keepsMessageIds: random.chance(0.5) });
  };
  const harms: readonly (() => void | Promise<void>)[] = [
    () => random.pick(living())?.process.kill(),
    () => random.pick(updaters)?.process.freeze(),
    () => random.pick(updaters)?.process.thaw(),
    () => random.pick(shards).process.freeze(),
    () => {
      for (const { process } of shards) process.thaw();
    },
    async () => {
      counts.shardRestarts += 1;
      await cluster.restartShard(random.whole(shards.length));
    },
    async () => {
      counts.takeovers += 1;
      await startUpdater();
    },
    async () => {
      if (await appendBadBlock(bus, file, random)) counts.badBlocks += 1;
    },
  ];
  return {
    startUpdater,
    async step() {
      if (random.chance(0.08)) await random.pick(harms)();
      if (living().length === 0 && random.chance(0.3)) await startUpdater();
    },
    async end() {
      for (const { process } of [...shards, ...updaters]) process.thaw();
      await cluster.turn();
      for (const { process } of living()) process.kill();
      return cluster.startUpdater({ fateOfWrite: () => 'done', keepsMessageIds: true });
    },
    get shardRestarts() {
      return counts.shardRestarts;
    },
    get takeovers() {
      return counts.takeovers;
    },
    get badBlocks() {
      return counts.badBlocks;
    },
  };
}

/** Appends a block that stands in the log already: again, damaged, or to another partition. True when no shard may apply it. */
async function appendBadBlock(bus: MemoryBus, file: ModelFile, random: Random): Promise<boolean> {
  const partitions = file.partitions ?? 1;
  const partition = random.whole(partitions);
  const subjectOf = (place: number) => gradientsSubject(modelNameFrom(file.name), place % partitions);
  const head = await bus.headOf('gradients', subjectOf(partition));
  if (head === 0) return false;
  const found: Uint8Array[] = [];
  const reader = await bus.read('gradients', {
    subject: subjectOf(partition),
    from: Math.max(1, head - random.whole(200)),
    onMessage: ({ payload }) => {
      if (found.length === 0 && isGood(payload, partition)) found.push(new Uint8Array(payload));
    },
    onError: () => undefined,
  });
  await reader.close();
  const [block] = found;
  if (block === undefined) return false;
  const kind = random.pick(['repeated', 'damaged', 'foreign']);
  if (kind === 'damaged') block[random.whole(block.length)] ^= 1 + random.whole(255);
  const to = kind === 'foreign' ? partition + 1 : partition;
  await bus.append('gradients', subjectOf(to), block);
  return kind !== 'repeated';
}

/** False for what stands in the log as an earlier piece of harm. */
function isGood(payload: Uint8Array, partition: number): boolean {
  try {
    return decodeGradientBlock(payload).partition === partition;
  } catch {
    return false;
  }
}
