/** What `millrace shards` shows: a pure function from a status to lines of text. */
import type { ClusterStatus } from '@millrace/sdk';
import { colours } from './colours.ts';
import { type Cell, stalenessText, textTable } from './text-table.ts';

type Shard = ClusterStatus['shards'][number];
type Model = ClusterStatus['models'][number];
type Move = Model['moves'][number];

/** What `millrace shards --json` prints. */
export interface ShardsReport {
  readonly cluster: string;
  readonly shards: readonly Shard[];
  readonly models: readonly Pick<Model, 'name' | 'epoch' | 'partitions' | 'replicas' | 'moving' | 'moves'>[];
}

export function shardsReport({ cluster, shards, models }: ClusterStatus): ShardsReport {
  return {
    cluster,
    shards,
    models: models.map(({ name, epoch, partitions, replicas, moving, moves }) => ({
      name,
      epoch,
      partitions,
      replicas,
      moving,
      moves,
    })),
  };
}

export function shardsView(url: string, { cluster, shards, models }: ShardsReport): string {
  return [
    `${colours.bold(cluster)} at ${url}`,
    '',
    ...textTable([
      [
        'shard',
        'address',
        'zone',
        'state',
        'owned',
        'ready',
        'rows',
        'MiB',
        'sequence',
        'behind',
        'staleness',
      ],
      ...[...shards].sort((a, b) => (a.id < b.id ? -1 : 1)).map(shardRow),
    ]),
    ...models.flatMap((model) => ['', ...modelLines(model)]),
  ].join('\n');
}

/** One line, for places that are no terminal. */
export function shardsLine({ shards, models }: ShardsReport): string {
  const live = shards.filter((shard) => shard.live);
  const moving = models.reduce((sum, model) => sum + model.moving, 0);
  const ready = live.filter((shard) => shard.ready).length;
  return `${live.length} shards, ${ready} ready, ${moving} partitions moving`;
}

function shardRow(shard: Shard): readonly Cell[] {
  return [
    shard.id,
    shard.address,
    shard.zone || '–',
    stateOf(shard),
    String(shard.owned),
    String(shard.readyPartitions),
    String(shard.rows),
    (shard.bytes / 1024 / 1024).toFixed(1),
    String(shard.sequence),
    String(shard.behind),
    stalenessText(shard.stalenessMs),
  ];
}

function stateOf(shard: Shard): Cell {
  if (!shard.live) return { text: 'gone', paint: colours.red };
  if (shard.draining) return { text: 'draining', paint: colours.yellow };
  return shard.ready ? 'live' : { text: 'catching up', paint: colours.yellow };
}

function modelLines({
  name,
  epoch,
  partitions,
  replicas,
  moving,
  moves,
}: ShardsReport['models'][number]): readonly string[] {
  const heading = `${colours.bold(name)}  epoch ${epoch}, ${partitions} partitions, ${replicas} replicas, ${moving === 0 ? 'nothing moves' : `${moving} moving`}`;
  if (moving === 0) return [heading];
  const more = moving - moves.length;
  return [
    heading,
    ...textTable([['partition', 'from', 'to', ''], ...moves.map(moveRow)]),
    ...(more > 0 ? [colours.dim(`and ${more} more`)] : []),
  ];
}

/** Those that are ready are where it goes to only if nobody is on the way: the others stayed. */
function moveRow({ partition, former, owners }: Move): readonly Cell[] {
  const coming = owners.filter(({ ready }) => !ready);
  const to = coming.length > 0 ? coming : owners;
  return [
    String(partition),
    former.join(', ') || '–',
    to.map(({ shard }) => shard).join(', '),
    coming.length > 0
      ? { text: 'not ready', paint: colours.yellow }
      : { text: 'ready', paint: colours.green },
  ];
}
