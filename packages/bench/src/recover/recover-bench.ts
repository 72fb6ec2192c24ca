/**
 * How fast a shard comes back, and whether snapshots are in the way of reads.
 *
 *   fill      rows as gradient blocks in the log of a real nats-server
 *   replay    a shard folds the whole log: what a start without snapshots costs
 *   reads     pulls and updates go on; snapshots off and on in turns, a new process each time
 *   restart   that process was ended and starts from its own files
 *   restore   a second shard with an empty disk restores from the shared store and replays the tail
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonBytes } from '@millrace/protocol';
import { type Bus, connectNatsBus, createLogger } from '@millrace/runtime';
import { startNatsServer } from '@millrace/testkit';
import { median, rounded } from '../common/statistics.ts';
import { benchModel } from '../pull/workload.ts';
import { createLogWriter } from './fill-log.ts';
import { type RecoverParameters, snapshotEveryMs } from './parameters.ts';
import { readWhileLearning } from './read-while.ts';
import { type ShardChild, startShardChild } from './shard-child.ts';
import { snapshotsDone } from './snapshots-done.ts';

export interface RecoverResult {
  readonly rows: number;
  /** Rows restored from snapshots, and rows stepped again from the log's tail, over the time to all partitions answering. */
  readonly rowsPerSecond: number;
  readonly restoreSeconds: number;
  readonly replayedRows: number;
  /** The same rows from the log alone, from its beginning. */
  readonly replayRowsPerSecond: number;
  /** A start from the process's own files. */
  readonly restartSeconds: number;
  /** Median over the rounds of the p99 of pulls while snapshots are written over that while none are. */
  readonly readP99Ratio: number;
  readonly readP99Ms: { readonly without: number; readonly with: number };
  /** Snapshots written while reads were measured. */
  readonly snapshots: number;
}

export interface RecoverBenchOptions extends RecoverParameters {
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

/** Steps that onStep counts up to. */
export function stepsOf({ rounds }: RecoverParameters): number {
  return 4 + 2 * rounds;
}

export async function runRecoverBench(options: RecoverBenchOptions): Promise<RecoverResult> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-bench-'));
  const nats = await startNatsServer();
  const logger = createLogger({ service: 'bench', level: 'error' });
  const bus = await connectNatsBus({ servers: [nats.url], name: 'bench', logger });
  try {
    await bus.ensure();
    return await measure(bus, nats.url, directory, options);
  } finally {
    await bus.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(
  bus: Bus,
  natsUrl: string,
  directory: string,
  options: RecoverBenchOptions,
): Promise<RecoverResult> {
  const { rows, tailShare, seed, onStep } = options;
  const file = benchModel(options.partitions, seed);
  await (await bus.kv('models')).put(file.name, jsonBytes(file));
  const writer = createLogWriter(bus, file, seed);
  onStep(0, 'filling the log');
  await writer.touch(0, rows);

  const plan = { natsUrl, shard: 'first', ownDirectory: join(directory, 'first') };
  onStep(1, 'folding the log from its beginning');
  let first: ShardChild = await startShardChild({ ...plan, snapshotEveryMs: 0 });
  const replayMs = first.readyMs;
  const reads: { without: number[]; with: number[]; ratios: number[] } = {
    without: [],
    with: [],
    ratios: [],
  };
  let snapshots = 0;
  let restartMs = Number.NaN;
  for (let round = 0; round < options.rounds; round += 1) {
    onStep(2 + 2 * round, `reads without snapshots, round ${round + 1}`);
    const without = await readWhileLearning(bus, file, writer, options);
    await first.close();
    first = await startShardChild({ ...plan, snapshotEveryMs });
    onStep(3 + 2 * round, `reads while snapshots are written, round ${round + 1}`);
    const withThem = await readWhileLearning(bus, file, writer, options);
    reads.without.push(without.p99Ms);
    reads.with.push(withThem.p99Ms);
    reads.ratios.push(withThem.p99Ms / without.p99Ms);
    snapshots += await first.close();
    first = await startShardChild({ ...plan, snapshotEveryMs: 0 });
    restartMs = first.readyMs;
  }

  onStep(2 + 2 * options.rounds, 'writing what has changed');
  await first.close();
  first = await startShardChild({ ...plan, snapshotEveryMs });
  await snapshotsDone(bus, file);
  await first.close();
  first = await startShardChild({ ...plan, snapshotEveryMs: 0 });
  const replayedRows = Math.round(tailShare * rows);
  await writer.touch(0, replayedRows);
  onStep(3 + 2 * options.rounds, 'restoring on an empty disk');
  const second = await startShardChild({ natsUrl, shard: 'second', ownDirectory: null, snapshotEveryMs: 0 });
  await second.close();
  await first.close();
  return {
    rows,
    rowsPerSecond: rounded((1_000 * (rows + replayedRows)) / second.readyMs),
    restoreSeconds: rounded(second.readyMs / 1_000),
    replayedRows,
    replayRowsPerSecond: rounded((1_000 * rows) / replayMs),
    restartSeconds: rounded(restartMs / 1_000),
    readP99Ratio: rounded(median(reads.ratios)),
    readP99Ms: { without: rounded(median(reads.without)), with: rounded(median(reads.with)) },
    snapshots,
  };
}
