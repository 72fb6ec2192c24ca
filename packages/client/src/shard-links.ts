/** Connections to shards by name, what is known of their speed, and which of them are passed over for now. */
import { type ErrorCode, leaseLapseMs, MillraceError } from '@millrace/protocol';
import type { Clock, ClusterView } from '@millrace/runtime';
import { createLatencyTracker, type LatencyTracker } from './latency-tracker.ts';
import type { ShardAddress, ShardConnection } from './shard-connection.ts';

export interface ShardLink {
  readonly shard: string;
  readonly connection: ShardConnection;
  readonly latency: LatencyTracker;
  /** Races lost to other shards since it last answered in time. */
  losses: number;
  /** How long it is passed over when it loses too many. */
  avoidNextMs: number;
}

export interface ShardLinks {
  /** @throws MILL_CLOSED, MILL_SHARD_UNAVAILABLE when the shard has told no address */
  linkTo(shard: string): ShardLink;
  /** A request to the shard failed: it is passed over for a while. */
  noteFailure(shard: string, code: ErrorCode): void;
  /** The shard answered in time. */
  noteAnswer(link: ShardLink): void;
  /** Another shard answered first, and this one had not by then. */
  noteLoss(link: ShardLink): void;
  /** Lets those be asked again whose time is over. */
  expireAvoided(): void;
  /** Shards to pass over, the one that failed last at the end. */
  avoided(): ReadonlySet<string>;
  close(): void;
}

/** A failed holder is passed over this long: short, since a restarted shard is back within a second. */
const avoidMs = 500;
/** One that does not answer at all costs a whole time limit a try; it is asked again once its lease may have lapsed. */
const avoidSilentMs = leaseLapseMs;
/** So many lost races with no answer between them: not slow but silent, and every request to it would be asked twice. */
const lossesMax = 3;
/** It may just have paused: passed over this long at first, twice as long each time that it is still silent. */
const avoidLosingMs = 50;

interface Known extends ShardLink {
  readonly address: ShardAddress;
}

export interface ShardLinksOptions {
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly connect: (address: ShardAddress) => ShardConnection;
  /** The set of shards that are passed over has changed. */
  readonly onChange: () => void;
}

export function createShardLinks({ view, clock, connect, onChange }: ShardLinksOptions): ShardLinks {
  const links = new Map<string, Known>();
  const avoidedUntilMs = new Map<string, number>();
  let closed = false;

  const avoid = (shard: string, forMs: number) => {
    avoidedUntilMs.delete(shard);
    avoidedUntilMs.set(shard, clock.monotonicMs() + forMs);
    onChange();
  };

  return {
    linkTo(shard) {
      if (closed) throw new MillraceError('MILL_CLOSED', 'this client is closed');
      const lease = view.shards().find((sight) => sight.lease.shard === shard)?.lease;
      const known = links.get(shard);
      if (known && (!lease || (known.address.port === lease.port && known.address.host === lease.host)))
        return known;
      if (!lease) throw new MillraceError('MILL_SHARD_UNAVAILABLE', `shard ${shard} has told no address`);
      known?.connection.close();
      const address = { shard, host: lease.host, port: lease.port };
      const connection = connect(address);
      const latency = createLatencyTracker();
      const link: Known = { shard, address, connection, latency, losses: 0, avoidNextMs: avoidLosingMs };
      links.set(shard, link);
      return link;
    },
    noteFailure(shard, code) {
      avoid(shard, code === 'MILL_TIMEOUT' ? avoidSilentMs : avoidMs);
    },
    noteAnswer(link) {
      link.losses = 0;
      link.avoidNextMs = avoidLosingMs;
    },
    noteLoss(link) {
      // What was under way when it fell silent is lost together, and counts once.
      if (avoidedUntilMs.has(link.shard)) return;
      link.losses += 1;
      if (link.losses < lossesMax) return;
      link.losses = 0;
      avoid(link.shard, link.avoidNextMs);
      link.avoidNextMs = Math.min(avoidSilentMs, 2 * link.avoidNextMs);
    },
    expireAvoided() {
      if (avoidedUntilMs.size === 0) return;
      const nowMs = clock.monotonicMs();
      for (const [shard, untilMs] of avoidedUntilMs) {
        if (untilMs > nowMs) continue;
        avoidedUntilMs.delete(shard);
        onChange();
      }
    },
    avoided: () => new Set(avoidedUntilMs.keys()),
    close() {
      closed = true;
      for (const { connection } of links.values()) connection.close();
      links.clear();
    },
  };
}
