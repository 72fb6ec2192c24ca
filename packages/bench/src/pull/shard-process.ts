/**
 * The shard that is measured, in a process of its own: the shard's tables, answers and port as they are, filled by hand
 * instead of by a log. Before it listens it measures what its memory gives in one process. It tells its parent the port and
 * the figures, and ends when the parent does.
 */
import {
  copyRows,
  findOrAddRow,
  lookupRows,
  partitionOf,
  pullRows,
  rowTarget,
  touchRows,
} from '@millrace/core';
import { invariant, partitionsMax } from '@millrace/protocol';
import { createLogger, createTcpNetwork, systemClock } from '@millrace/runtime';
import {
  createModelShard,
  listenForPulls,
  type ModelShard,
  openPartition,
  takePartition,
} from '@millrace/shard';
import { median } from '../common/statistics.ts';
import { headline, type PullParameters } from './parameters.ts';
import { benchModel, makeRequests, type Request, rowFloats, writeKey, writeRow } from './workload.ts';

/** What the process tells its parent, once. */
export interface ShardReady {
  readonly port: number;
  /** pullRows in this process: partition, look up, copy. */
  readonly lookupKeysPerSecond: number;
  /** Copying rows whose index is known: what no lookup can beat. */
  readonly gatherKeysPerSecond: number;
}

function filledShard({ rows, partitions, seed }: PullParameters): ModelShard {
  const shard = createModelShard(benchModel(partitions, seed));
  for (let partition = 0; partition < partitions; partition += 1) {
    takePartition(shard, partition);
    openPartition(shard, partition);
  }
  const words = new Uint32Array(2);
  for (let n = 0; n < rows; n += 1) {
    writeKey(n, seed, words, 0);
    const table = shard.readable[0][partitionOf(words[0], words[1], partitions)];
    invariant(table !== null, 'every partition is open');
    const row = findOrAddRow(table, words[0], words[1]);
    // Only now: adding a row may have moved the weights to a larger arena.
    writeRow(n, table.weights, rowFloats * row);
  }
  return shard;
}

/** Keys per second of `pull`, over all requests in turn: the median of the rounds. */
function measure(
  requests: readonly Request[],
  options: PullParameters,
  pull: (place: number) => void,
): number {
  const rates: number[] = [];
  for (let round = 0; round <= options.rounds; round += 1) {
    const startMs = performance.now();
    let place = 0;
    let elapsedMs = 0;
    for (; elapsedMs < options.roundMs; elapsedMs = performance.now() - startMs) {
      // A clock reading a pull is little beside thousands of rows.
      pull(place % requests.length);
      place += 1;
    }
    rates.push((place * requests[0].count * 1_000) / elapsedMs);
  }
  // The first round warms up.
  return median(rates.slice(1));
}

function measureLookup(shard: ModelShard, requests: readonly Request[], options: PullParameters): number {
  const out = new Float32Array(headline.count * rowFloats);
  const touched = new Uint16Array(partitionsMax);
  return measure(requests, options, (place) => {
    const { keys, count } = requests[place];
    pullRows(shard.readable[0], keys, count, out, 0, touched);
  });
}

/** One partition holds all rows here, so that nothing but the copy is left. */
function measureGather(options: PullParameters, requests: readonly Request[]): number {
  const [table] = filledShard({ ...options, partitions: 1 }).readable[0];
  invariant(table !== null, 'the partition is open');
  const places = Uint32Array.from({ length: headline.count }, (_, i) => i);
  const found = requests.map(({ keys, count }) => {
    const rows = new Int32Array(count);
    lookupRows(table, keys, count, rows);
    return rows;
  });
  const out = new Float32Array(headline.count * rowFloats);
  let mix = 0;
  const rate = measure(requests, options, (place) => {
    const rows = found[place];
    const target = rowTarget(out, 0, rows.length, rowFloats);
    mix += touchRows(table, rows, 0, rows.length);
    copyRows(table, rows, places, 0, rows.length, target);
  });
  invariant(Number.isFinite(mix), 'weights are finite');
  return rate;
}

async function main(parameters: PullParameters): Promise<void> {
  const shard = filledShard(parameters);
  const requests = makeRequests({ ...parameters, count: headline.count });
  const gatherKeysPerSecond = measureGather(parameters, requests);
  const lookupKeysPerSecond = measureLookup(shard, requests, parameters);
  const server = await listenForPulls({
    network: createTcpNetwork(),
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
    cluster: 'bench',
    shard: 'bench-1',
    connectionsMax: 16,
    holdings: {
      models: new Map([[shard.file.name, shard]]),
      tables: new Map([[shard.layouts[0].tableId, { shard, table: 0 }]]),
      mapOf: () => null,
    },
    logger: createLogger({ service: 'bench-shard', level: 'warn' }),
    onPull: () => {},
  });
  const ready: ShardReady = { port: server.port, lookupKeysPerSecond, gatherKeysPerSecond };
  process.once('disconnect', () => process.exit());
  process.send?.(ready);
}

await main(JSON.parse(process.argv[2]) as PullParameters);
