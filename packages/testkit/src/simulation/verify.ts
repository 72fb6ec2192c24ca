/** What must hold once a simulation has come to rest. */
import { createHash } from 'node:crypto';
import { denseHash, partitionHash } from '@millrace/core';
import { countsOf } from '../counting-model.ts';
import { foldDense, foldGradients, type LogFold } from '../read-log.ts';
import type { Disorder } from './disorder.ts';
import type { SimulatedCluster, SimulatedUpdater } from './simulated-cluster.ts';
import type { Ledger } from './traffic.ts';

export interface VerifyInput {
  readonly cluster: SimulatedCluster;
  readonly ledger: Ledger;
  readonly disorder: Disorder;
  readonly last: SimulatedUpdater;
}

export interface Verdict {
  readonly fold: LogFold;
  readonly stateHash: string;
  readonly violations: readonly string[];
}

export async function verify({ cluster, ledger, disorder, last }: VerifyInput): Promise<Verdict> {
  const { bus, file, shards, core, defects, updaters } = cluster;
  const violations = [...defects];
  const expectEqual = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) violations.push(`${what}: wanted ${wanted}, found ${found}`);
  };

  const { learned, positives, openImpressions } = last.updater.counters;
  expectEqual('examples learned', learned, ledger.examples);
  expectEqual('positives learned', positives, ledger.clicks);
  expectEqual('impressions that still wait', openImpressions, 0);

  const fold = await foldGradients(bus, file);
  expectEqual('holes in the log', fold.holes, 0);
  expectEqual('blocks that no shard may apply', fold.rejected, disorder.badBlocks);
  fold.batches.forEach((batch, i) => {
    if (batch !== i + 1) violations.push(`batch ${i + 1} has no block, the next one is ${batch}`);
  });
  for (const [place, { shard }] of shards.entries()) {
    shard.states.forEach((state, partition) => {
      const hash = state === null ? 'nothing' : partitionHash(state);
      expectEqual(`shard ${place}, partition ${partition}`, hash, fold.hashes[partition]);
    });
  }
  if (file.tables[0].name === 'counts') {
    for (const [item, { shown, clicked }] of ledger.items)
      expectEqual(`count of ${item}`, countsOf(file, fold.states, item).item, shown / 2 - clicked);
  }

  const dense = await foldDense(bus, file);
  if (dense.weights.length > 0) {
    expectEqual('dense weights of the updater', denseHash(last.updater.dense), denseHash(dense));
    const { version } = await core.score({ items: [{}], log: false });
    expectEqual('dense version of the node', version, dense.sequence);
  }

  for (const [place, { failure }] of updaters.entries()) {
    if (failure !== '' && failure !== 'MILL_FENCED') violations.push(`updater ${place} failed: ${failure}`);
  }
  const fenced = updaters.filter(({ failure }) => failure !== '').length;
  if (fenced > disorder.takeovers)
    violations.push(`${fenced} updaters fenced by ${disorder.takeovers} takeovers`);
  for (const { requestId } of core.rejectedOutcomes(file.name)) {
    if (requestId !== '' && !ledger.rejectable.has(requestId))
      violations.push(`an outcome of ${requestId} was rejected`);
  }
  const hash = createHash('sha256');
  for (const partition of fold.hashes) hash.update(partition);
  const stateHash = hash.update(denseHash(dense)).digest('hex');
  return { fold, stateHash, violations };
}
