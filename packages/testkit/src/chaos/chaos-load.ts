/**
 * The load of a chaos run: scores and clicks through the public client, with a ledger of what was answered. Each request shows
 * an item of its own, so that one row tells how often one example was learned, and one of a few that all requests share.
 */
import { isMillraceError } from '@millrace/protocol';
import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { pause } from '../eventually.ts';

export interface ChaosLoadOptions {
  readonly urls: readonly string[];
  readonly model: string;
  /** Callers, each with one request under way. */
  readonly callers: number;
  /** Pause of a caller between an answer and its next request. */
  readonly pauseMs: number;
  /** A click that is not acknowledged is sent again for so long. */
  readonly clickPatienceMs: number;
}

export interface Failure {
  readonly atMs: number;
  readonly request: number;
  readonly code: string;
  readonly message: string;
}

/** Numbers of requests, from 0. */
export interface Ledger {
  readonly scored: ReadonlySet<number>;
  /** And when they were sent, ms from the start. */
  readonly degraded: ReadonlyMap<number, number>;
  /** Scores that the client gave up. */
  readonly failures: readonly Failure[];
  /** Requests whose click was sent at least once, and those of which one sending was acknowledged. */
  readonly clicked: ReadonlySet<number>;
  readonly acknowledged: ReadonlySet<number>;
  readonly latenciesMs: readonly number[];
}

export interface ChaosLoad {
  /** As it is now; grows on. */
  readonly ledger: Ledger;
  /** Ends the scores and waits for what is under way, clicks included. */
  stop(): Promise<Ledger>;
}

/** Items that all requests share. */
export const sharedItems = Array.from({ length: 8 }, (_, i) => `shared-${i}`);
/** Every third request is clicked, on the item of its own. */
const clickEvery = 3;
const resendMs = 100;
/** Clicks under way at the same time; the callers wait beyond. */
const clicksMax = 2_000;
/**
 * A caller is replaced by a new one after so many requests: a client stays with the node that answered last, so without that
 * all of them would end at the node that was never harmed.
 */
const requestsPerCaller = 100;

export function ownItem(request: number): string {
  return `own-${request}`;
}

export function requestIdOf(request: number): string {
  return `chaos-${request}`;
}

export function startChaosLoad(options: ChaosLoadOptions): ChaosLoad {
  const { model, urls } = options;
  const ledger = {
    scored: new Set<number>(),
    degraded: new Map<number, number>(),
    failures: [] as Failure[],
    clicked: new Set<number>(),
    acknowledged: new Set<number>(),
    latenciesMs: [] as number[],
  };
  const clicks = new Set<Promise<void>>();
  const clickClient = createMillraceClient({ url: urls });
  const startedMs = performance.now();
  let sent = 0;
  let stopping = false;

  const score = async (client: MillraceClient, n: number): Promise<boolean> => {
    const items = [{ item: ownItem(n) }, { item: sharedItems[n % sharedItems.length] }];
    const sentMs = performance.now();
    try {
      const { degraded } = await client.score({ model, requestId: requestIdOf(n), items });
      ledger.latenciesMs.push(performance.now() - sentMs);
      ledger.scored.add(n);
      if (degraded) ledger.degraded.set(n, sentMs - startedMs);
      return true;
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      const { code, message } = error;
      ledger.failures.push({ atMs: sentMs - startedMs, request: n, code, message });
      return false;
    }
  };
  const click = async (n: number) => {
    const untilMs = performance.now() + options.clickPatienceMs;
    ledger.clicked.add(n);
    while (performance.now() < untilMs) {
      try {
        await clickClient.sendOutcomes({ model, requestId: requestIdOf(n), index: 0 });
        ledger.acknowledged.add(n);
        return;
      } catch (error) {
        if (!isMillraceError(error) || error.retry === 'never') throw error;
      }
      await pause(resendMs);
    }
  };
  const clickLater = (n: number) => {
    const done: Promise<void> = click(n).finally(() => clicks.delete(done));
    clicks.add(done);
    // Whoever stops the load learns of a defect.
    done.catch(() => undefined);
  };
  const runCaller = async () => {
    while (!stopping) {
      const client = createMillraceClient({ url: urls });
      try {
        for (let i = 0; i < requestsPerCaller && !stopping; i += 1) {
          const n = sent;
          sent += 1;
          if ((await score(client, n)) && n % clickEvery === 0) clickLater(n);
          await pause(options.pauseMs);
          if (clicks.size >= clicksMax) await Promise.race(clicks);
        }
      } finally {
        await client.close();
      }
    }
  };
  const ended = Promise.all(Array.from({ length: options.callers }, runCaller));
  ended.catch(() => undefined);

  return {
    ledger,
    async stop() {
      stopping = true;
      try {
        await ended;
        await Promise.all(clicks);
      } finally {
        await clickClient.close();
      }
      return ledger;
    },
  };
}
