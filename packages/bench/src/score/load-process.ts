/**
 * The caller, in a process of its own: sends requests at a rate, whether earlier ones were answered or not (an open loop), and
 * takes each one's time from when it was due, so that a stack that falls behind is seen to (no coordinated omission).
 */
import { readFileSync } from 'node:fs';
import { quantile, rounded } from '../common/statistics.ts';
import { createHttpCaller, noAnswer, requestBytes } from './http-caller.ts';
import { randomFrom } from './workload.ts';

export interface LoadOrder {
  readonly url: string;
  /** A file of request bodies, JSON, one a line, sent in turn. */
  readonly bodies: string;
  /** Besides the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Requests a second, Poisson; null: `inFlight` callers that each wait for an answer (a closed loop). */
  readonly rate: number | null;
  readonly inFlight: number;
  readonly runMs: number;
  /** Requests due before this are not counted, ms. */
  readonly warmMs: number;
  readonly seed: number;
  /** Opened before the first request is due; default 256. */
  readonly connections?: number;
  /** Where a request's time begins: when it was due (default), or when it was sent. */
  readonly from?: 'due' | 'sent';
}

export interface LoadFigures {
  /** Requests a second that were answered 200, of those that are counted. */
  readonly requestsPerSecond: number;
  /** Of those. */
  readonly msP50: number;
  readonly msP95: number;
  readonly msP99: number;
  /** The same of all counted requests, one that was refused or not answered taking for ever; null: more than one in a hundred was. */
  readonly msP99OfAll: number | null;
  readonly answered: number;
  /** Counted requests that got another status, by status; 0: no answer. */
  readonly refused: Readonly<Record<number, number>>;
  /** Due but never sent, since too many were under way. */
  readonly unsent: number;
}

const connectionsDefault = 256;
/** Requests under way and waiting for a connection; what is due beyond that is given up. */
const underwayMax = 20_000;
const lastAnswerMsMax = 15_000;
/** Requests, made once for each place that they go to. */
let known: { readonly key: string; readonly requests: readonly Buffer[] } | null = null;

function requestsFrom({ url, bodies, headers }: LoadOrder): readonly Buffer[] {
  const key = JSON.stringify([url, bodies, headers]);
  if (known?.key !== key) {
    const lines = readFileSync(bodies, 'utf8').trimEnd().split('\n');
    known = { key, requests: lines.map((body) => requestBytes(new URL(url), body, headers)) };
  }
  return known.requests;
}

async function drive(order: LoadOrder): Promise<LoadFigures> {
  const caller = createHttpCaller(new URL(order.url), order.connections ?? connectionsDefault);
  const requests = requestsFrom(order);
  const latenciesMs: number[] = [];
  const refused: Record<number, number> = {};
  const random = randomFrom(order.seed);
  await caller.open();
  const startMs = performance.now();
  const endMs = startMs + order.runMs;
  let underway = 0;
  let counted = 0;
  let unsent = 0;
  let sent = 0;
  let lastMs = 0;

  const send = (dueMs: number, onEnd: () => void) => {
    const request = requests[sent % requests.length];
    const isCounted = dueMs - startMs >= order.warmMs;
    sent += 1;
    underway += 1;
    if (isCounted) counted += 1;
    caller.send(request, (status, sentMs) => {
      underway -= 1;
      lastMs = performance.now();
      const fromMs = order.from === 'sent' ? sentMs : dueMs;
      if (isCounted && status === 200) latenciesMs.push(lastMs - fromMs);
      else if (isCounted) refused[status] = (refused[status] ?? 0) + 1;
      onEnd();
    });
  };

  await new Promise<void>((resolve) => {
    if (order.rate === null) {
      const next = () => {
        if (performance.now() < endMs) send(performance.now(), next);
        else if (underway === 0) resolve();
      };
      for (let i = 0; i < order.inFlight; i += 1) next();
      return;
    }
    const gapMs = 1_000 / order.rate;
    const giveUpMs = endMs + lastAnswerMsMax;
    let dueMs = startMs;
    const tick = () => {
      const nowMs = performance.now();
      for (; dueMs <= nowMs && dueMs < endMs; dueMs -= gapMs * Math.log(1 - random())) {
        if (underway < underwayMax) send(dueMs, () => {});
        else unsent += 1;
      }
      if (dueMs >= endMs && (underway === 0 || nowMs > giveUpMs)) resolve();
      else setTimeout(tick, 1);
    };
    tick();
  });
  caller.close();
  const told = Object.values(refused).reduce((sum, count) => sum + count, latenciesMs.length);
  if (told < counted) refused[noAnswer] = (refused[noAnswer] ?? 0) + counted - told;
  // A stack that has fallen behind answers on after the last request was due.
  const seconds = Math.max(order.runMs - order.warmMs, lastMs - startMs - order.warmMs) / 1_000;
  return {
    requestsPerSecond: rounded(latenciesMs.length / seconds),
    msP50: rounded(quantile(latenciesMs, 0.5)),
    msP95: rounded(quantile(latenciesMs, 0.95)),
    msP99: rounded(quantile(latenciesMs, 0.99)),
    msP99OfAll: p99OfAll(latenciesMs, counted),
    answered: latenciesMs.length,
    refused,
    unsent,
  };
}

function p99OfAll(latenciesMs: readonly number[], counted: number): number | null {
  const share = (0.99 * counted) / Math.max(1, latenciesMs.length);
  return share > 1 ? null : rounded(quantile(latenciesMs, share));
}

process.on('message', (message) => {
  void drive(message as LoadOrder).then((figures) => process.send?.(figures));
});
process.once('disconnect', () => process.exit());
