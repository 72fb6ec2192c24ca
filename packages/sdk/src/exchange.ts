import { MillraceError } from '@millrace/protocol';
import { bodyFrom } from './answers.ts';
import { retryDelayMs, waitingHelps } from './retry.ts';
import { type Answer, type Call, createTransport } from './transport.ts';

export interface MillraceClientOptions {
  /** Of an inference node, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Whole time of one call, retries and waits included, ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** Further sendings of a call that may be repeated, at most. Default 2; 0 for none. */
  readonly retries?: number;
  /** Connections kept open, at most. Default 64. */
  readonly connectionsMax?: number;
  /** Jitter of the waits, uniform in [0, 1). Default Math.random. */
  readonly random?: () => number;
  /** Waits. Default setTimeout. */
  readonly sleep?: (delayMs: number) => Promise<void>;
  /** Monotonic, ms. Default performance.now. */
  readonly now?: () => number;
}

/** Whether sending a call a second time can do harm. */
export type Repeat = 'repeatable' | 'once';

export interface Exchange {
  call<T>(call: Omit<Call, 'timeoutMs'>, repeat: Repeat, timeoutMs?: number): Promise<T>;
  readonly closed: boolean;
  close(): Promise<void>;
}

/** Sends calls within their time limit, again where that helps and does no harm, and counts those that run. */
export function createExchange(options: MillraceClientOptions): Exchange {
  const { timeoutMs: timeoutMsDefault = 5_000, retries = 2, connectionsMax = 64 } = options;
  const { random = Math.random, sleep = sleepFor, now = () => performance.now() } = options;
  const transport = createTransport({ url: options.url, connectionsMax });
  const running = new Set<Promise<unknown>>();
  let closed = false;

  async function attempts<T>(
    call: Omit<Call, 'timeoutMs'>,
    retriesLeft: number,
    timeoutMs: number,
  ): Promise<T> {
    const deadline = now() + timeoutMs;
    for (let attempt = 0; ; attempt += 1) {
      if (closed) throw new MillraceError('MILL_CLOSED', 'the client is closed');
      let answer: Answer | undefined;
      try {
        answer = await transport.send({ ...call, timeoutMs: Math.max(1, deadline - now()) });
        return bodyFrom<T>({ ...call, timeoutMs }, answer);
      } catch (error) {
        const delayMs = retryDelayMs({ attempt, retryAfterMs: answer?.retryAfterMs ?? 0, random: random() });
        if (attempt >= retriesLeft || !waitingHelps(error) || now() + delayMs >= deadline) throw error;
        await sleep(delayMs);
      }
    }
  }

  return {
    call<T>(call: Omit<Call, 'timeoutMs'>, repeat: Repeat, timeoutMs = timeoutMsDefault) {
      const run = attempts<T>(call, repeat === 'repeatable' ? retries : 0, timeoutMs);
      running.add(run);
      return run.finally(() => running.delete(run));
    },
    get closed() {
      return closed;
    },
    async close() {
      closed = true;
      await Promise.allSettled(running);
      transport.close();
    },
  };
}

/** Resolves after `delayMs`. */
export function sleepFor(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
