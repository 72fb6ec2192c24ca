/**
 * Pulls rows from the shards that own them. One pull is cut by shard (and by size), the parts travel at the same time, and
 * each answer's rows go straight to the caller's places. A part that fails is asked of the next owner; a shard that says
 * its map is newer hands it over. Every loop is bounded by the owners a partition has.
 */
import { writeInitialRow } from '@millrace/core';
import {
  type ErrorCode,
  isMillraceError,
  leaseLapseMs,
  MillraceError,
  type PartitionMap,
  pullFrameBytes,
} from '@millrace/protocol';
import type { Clock, ClusterView, Network } from '@millrace/runtime';
import { createFramePool } from './frame-pool.ts';
import { takeRows, writePull } from './pull-exchange.ts';
import { cutByShard, joinPlaces, noPlaces, onlyShardOf, type Places, placeAt } from './pull-parts.ts';
import { computeRoute, type Route } from './routing.ts';
import type { PullRequest, RowSource } from './row-source.ts';
import { createShardConnection, type ShardConnection } from './shard-connection.ts';

/** First try, the other owners, and once more after a new map. */
const triesMax = 4;

export interface PullClientOptions {
  readonly network: Network;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly cluster: string;
  readonly role: string;
  readonly requestTimeoutMs: number;
}

export interface PullClient extends RowSource {
  close(): void;
}

interface Link {
  readonly connection: ShardConnection;
  readonly port: number;
  readonly host: string;
}

/** A route with what is derived from it; both last until the cluster changes. */
interface KnownRoute extends Route {
  readonly only: number;
  /** By place in shards; filled when first asked. */
  readonly connections: (ShardConnection | undefined)[];
}

export function createPullClient(options: PullClientOptions): PullClient {
  const { view, clock } = options;
  const links = new Map<string, Link>();
  const routes = new Map<string, KnownRoute>();
  const frames = createFramePool();
  const avoided = new Map<string, number>();
  let closed = false;
  const stopListening = view.onChange(() => routes.clear());

  const avoid = (shard: string, code: ErrorCode) => {
    avoided.set(shard, clock.monotonicMs() + (code === 'MILL_TIMEOUT' ? avoidSilentMs : avoidMs));
    routes.clear();
  };

  const routeOf = (model: string): KnownRoute => {
    const nowMs = clock.monotonicMs();
    for (const [shard, untilMs] of avoided) {
      if (untilMs > nowMs) continue;
      avoided.delete(shard);
      routes.clear();
    }
    const known = routes.get(model);
    if (known) return known;
    const map = view.mapOf(model);
    if (!map)
      throw new MillraceError('MILL_NOT_READY', `cannot pull rows of ${model}: it has no partition map yet`);
    const route = computeRoute({ map, sights: view.shards(), avoid: new Set(avoided.keys()) });
    const fresh = { ...route, only: onlyShardOf(route), connections: [] };
    routes.set(model, fresh);
    return fresh;
  };

  const linkTo = (shard: string): ShardConnection => {
    if (closed) throw new MillraceError('MILL_CLOSED', 'this client is closed');
    const lease = view.shards().find((sight) => sight.lease.shard === shard)?.lease;
    const known = links.get(shard);
    if (known && (!lease || (known.port === lease.port && known.host === lease.host)))
      return known.connection;
    if (!lease) throw new MillraceError('MILL_SHARD_UNAVAILABLE', `shard ${shard} has told no address`);
    known?.connection.close();
    const { network, cluster, role, requestTimeoutMs } = options;
    const address = { shard, host: lease.host, port: lease.port };
    const connection = createShardConnection({ network, address, cluster, role, clock, requestTimeoutMs });
    links.set(shard, { connection, port: lease.port, host: lease.host });
    return connection;
  };

  /** Asks one shard for the keys at `places`; resolves to the places that it did not answer. */
  const askShard = async (
    request: PullRequest,
    route: KnownRoute,
    place: number,
    places: Places,
  ): Promise<Places> => {
    const shard = route.shards[place];
    try {
      route.connections[place] ??= linkTo(shard);
      const connection = route.connections[place];
      const requestId = connection.nextRequestId();
      const frame = frames.take(pullFrameBytes(places.count));
      writePull(frame, { request, places, requestId, epoch: route.epoch });
      await connection.request(frame, requestId, (answer) => takeRows(answer, request, places));
      // Only now: a frame whose request failed may still wait in a socket.
      frames.give(frame);
      return noPlaces;
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      if (error.code === 'MILL_MAP_STALE') {
        const map = error.details?.map as PartitionMap | undefined;
        if (map) view.offerMap(map);
        // Without a newer map the same question would get the same answer.
        if (!map || map.epoch <= route.epoch) avoid(shard, error.code);
      } else if (error.retry === 'never' || error.code === 'MILL_CLOSED') throw error;
      else avoid(shard, error.code);
      return places;
    }
  };

  const pullPlaces = async (request: PullRequest, places: Places): Promise<Places> => {
    const route = routeOf(request.model);
    const { parts, absent } = cutByShard(request, route, route.only, places);
    if (parts.length === 1 && absent.count === 0) {
      return askShard(request, route, parts[0].shard, parts[0].places);
    }
    const asked = parts.map((part) => askShard(request, route, part.shard, part.places));
    // All parts end before the pull does, failed or not: each writes into the caller's memory.
    const left: Places[] = [absent];
    for (const end of await Promise.allSettled(asked)) {
      if (end.status === 'rejected') throw end.reason;
      left.push(end.value);
    }
    return joinPlaces(left);
  };

  return {
    async pull(request) {
      if (request.count === 0) return { degraded: false };
      let left: Places = { list: null, from: 0, count: request.count };
      for (let attempt = 0; attempt < triesMax && left.count > 0; attempt += 1) {
        left = await pullPlaces(request, left);
      }
      if (left.count === 0) return { degraded: false };
      if (request.onAbsent === 'fail') {
        throw new MillraceError(
          'MILL_SHARD_UNAVAILABLE',
          `no owner answered for ${left.count} of ${request.count} keys of ${request.model}`,
        );
      }
      const { keys, layout, out } = request;
      for (let i = 0; i < left.count; i += 1) {
        const place = placeAt(left, i);
        writeInitialRow(layout, keys[2 * place], keys[2 * place + 1], out, place * layout.dim);
      }
      return { degraded: true };
    },
    close() {
      closed = true;
      stopListening();
      for (const { connection } of links.values()) connection.close();
      links.clear();
    },
  };
}

/** A failed owner is passed over this long: short, since a restarted shard is back within a second. */
const avoidMs = 500;
/** One that does not answer at all costs a whole time limit a try; it is asked again once its lease may have lapsed. */
const avoidSilentMs = leaseLapseMs;
