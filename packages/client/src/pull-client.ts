/**
 * Pulls rows from the shards that hold them. One pull is cut by shard (and by size), the parts travel at the same time, and
 * each answer's rows go straight to the caller's places. A part that fails is asked of the next holder; a shard that says
 * its map is newer hands it over. Every loop is bounded by the holders a partition has.
 */
import { writeInitialRow } from '@millrace/core';
import { invariant, MillraceError, type PartitionMap, stalenessMsMaxDefault } from '@millrace/protocol';
import type { Clock, ClusterView, Network } from '@millrace/runtime';
import { createPartAsker, type HedgeEvent, type LinkedRoute, linkedRoute, type Try } from './part-asker.ts';
import { cutByShard, joinPlaces, type Places, placeAt } from './pull-parts.ts';
import { createReadFloor, olderPausesMs, type ReadFloor } from './read-floor.ts';
import { createRefusals } from './refusals.ts';
import { computeRoute, type Route } from './routing.ts';
import type { PullRequest, RowSource } from './row-source.ts';
import { createShardConnection, refusalCodes } from './shard-connection.ts';
import { createShardLinks } from './shard-links.ts';

/**
 * First try, the other holders, and once more after a new map. Rows that are older than what this client has read are left
 * for the last of them: until then whoever is behind has a few milliseconds to catch up.
 */
const triesMax = 4;
invariant(olderPausesMs.length >= triesMax - 1, 'there is a pause after every try but the last');

/** Which holders are asked, and when a second one is. */
export interface PullPreferences {
  /** Where we are; holders in the same zone come first. '' (default): nowhere in particular. */
  readonly zone?: string;
  /** Holders whose rows are older are passed over while fresher ones answer, ms; 0: none is. Default 10 s. */
  readonly stalenessMsMax?: number;
  /** True (default): what takes longer than usual is asked of a second holder. */
  readonly hedge?: boolean;
}

export interface PullClientOptions extends PullPreferences {
  readonly network: Network;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly cluster: string;
  readonly role: string;
  /** Shown to shards; null: none. Default null. */
  readonly token?: string | null;
  readonly requestTimeoutMs: number;
  /** A shard takes no connection of this client: a token, a certificate or an address is wrong. Told once a try. */
  readonly onRefused?: (error: MillraceError) => void;
  /** What this client has read at; default: its own. Shared with a cache, whose reads are this client's too. */
  readonly floor?: ReadFloor;
  /** A second holder was asked, or answered first. */
  readonly onHedge?: (event: HedgeEvent) => void;
}

export interface PullClient extends RowSource {
  close(): void;
}

export function createPullClient(options: PullClientOptions): PullClient {
  const { network, view, clock, cluster, role, token = null, requestTimeoutMs } = options;
  const { zone = '', stalenessMsMax = stalenessMsMaxDefault, hedge = true, onHedge = () => {} } = options;
  const routes = new Map<string, LinkedRoute>();
  const forgetRoutes = () => routes.clear();
  const stopListening = view.onChange(forgetRoutes);
  const links = createShardLinks({
    view,
    clock,
    connect: (address) =>
      createShardConnection({ network, address, cluster, role, token, clock, requestTimeoutMs }),
    onChange: forgetRoutes,
  });

  const refusals = createRefusals(options.onRefused ?? (() => {}));
  const onFailed = (error: MillraceError, shard: string, route: Route) => {
    if (error.code === 'MILL_MAP_STALE') {
      const map = error.details?.map as PartitionMap | undefined;
      if (map) view.offerMap(map);
      // Without a newer map the same question would get the same answer.
      if (!map || map.epoch <= route.epoch) links.noteFailure(shard, error.code);
    } else if (refusalCodes.has(error.code)) {
      // Not an answer to the request: another holder may take this client, and this one may once a setting is mended.
      refusals.note(shard, error);
      links.noteFailure(shard, error.code);
    } else if (error.retry === 'never' || error.code === 'MILL_CLOSED') throw error;
    else links.noteFailure(shard, error.code);
  };
  const asker = createPartAsker({
    clock,
    links,
    floor: options.floor ?? createReadFloor(),
    requestTimeoutMs,
    hedge,
    onHedge,
    onFailed,
  });

  const routeTo = (model: string): LinkedRoute => {
    links.expireAvoided();
    const known = routes.get(model);
    if (known) return known;
    const map = view.mapOf(model);
    if (!map)
      throw new MillraceError('MILL_NOT_READY', `cannot pull rows of ${model}: it has no partition map yet`);
    const avoid = links.avoided();
    const fresh = linkedRoute(computeRoute({ map, sights: view.shards(), avoid, zone, stalenessMsMax }));
    routes.set(model, fresh);
    return fresh;
  };

  const pullPlaces = async (request: PullRequest, places: Places, attempt: Try): Promise<Places> => {
    const route = routeTo(request.model);
    const { parts, absent } = cutByShard(request, route, route.only, places);
    if (parts.length === 1 && absent.count === 0) return asker.ask(request, route, parts[0], attempt);
    const asked = parts.map((part) => asker.ask(request, route, part, attempt));
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
      let left: Places = request.places ?? { list: null, from: 0, count: request.count };
      if (left.count === 0) return { degraded: false };
      for (let tried = 0; tried < triesMax && left.count > 0; tried += 1) {
        const attempt: Try = { takesOlder: tried === triesMax - 1, sawOlder: false };
        left = await pullPlaces(request, left, attempt);
        if (attempt.sawOlder)
          await new Promise<void>((resolve) => clock.setTimer(olderPausesMs[tried], resolve));
      }
      if (left.count === 0) return { degraded: false };
      if (request.onAbsent === 'fail') {
        throw new MillraceError(
          'MILL_SHARD_UNAVAILABLE',
          `no owner answered for ${left.count} of ${request.places?.count ?? request.count} keys of ${request.model}${refusals.textOf(links.avoided())}`,
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
      stopListening();
      asker.close();
      links.close();
    },
  };
}
