/**
 * Pulls rows from the shards that own them. One pull is cut by shard (and by size), the parts travel at the same time, and
 * each answer's rows go straight to the caller's places. A part that fails is asked of the next owner; a shard that says
 * its map is newer hands it over. Every loop is bounded by the owners a partition has.
 */
import { partitionOf, writeInitialRow } from '@millrace/core';
import {
  type Frame,
  floatsAt,
  frameKinds,
  isMillraceError,
  MillraceError,
  type PartitionMap,
  pullFrameBytes,
  rowsFrameBytes,
  rowsFrameLayout,
  sequenceFrom,
  wordsAt,
  writeFrameHeader,
} from '@millrace/protocol';
import type { Clock, ClusterView } from '@millrace/runtime';
import { computeRoute, type Route } from './routing.ts';
import { addReadMark, type PullRequest, type ReadMarks, type RowSource } from './row-source.ts';
import { createShardConnection, keysPerFrameMax, type ShardConnection } from './shard-connection.ts';

/** First try, the other owners, and once more after a new map. */
const triesMax = 4;

export interface PullClientOptions {
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

export function createPullClient(options: PullClientOptions): PullClient {
  const { view, clock } = options;
  const links = new Map<string, Link>();
  const routes = new Map<string, Route>();
  const avoided = new Map<string, number>();
  const stopListening = view.onChange(() => routes.clear());

  const avoid = (shard: string) => {
    avoided.set(shard, clock.monotonicMs() + avoidMs);
    routes.clear();
  };

  const routeOf = (model: string): Route => {
    const known = routes.get(model);
    const nowMs = clock.monotonicMs();
    let lapsed = false;
    for (const [shard, untilMs] of avoided) {
      if (untilMs > nowMs) continue;
      avoided.delete(shard);
      lapsed = true;
    }
    if (known && !lapsed) return known;
    const map = view.mapOf(model);
    if (!map)
      throw new MillraceError('MILL_NOT_READY', `cannot pull rows of ${model}: it has no partition map yet`);
    const route = computeRoute({ map, sights: view.shards(), avoid: new Set(avoided.keys()) });
    routes.set(model, route);
    return route;
  };

  const linkTo = (shard: string): ShardConnection => {
    const lease = view.shards().find((sight) => sight.lease.shard === shard)?.lease;
    const known = links.get(shard);
    if (known && (!lease || (known.port === lease.port && known.host === lease.host)))
      return known.connection;
    if (!lease) throw new MillraceError('MILL_SHARD_UNAVAILABLE', `shard ${shard} has told no address`);
    known?.connection.close();
    const { cluster, role, requestTimeoutMs } = options;
    const address = { shard, host: lease.host, port: lease.port };
    const connection = createShardConnection({ address, cluster, role, clock, requestTimeoutMs });
    links.set(shard, { connection, port: lease.port, host: lease.host });
    return connection;
  };

  /** Asks one shard for the keys at `places`; resolves to the places that it did not answer. */
  const askShard = async (
    request: PullRequest,
    shard: string,
    epoch: number,
    places: Uint32Array,
  ): Promise<Uint32Array> => {
    const frame = new Uint8Array(pullFrameBytes(places.length));
    try {
      const connection = linkTo(shard);
      const requestId = connection.nextRequestId();
      writePull(frame, { request, places, requestId, epoch });
      await connection.request(frame, requestId, (answer) => takeRows(answer, request, places));
      return noPlaces;
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      if (error.code === 'MILL_MAP_STALE') {
        const map = error.details?.map as PartitionMap | undefined;
        if (map) view.offerMap(map);
        // Without a newer map the same question would get the same answer.
        if (!map || map.epoch <= epoch) avoid(shard);
      } else if (error.retry === 'never') throw error;
      else avoid(shard);
      return places;
    }
  };

  const pullPlaces = async (request: PullRequest, places: Uint32Array): Promise<Uint32Array> => {
    const route = routeOf(request.model);
    const { parts, absent } = cutByShard(request, route, places);
    const leftOver = await Promise.all(
      parts.map(({ shard, places: asked }) => askShard(request, route.shards[shard], route.epoch, asked)),
    );
    return joined([...leftOver.filter((left) => left.length > 0), absent]);
  };

  return {
    async pull(request) {
      if (request.count === 0) return { degraded: false };
      let left = allPlaces(request.count);
      for (let attempt = 0; attempt < triesMax && left.length > 0; attempt += 1) {
        left = await pullPlaces(request, left);
      }
      if (left.length === 0) return { degraded: false };
      if (request.onAbsent === 'fail') {
        throw new MillraceError(
          'MILL_SHARD_UNAVAILABLE',
          `no owner answered for ${left.length} of ${request.count} keys of ${request.model}`,
        );
      }
      const { keys, layout, out } = request;
      for (const place of left)
        writeInitialRow(layout, keys[2 * place], keys[2 * place + 1], out, place * layout.dim);
      return { degraded: true };
    },
    close() {
      stopListening();
      for (const { connection } of links.values()) connection.close();
      links.clear();
    },
  };
}

/** A failed owner is passed over this long: short, since a restarted shard is back within a second. */
const avoidMs = 500;
const noPlaces = new Uint32Array(0);

interface Part {
  /** Place in route.shards. */
  readonly shard: number;
  readonly places: Uint32Array;
}

function cutByShard(
  request: PullRequest,
  route: Route,
  places: Uint32Array,
): { parts: Part[]; absent: Uint32Array } {
  const { keys } = request;
  const partitions = route.choice.length;
  const shards = route.shards.length;
  const shardOf = new Int16Array(places.length);
  const counts = new Uint32Array(shards + 1);
  for (let i = 0; i < places.length; i += 1) {
    const place = places[i];
    const shard = route.choice[partitionOf(keys[2 * place], keys[2 * place + 1], partitions)];
    shardOf[i] = shard;
    counts[shard < 0 ? shards : shard] += 1;
  }
  const lists = Array.from(counts, (count) => new Uint32Array(count));
  counts.fill(0);
  for (let i = 0; i < places.length; i += 1) {
    const shard = shardOf[i] < 0 ? shards : shardOf[i];
    lists[shard][counts[shard]++] = places[i];
  }
  const perFrame = Math.min(keysPerFrameMax, framefulOf(request.layout.dim));
  const parts: Part[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    for (let from = 0; from < lists[shard].length; from += perFrame) {
      parts.push({ shard, places: lists[shard].subarray(from, from + perFrame) });
    }
  }
  return { parts, absent: lists[shards] };
}

/** Keys whose rows fill about 4 MiB. */
function framefulOf(dim: number): number {
  return Math.max(1, Math.floor((4 * 1024 * 1024) / (4 * dim + 16)));
}

interface PullFrameInput {
  readonly request: PullRequest;
  readonly places: Uint32Array;
  readonly requestId: number;
  readonly epoch: number;
}

function writePull(frame: Uint8Array, { request, places, requestId, epoch }: PullFrameInput): void {
  const view = new DataView(frame.buffer);
  writeFrameHeader(view, 0, { bytes: frame.length, kind: frameKinds.pull, requestId, epoch });
  const words = wordsAt(frame, 16, 2 + 2 * places.length);
  words[0] = request.layout.tableId;
  words[1] = places.length;
  const { keys } = request;
  for (let i = 0; i < places.length; i += 1) {
    words[2 + 2 * i] = keys[2 * places[i]];
    words[3 + 2 * i] = keys[2 * places[i] + 1];
  }
}

/** Copies the rows of an answer to their places and notes at which sequences they were read. */
function takeRows(answer: Frame, request: PullRequest, places: Uint32Array): void {
  const { bytes } = answer;
  const { dim } = request.layout;
  const head =
    bytes.length >= rowsFrameLayout.rowsAt ? wordsAt(bytes, rowsFrameLayout.countAt, 3) : [0, 0, 0];
  const [count, foundDim, partitions] = head;
  if (foundDim !== dim) {
    throw new MillraceError(
      'MILL_DIM_MISMATCH',
      `rows of ${request.model}/${request.layout.name} must have ${dim} floats, got ${foundDim}`,
    );
  }
  const kindIsRows = answer.header.kind === frameKinds.rows;
  if (!kindIsRows || count !== places.length || bytes.length !== rowsFrameBytes({ count, dim, partitions })) {
    throw new MillraceError(
      'MILL_FRAME_INVALID',
      `cannot read rows: wanted ${places.length}, found ${count} in ${bytes.length} bytes`,
    );
  }
  const rows = floatsAt(bytes, rowsFrameLayout.rowsAt, count * dim);
  copyRows(rows, places, dim, request.out);
  addMarks(
    request.marks,
    wordsAt(bytes, rowsFrameLayout.rowsAt + 4 * count * dim, 4 * partitions),
    partitions,
  );
}

function copyRows(rows: Float32Array, places: Uint32Array, dim: number, out: Float32Array): void {
  const count = places.length;
  // Places ascend, so when first and last fit their own index the rows are in the caller's order already.
  if (count > 0 && places[0] + count - 1 === places[count - 1]) {
    out.set(rows, places[0] * dim);
    return;
  }
  for (let i = 0; i < count; i += 1) {
    const to = places[i] * dim;
    const from = i * dim;
    for (let d = 0; d < dim; d += 1) out[to + d] = rows[from + d];
  }
}

function addMarks(marks: ReadMarks, words: Uint32Array, count: number): void {
  for (let i = 0; i < count; i += 1) {
    addReadMark(marks, words[4 * i], sequenceFrom(words[4 * i + 2], words[4 * i + 3]));
  }
}

function allPlaces(count: number): Uint32Array {
  const places = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) places[i] = i;
  return places;
}

function joined(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0];
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all.sort();
}
