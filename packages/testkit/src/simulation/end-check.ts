/** What must hold once no more harm is done: everything comes back and catches up within a bounded time, and nothing is missing. */

import { createRowTable, findOrAddRow, type PartitionState } from '@millrace/core';
import { decodePartitionMap, isMillraceError } from '@millrace/protocol';
import { countsOf } from '../counting-model.ts';
import type { Audit } from './audit.ts';
import type { Host, SimulatedCluster } from './simulated-cluster.ts';
import type { Visitors } from './visitors.ts';

/** Leases lapse, supervisors wait, joins close, drains end: all of it within this. */
const settleMsMax = 90_000;
const lookEveryMs = 500;
const brokenMs = 8_000;

/** Lets the cluster run with two shards or more, one node or more, and one updater, until it is at rest. */
export async function settle(cluster: SimulatedCluster, audit: Audit): Promise<void> {
  const { world, hosts } = cluster;
  const wanted = (kind: Host['kind']) => hosts.filter((host) => host.kind === kind && host.wanted);
  const first = (kind: Host['kind'], name: string) => cluster.start(cluster.host(name, kind));
  if (wanted('shard').length === 0) first('shard', 'shard-a');
  if (wanted('node').length === 0) first('node', 'node-a');
  for (const updater of wanted('updater').slice(1)) cluster.stop(updater);
  if (wanted('updater').length === 0) first('updater', 'updater-a');

  const untilMs = world.nowMs + settleMsMax;
  let lacks: readonly string[] = ['not looked at'];
  // A broken run is looked at once more all around, and not waited for.
  const isBroken = world.violations.length > 0;
  while (world.nowMs < untilMs && lacks.length > 0) {
    await world.runUntil(world.nowMs + (isBroken ? brokenMs : lookEveryMs));
    lacks = await lacking(cluster, audit);
    if (world.violations.length > 0) {
      await lackingShards(cluster, audit);
      return;
    }
  }
  for (const lack of lacks.slice(0, 5))
    world.violate('liveness', `${settleMsMax} ms after the last harm: ${lack}`);
}

async function lacking(cluster: SimulatedCluster, audit: Audit): Promise<readonly string[]> {
  const { hosts, truth, nats, file, world } = cluster;
  const lacks: string[] = [];
  for (const host of hosts) {
    if (host.wanted && !isReady(host)) lacks.push(`${host.name} is not ready`);
    if (!host.wanted && host.process !== null) lacks.push(`${host.name} has not left`);
  }
  const entry = nats.bucket('maps').values.get(file.name)?.value;
  const map = entry ? decodePartitionMap(entry) : null;
  if (map === null) lacks.push('there is no map');
  else if (map.former?.some((places) => places.length > 0)) lacks.push('partitions are still moving');
  const joined = truth.joined();
  const counters = hosts
    .find(({ kind, wanted }) => kind === 'updater' && wanted)
    ?.updater?.counters()
    .get(file.name);
  if (joined.open > 0) lacks.push(`${joined.open} joins are open`);
  if (counters === undefined) lacks.push('no updater counts');
  else {
    const { learned, positives, openImpressions } = counters;
    if (learned > joined.examples)
      world.violate('I3', `${learned} examples are learned, the log holds ${joined.examples}`);
    if (positives > joined.clicks)
      world.violate('I3', `${positives} clicks are learned, the log holds ${joined.clicks}`);
    if (learned < joined.examples || positives < joined.clicks) {
      lacks.push(
        `${learned} of ${joined.examples} examples and ${positives} of ${joined.clicks} clicks are learned`,
      );
    }
    if (openImpressions > 0) lacks.push(`${openImpressions} impressions wait`);
  }
  if (lacks.length > 0) return lacks;
  return [...(await lackingShards(cluster, audit)), ...(await lackingNodes(cluster))];
}

function isReady({ kind, shard, node, updater }: Host): boolean {
  if (kind === 'shard') return shard?.ready ?? false;
  if (kind === 'node') return node?.core.ready ?? false;
  return updater !== null;
}

/** Every owner that the map names holds all of the log, ready to be read. */
async function lackingShards(
  { world, nats, truth, file, hosts }: SimulatedCluster,
  audit: Audit,
): Promise<string[]> {
  const lacks: string[] = [];
  const value = nats.bucket('maps').values.get(file.name)?.value;
  if (!value) return ['there is no map'];
  const map = decodePartitionMap(value);
  const asked = audit.askAll();
  let reports: Awaited<typeof asked> | null = null;
  asked.then(
    (found) => {
      reports = found;
    },
    () => undefined,
  );
  await world.runUntil(world.nowMs + 20_000, () => reports !== null);
  const found: Awaited<typeof asked> = reports ?? new Map();
  const wanted = hosts.filter((host) => host.kind === 'shard' && host.wanted);
  for (const [partition, owners] of map.owners.entries()) {
    const head = truth.partitions[partition].sequences.at(-1) ?? 0;
    if (owners.length === 0) lacks.push(`partition ${partition} has no owner`);
    for (const place of owners) {
      const name = map.shards[place];
      if (!wanted.some((host) => host.name === name))
        lacks.push(`${name} owns partition ${partition} and is gone`);
      const report = found.get(name)?.find((entry) => entry.partition === partition);
      if (report === undefined) lacks.push(`${name} does not hold partition ${partition}`);
      else if (!report.ready || report.sequence !== head)
        lacks.push(
          `${name}, partition ${partition}: at ${report.sequence} of ${head}, ready ${report.ready}`,
        );
    }
  }
  return lacks;
}

/** Every node scores with all rows at the newest dense version. */
async function lackingNodes({ world, hosts, truth }: SimulatedCluster): Promise<string[]> {
  const lacks: string[] = [];
  const head = truth.dense.sequences.at(-1) ?? 0;
  for (const { name, node, process } of hosts) {
    if (node === null || process === null) continue;
    let outcome = '';
    process.enter(() => {
      node.core.score({ items: [{ item: 'item-1' }], log: false }).then(
        ({ degraded, version }) => {
          outcome = degraded
            ? 'first values stand in'
            : version === head
              ? 'well'
              : `version ${version} of ${head}`;
        },
        (error: unknown) => {
          outcome = isMillraceError(error) ? error.code : String(error);
        },
      );
    });
    await world.runUntil(world.nowMs + 10_000, () => outcome !== '');
    if (outcome !== 'well') lacks.push(`${name}: ${outcome || 'no score within 10 s'}`);
  }
  return lacks;
}

/** I3: what was acknowledged is there, and every example counts once; then everything ends in order. */
export async function checkEnd(cluster: SimulatedCluster, visitors: Visitors): Promise<void> {
  const { world, truth, file, hosts } = cluster;
  const stored = new Set<string>();
  for (const event of truth.events) {
    if (event?.type === 'outcome') stored.add(`${event.requestId} ${event.value}`);
  }
  for (const { requestId, value } of visitors.acknowledged) {
    if (!stored.has(`${requestId} ${value}`))
      world.violate('I3', `an acknowledged outcome of ${requestId} is not in the log`);
  }
  for (const [partition, { holes }] of truth.partitions.entries()) {
    if (holes > 0) world.violate('I3', `the log of partition ${partition} lacks ${holes} blocks`);
  }
  if (file.tables[0].name === 'counts') checkCounts(cluster);

  for (const kind of ['node', 'updater', 'shard'] as const) {
    for (const host of hosts) if (host.kind === kind) cluster.stop(host);
    const isOver = () => hosts.every((host) => host.kind !== kind || host.process === null);
    await world.runUntil(world.nowMs + 40_000, isOver);
    if (!isOver()) world.violate('liveness', `a ${kind} did not end within 40 s`);
  }
}

/** The rows of a counting model tell how often each item was learned. */
function checkCounts({ world, truth, file }: SimulatedCluster): void {
  const states = truth.partitions.map((plain, partition) => {
    const table = createRowTable(truth.layouts[0]);
    const last = plain.sequences.at(-1) ?? 0;
    for (const { sections } of plain.applied) {
      for (const { keys, count } of sections) {
        for (let i = 0; i < count; i += 1) {
          const weights = plain.rowAt(0, keys[2 * i], keys[2 * i + 1], last);
          const row = findOrAddRow(table, keys[2 * i], keys[2 * i + 1]);
          if (weights) table.weights[row] = weights[0];
        }
      }
    }
    return { partition, tables: [table] } as unknown as PartitionState;
  });
  for (const [item, { shown, clicked }] of truth.joined().items) {
    const counted = countsOf(file, states, item).item;
    if (counted !== shown / 2 - clicked)
      world.violate('I3', `${item} counts ${counted}, the log holds ${shown / 2 - clicked}`);
  }
}
