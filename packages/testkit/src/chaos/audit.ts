/**
 * What a chaos run has left in the cluster, against what its load was told: each example is counted by its own row, read from
 * the shards as a score would read it, and each block by its place in the chain of its partition.
 */
import { createPullClient, createReadMarks } from '@millrace/client';
import { tableLayouts } from '@millrace/core';
import type { Event, ModelFile } from '@millrace/protocol';
import { type Bus, createLogger, createTcpNetwork, systemClock, watchCluster } from '@millrace/runtime';
import { countFrom, countingKeys } from '../counting-model.ts';
import { type Ledger, ownItem, requestIdOf } from './chaos-load.ts';

export interface Audit {
  /** Examples of requests that were answered and whose impression the event log holds. */
  readonly examples: number;
  /** Answered requests whose impression the event log does not hold: the inference node was killed before it was stored. */
  readonly lostImpressions: number;
  /** Examples that no row has counted, and those that a row has counted more than once. */
  readonly lostExamples: number;
  readonly doubleExamples: number;
  /** Clicks that were learned once, as clicks; acknowledged ones that were not; those that were learned twice. */
  readonly learnedClicks: number;
  readonly lostClicks: number;
  readonly doubleClicks: number;
  /** Of the lost ones, those whose impression was lost. */
  readonly clicksWithoutImpression: number;
  /** Numbers of the requests that were lost or counted twice, a few of them. */
  readonly suspects: readonly number[];
}

export interface Stored {
  readonly impressions: ReadonlySet<string>;
  /** Request ids of stored outcomes. */
  readonly outcomes: ReadonlySet<string>;
}

const pullKeysMax = 2_000;
const suspectsMax = 20;

export function storedIn(events: readonly Event[]): Stored {
  const idsOf = (type: 'impression' | 'outcome') =>
    new Set(events.flatMap((event) => (event.type === type ? [event.requestId] : [])));
  return { impressions: idsOf('impression'), outcomes: idsOf('outcome') };
}

/** @param counts  shown / 2 − clicked of each request's own item. */
export function auditOf(ledger: Ledger, stored: Stored, counts: ReadonlyMap<number, number>): Audit {
  const audit = {
    examples: 0,
    lostImpressions: 0,
    lostExamples: 0,
    doubleExamples: 0,
    learnedClicks: 0,
    lostClicks: 0,
    doubleClicks: 0,
    clicksWithoutImpression: 0,
    suspects: [] as number[],
  };
  for (const [request, count] of counts) {
    // Counted once: half a showing, less the click. A click alone or more than one of either is beyond that.
    const isOnce = count === 0.5 || count === -0.5;
    const isStored = stored.impressions.has(requestIdOf(request));
    if (isStored) audit.examples += 1;
    else if (ledger.scored.has(request)) audit.lostImpressions += 1;
    if (isStored && count === 0) audit.lostExamples += 1;
    if (count !== 0 && !isOnce) audit.doubleExamples += 1;
    if (count === -0.5) audit.learnedClicks += 1;
    if (count < -0.5) audit.doubleClicks += 1;
    const isLost = ledger.acknowledged.has(request) && count >= 0;
    if (isLost) audit.lostClicks += 1;
    if (isLost && !isStored) audit.clicksWithoutImpression += 1;
    const isSuspect = (isStored && count === 0) || (count !== 0 && !isOnce) || isLost;
    if (isSuspect && audit.suspects.length < suspectsMax) audit.suspects.push(request);
  }
  return audit;
}

/** What the shards have counted for the own items of requests, read like the rows of a score. */
export async function countsOfRequests(
  bus: Bus,
  file: ModelFile,
  requests: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const view = await watchCluster(bus, systemClock, createLogger({ service: 'chaos', level: 'silent' }));
  const client = createPullClient({
    view,
    clock: systemClock,
    network: createTcpNetwork(),
    cluster: 'millrace',
    role: 'chaos',
    requestTimeoutMs: 5_000,
  });
  const counts = new Map<number, number>();
  try {
    const [layout] = tableLayouts(file);
    for (let from = 0; from < requests.length; from += pullKeysMax) {
      const some = requests.slice(from, from + pullKeysMax);
      const out = new Float32Array(some.length * layout.dim);
      await client.pull({
        model: file.name,
        layout,
        keys: countingKeys(file, some.map(ownItem)),
        count: some.length,
        out,
        marks: createReadMarks(),
        onAbsent: 'fail',
      });
      some.forEach((request, i) => {
        counts.set(request, countFrom(out[i * layout.dim]));
      });
    }
  } finally {
    client.close();
    await view.close();
  }
  return counts;
}
