import { MillraceError } from '@millrace/protocol';
import { bodyFrom } from './answers.ts';
import { type AskControl, firstAnswer } from './failover.ts';
import { retryAfterMsOf, retryDelayMs, waitingHelps } from './retry.ts';
import { type Answer, type Call, createTransport, type Transport } from './transport.ts';

export interface MillraceClientOptions {
  /**
   * Of an inference node, for example `http://127.0.0.1:8080`, or of several nodes of one cluster: a call goes to the one
   * that answered last (the first call to one at random), and where it can do no harm to the next when that one fails.
   */
  readonly url: string | readonly string[];
  /** Shown to the nodes with every call, where they want one. Sent in clear text over http. */
  readonly apiKey?: string;
  /**
   * Asked before each call: the `traceparent` (W3C Trace Context) that the nodes' spans stand below; null: none. With
   * OpenTelemetry, what its propagator injects.
   */
  readonly traceparent?: () => string | null;
  /** Certificates of the authorities to trust instead of Node's own, PEM; for https. */
  readonly ca?: string;
  /** Whole time of one call, retries and waits included, ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** With several nodes: one that has not answered by then is no longer waited for alone, ms. Default 1,000. */
  readonly failoverMs?: number;
  /** Further sendings to one node of a call that may be repeated, at most. Default 2; 0 for none. */
  readonly retries?: number;
  /** Connections kept open to one node, at most. Default 64. */
  readonly connectionsMax?: number;
  /** Jitter of the waits and choice of the first node, uniform in [0, 1). Default Math.random. */
  readonly random?: () => number;
  /** Ids of scores that bring none, with several nodes. Default crypto.randomUUID. */
  readonly newRequestId?: () => string;
  /** Waits. Default setTimeout. */
  readonly sleep?: (delayMs: number) => Promise<void>;
  /** Monotonic, ms. Default performance.now. */
  readonly now?: () => number;
}

/**
 * Whether sending a call a second time can do harm.
 *   repeatable  sent to every node, again after a failure
 *   glance      sent to every node, to none of them twice
 *   once        sent to one node, once
 */
export type Repeat = 'repeatable' | 'glance' | 'once';

export interface Exchange {
  call<T>(call: Omit<Call, 'timeoutMs'>, repeat: Repeat, timeoutMs?: number): Promise<T>;
  /** Nodes that calls can go to. */
  readonly nodes: number;
  readonly closed: boolean;
  close(): Promise<void>;
}

const failoverMsDefault = 1_000;

/** Sends calls within their time limit, again where that helps and does no harm, and counts those that run. */
export function createExchange(options: MillraceClientOptions): Exchange {
  const { timeoutMs: timeoutMsDefault = 5_000, retries = 2, connectionsMax = 64 } = options;
  const { random = Math.random, sleep = sleepFor, now = () => performance.now() } = options;
  const { failoverMs = failoverMsDefault } = options;
  const { apiKey, ca, traceparent } = options;
  const transports = urlsFrom(options.url).map((url) =>
    createTransport({ url, connectionsMax, apiKey, ca, traceparent }),
  );
  const running = new Set<Promise<unknown>>();
  /** Place of the node that answered last. */
  let preferred = transports.length > 1 ? Math.floor(random() * transports.length) : 0;
  let closed = false;

  const checkOpen = () => {
    if (closed) throw new MillraceError('MILL_CLOSED', 'the client is closed');
  };

  /** Asks one node until it answers, time and retries are over, or another node has answered. */
  async function askNode<T>(
    transport: Transport,
    call: Call,
    retriesLeft: number,
    { signal, onFailure }: AskControl,
  ): Promise<T> {
    const deadline = now() + call.timeoutMs;
    for (let attempt = 0; ; attempt += 1) {
      checkOpen();
      let answer: Answer | undefined;
      try {
        answer = await transport.send({ ...call, timeoutMs: Math.max(1, deadline - now()) }, signal);
        return bodyFrom<T>(call, answer);
      } catch (error) {
        const afterMs = retryAfterMsOf(error) ?? answer?.retryAfterMs ?? 0;
        const delayMs = retryDelayMs({ attempt, retryAfterMs: afterMs, random: random() });
        const isOver = attempt >= retriesLeft || !waitingHelps(error) || now() + delayMs >= deadline;
        if (isOver || signal?.aborted) throw error;
        onFailure();
        await sleep(delayMs);
        if (signal?.aborted) throw error;
      }
    }
  }

  async function askNodes<T>(call: Call, repeat: Repeat): Promise<T> {
    checkOpen();
    const deadline = now() + call.timeoutMs;
    const first = preferred;
    const { value, place } = await firstAnswer<T>({
      nodes: repeat === 'once' ? 1 : transports.length,
      // Each node gets its turn, however little time there is.
      failoverMs: Math.min(failoverMs, call.timeoutMs / transports.length),
      ask: (at, control) => {
        const transport = transports[(first + at) % transports.length] as Transport;
        const timeoutMs = Math.max(1, deadline - now());
        return askNode<T>(transport, { ...call, timeoutMs }, repeat === 'repeatable' ? retries : 0, control);
      },
    });
    preferred = (first + place) % transports.length;
    return value;
  }

  return {
    call<T>(call: Omit<Call, 'timeoutMs'>, repeat: Repeat, timeoutMs = timeoutMsDefault) {
      const run = askNodes<T>({ ...call, timeoutMs }, repeat);
      running.add(run);
      return run.finally(() => running.delete(run));
    },
    nodes: transports.length,
    get closed() {
      return closed;
    },
    async close() {
      closed = true;
      await Promise.allSettled(running);
      for (const transport of transports) transport.close();
    },
  };
}

/** Resolves after `delayMs`. */
export function sleepFor(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

function urlsFrom(url: string | readonly string[]): readonly string[] {
  const urls = [...new Set(typeof url === 'string' ? [url] : url)];
  if (urls.length === 0)
    throw new MillraceError('MILL_CONFIG_INVALID', 'url: wanted at least one, found none');
  return urls;
}
