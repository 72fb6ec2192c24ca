/**
 * Asks a shard for one part of a pull, and others too when it takes longer than usual: a hedge. The first whole answer wins
 * and is written; whoever has not answered by then is given up, and its answer is dropped when it comes.
 *
 *   asked ──────────── p95 of the shard ──▶ asked of spare holders as well ──▶ first answer ──▶ the rest given up
 *
 * Source: J. Dean, L. A. Barroso, The Tail at Scale, CACM 56 (2013), hedged requests.
 */
import { type Frame, isMillraceError, type MillraceError, pullFrameBytes } from '@millrace/protocol';
import type { Clock, Timer } from '@millrace/runtime';
import { createFramePool } from './frame-pool.ts';
import { createHedgeBudget } from './hedge-budget.ts';
import { isFresh, takeRows, writePull } from './pull-exchange.ts';
import { cutByShard, noPlaces, onlyShardOf, type Part, type Places } from './pull-parts.ts';
import type { ReadFloor } from './read-floor.ts';
import type { Choice, Route } from './routing.ts';
import type { PullRequest } from './row-source.ts';
import type { ShardLink, ShardLinks } from './shard-links.ts';

/** A route with what is derived from it; both last until the cluster changes. */
export interface LinkedRoute extends Route {
  /** onlyShardOf this route. */
  readonly only: number;
  /** By place in shards; filled when first asked. */
  readonly links: (ShardLink | undefined)[];
  /** True when some partition has another holder. */
  readonly hasSpares: boolean;
  /** The route that hedges take. */
  readonly spares: Choice & { readonly only: number };
}

export function linkedRoute(route: Route): LinkedRoute {
  const spares = { shards: route.shards, choice: route.spare };
  return {
    ...route,
    only: onlyShardOf(route),
    links: [],
    hasSpares: route.spare.some((place) => place >= 0),
    spares: { ...spares, only: onlyShardOf(spares) },
  };
}

export type HedgeEvent = 'asked' | 'won';

export interface PartAskerOptions {
  readonly clock: Clock;
  readonly links: ShardLinks;
  readonly floor: ReadFloor;
  readonly requestTimeoutMs: number;
  readonly hedge: boolean;
  readonly onHedge: (event: HedgeEvent) => void;
  /** What a failure means for the next try. @throws it, when no other holder could do better. */
  readonly onFailed: (error: MillraceError, shard: string, route: Route) => void;
}

/** One of the tries of a pull. */
export interface Try {
  /** Whether rows are taken that are older than what this client has read before. */
  readonly takesOlder: boolean;
  /** Set when such rows were not taken. */
  sawOlder: boolean;
}

export interface PartAsker {
  /**
   * Resolves to the places that nobody answered, or with older rows only, once nothing writes to the caller's memory any
   * more.
   */
  ask(request: PullRequest, route: LinkedRoute, part: Part, attempt: Try): Promise<Places>;
  close(): void;
}

export function createPartAsker(options: PartAskerOptions): PartAsker {
  return new OwnPartAsker(options);
}

/** Below this a hedge costs more than it saves; timers are no finer. */
const hedgeDelayMsMin = 1;
/** A timer that is later than this was held up by work of our own, and so was the answer. */
const stallMs = 2;

/** One request of one shard. */
interface Leg {
  readonly link: ShardLink;
  readonly requestId: number;
  readonly sentMs: number;
  readonly places: Places;
  /** A hedge's answer that waits for those of its other legs. */
  kept: Frame | null;
  answered: boolean;
}

/** One part under way. */
interface Ask {
  readonly request: PullRequest;
  readonly attempt: Try;
  readonly route: LinkedRoute;
  readonly leg: Leg;
  /** When it is to be asked of others too. */
  dueMs: number;
  /** It was seen to be due by a timer that came late. */
  seenDue: boolean;
  hedge: Hedge | null;
}

interface Hedge {
  readonly legs: Leg[];
  /** Resolves to true when all its legs have answered before the part's own shard did. */
  readonly done: Promise<boolean>;
  settle(won: boolean): void;
}

class OwnPartAsker implements PartAsker {
  readonly #options: PartAskerOptions;
  readonly #frames = createFramePool();
  readonly #budget = createHedgeBudget();
  /** Parts that may be hedged. */
  readonly #underway = new Set<Ask>();
  #timer: Timer | null = null;
  #timerDueMs = 0;

  constructor(options: PartAskerOptions) {
    this.#options = options;
  }

  async ask(request: PullRequest, route: LinkedRoute, part: Part, attempt: Try): Promise<Places> {
    let ask: Ask | null = null;
    let isOlder = false;
    try {
      const { leg, frame } = this.#prepare(request, route, part);
      this.#budget.earn();
      ask = { request, attempt, route, leg, dueMs: 0, seenDue: false, hedge: null };
      this.#watch(ask);
      await leg.link.connection.request(frame, leg.requestId, (answer) => {
        isOlder = !this.#take(ask as Ask, part.places, answer);
        this.#noteAnswer(leg);
        if (!isOlder && ask?.hedge) giveUp(ask.hedge);
      });
      this.#underway.delete(ask);
      // Only now, and if it was answered: a frame whose request failed or was given up may still wait in a socket.
      if (leg.answered) this.#frames.give(frame);
      if (!isOlder) return noPlaces;
      return ask.hedge && (await ask.hedge.done) ? noPlaces : part.places;
    } catch (error) {
      if (ask) this.#underway.delete(ask);
      return this.#afterFailure(error, ask, route, part);
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#underway.clear();
  }

  /** Writes the rows of an answer; false when they are older than what was read before, and such are not taken. */
  #take({ request, attempt }: Ask, places: Places, answer: Frame): boolean {
    const { floor } = this.#options;
    if (!attempt.takesOlder && !isFresh(answer, request, places, floor)) {
      attempt.sawOlder = true;
      return false;
    }
    takeRows(answer, request, places, floor);
    return true;
  }

  async #afterFailure(error: unknown, ask: Ask | null, route: Route, part: Part): Promise<Places> {
    try {
      if (!isMillraceError(error)) throw error;
      this.#options.onFailed(error, route.shards[part.shard], route);
    } catch (fatal) {
      // Nothing may write once the pull has ended.
      if (ask?.hedge) giveUp(ask.hedge);
      throw fatal;
    }
    return ask?.hedge && (await ask.hedge.done) ? noPlaces : part.places;
  }

  #prepare(
    request: PullRequest,
    route: LinkedRoute,
    { shard, places }: Part,
  ): { leg: Leg; frame: Uint8Array } {
    route.links[shard] ??= this.#options.links.linkTo(route.shards[shard]);
    const link = route.links[shard];
    const requestId = link.connection.nextRequestId();
    const frame = this.#frames.take(pullFrameBytes(places.count));
    writePull(frame, { request, places, requestId, epoch: route.epoch });
    const sentMs = this.#options.clock.monotonicMs();
    return { leg: { link, requestId, sentMs, places, kept: null, answered: false }, frame };
  }

  #noteAnswer(leg: Leg): void {
    leg.answered = true;
    leg.link.latency.record(this.#options.clock.monotonicMs() - leg.sentMs);
    this.#options.links.noteAnswer(leg.link);
  }

  #watch(ask: Ask): void {
    const { hedge, requestTimeoutMs } = this.#options;
    const { p95Ms } = ask.leg.link.latency;
    if (!hedge || p95Ms === null || !ask.route.hasSpares) return;
    ask.dueMs = ask.leg.sentMs + Math.min(Math.max(p95Ms, hedgeDelayMsMin), requestTimeoutMs / 2);
    this.#underway.add(ask);
    if (this.#timer === null || ask.dueMs < this.#timerDueMs) this.#wakeAt(ask.dueMs);
  }

  #wakeAt(dueMs: number): void {
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    const { clock } = this.#options;
    const delayMs = Math.max(hedgeDelayMsMin, Math.ceil(dueMs - clock.monotonicMs()));
    this.#timer = clock.setTimer(delayMs, () => this.#look());
  }

  /** Asks others for what is due, and sleeps until the next part is. */
  #look(): void {
    this.#timer = null;
    const nowMs = this.#options.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const ask of this.#underway) {
      if (ask.dueMs <= nowMs) {
        // After a stall answers that have come long ago are read only after timers have run.
        if (ask.seenDue || nowMs - ask.dueMs <= stallMs) this.#hedge(ask, nowMs);
        else ask.dueMs = nowMs + hedgeDelayMsMin;
        ask.seenDue = true;
      }
      if (ask.hedge === null) nextMs = Math.min(nextMs, ask.dueMs);
      else this.#underway.delete(ask);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#wakeAt(nextMs);
  }

  #hedge(ask: Ask, nowMs: number): void {
    const { request, route, leg } = ask;
    // Without a spare holder, or money, it is looked at again later.
    ask.dueMs = nowMs + Math.max(hedgeDelayMsMin, nowMs - leg.sentMs);
    const { parts, absent } = cutByShard(request, route.spares, route.spares.only, leg.places);
    if (absent.count > 0 || !this.#budget.spend(parts.length)) return;
    this.#options.onHedge('asked');
    let settle: (won: boolean) => void = () => {};
    const done = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const hedge: Hedge = { legs: [], done, settle };
    ask.hedge = hedge;
    for (const part of parts) {
      this.#sendHedge(ask, hedge, part).catch((error: unknown) => {
        giveUp(hedge);
        this.#noteHedgeFailure(error, route.shards[part.shard], route);
      });
    }
  }

  async #sendHedge(ask: Ask, hedge: Hedge, part: Part): Promise<void> {
    const { leg, frame } = this.#prepare(ask.request, ask.route, part);
    hedge.legs.push(leg);
    await leg.link.connection.request(frame, leg.requestId, (answer) => {
      const isTaken = ask.attempt.takesOlder || isFresh(answer, ask.request, leg.places, this.#options.floor);
      this.#noteAnswer(leg);
      // The part's own shard may still answer, and newer.
      if (isTaken) this.#onHedgeAnswer(ask, hedge, leg, answer);
      else giveUp(hedge);
    });
    if (leg.answered) this.#frames.give(frame);
  }

  #onHedgeAnswer({ request, leg: own }: Ask, hedge: Hedge, leg: Leg, answer: Frame): void {
    const { links, clock, floor, onHedge } = this.#options;
    const isLast = hedge.legs.every((other) => other === leg || other.kept !== null);
    if (!isLast) {
      leg.kept = { header: { ...answer.header }, bytes: new Uint8Array(answer.bytes) };
      return;
    }
    takeRows(answer, request, leg.places, floor);
    for (const { kept, places } of hedge.legs) if (kept) takeRows(kept, request, places, floor);
    own.link.connection.cancel(own.requestId);
    // What it had taken by now is the least that it would have taken.
    own.link.latency.record(clock.monotonicMs() - own.sentMs);
    links.noteLoss(own.link);
    onHedge('won');
    hedge.settle(true);
  }

  /** The part's own shard may still answer, so nothing is lost yet. */
  #noteHedgeFailure(error: unknown, shard: string, route: Route): void {
    if (!isMillraceError(error)) throw error;
    try {
      this.#options.onFailed(error, shard, route);
    } catch {
      // What no other holder could mend the part's own shard will say itself.
    }
  }
}

/** The answers of its legs are not wanted any more. */
function giveUp({ legs, settle }: Hedge): void {
  for (const { link, requestId } of legs) link.connection.cancel(requestId);
  settle(false);
}
