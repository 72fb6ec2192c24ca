/**
 * The callers, in a process of their own, so that nothing of what swaps takes their time: each sends one request after another, half
 * of them to the label, half to the live line. Every answer is judged: those of the label as they come, those of the live line at
 * the end, when it is told whose weights were at which sequence.
 */
import type { ScoreRequest } from '@millrace/protocol';
import { createMillraceClient, type ScoreResponse } from '@millrace/sdk';
import { pause } from '@millrace/testkit';
import { quantile } from '../common/statistics.ts';
import { createSwapJudge, type References } from './judge-answers.ts';
import type { SwapParameters } from './parameters.ts';
import { requestsOf } from './swap-model.ts';

export interface LoadStart extends Pick<SwapParameters, 'callers' | 'pauseMs' | 'items'> {
  readonly urls: readonly string[];
  readonly requests: number;
  readonly references: References;
}

export interface LoadStop {
  /** By sequence in the dense log, whose weights were put: [sequence, place in the references]. */
  readonly live: readonly (readonly [number, number])[];
}

export type LoadOrder =
  | ({ readonly kind: 'start' } & LoadStart)
  | { readonly kind: 'take' }
  | ({ readonly kind: 'stop' } & LoadStop);

/** Of the answers since the last call, ms. */
export interface Phase {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LoadEnd {
  readonly answers: number;
  readonly errors: number;
  readonly mixed: number;
  readonly versionsSeen: number;
  readonly liveSeen: number;
}

interface Load {
  take(): Phase;
  /** Waits for what is under way. */
  stop(order: LoadStop): Promise<LoadEnd>;
}

function startLoad({ urls, callers, pauseMs, items, requests: count, references }: LoadStart): Load {
  const client = createMillraceClient({ url: urls, retries: 0, timeoutMs: 10_000 });
  const requests = requestsOf(count, items);
  const judge = createSwapJudge(references);
  const live: { readonly request: number; readonly answer: ScoreResponse }[] = [];
  let latencies: number[] = [];
  let errors = 0;
  let stopping = false;
  let sent = 0;
  const call = async (caller: number) => {
    const line: Partial<ScoreRequest> = caller % 2 === 0 ? {} : { version: 'live' };
    while (!stopping) {
      const request = sent % requests.length;
      sent += 1;
      const startMs = performance.now();
      try {
        const answer = await client.score({ ...requests[request], ...line });
        latencies.push(performance.now() - startMs);
        if (answer.modelVersion === undefined) live.push({ request, answer });
        else judge.judge(request, answer.modelVersion - 1, answer);
      } catch {
        errors += 1;
      }
      await pause(pauseMs);
    }
  };
  const running = Array.from({ length: callers }, (_, caller) => call(caller));
  return {
    take() {
      const taken = latencies;
      latencies = [];
      return { p50Ms: quantile(taken, 0.5), p99Ms: quantile(taken, 0.99) };
    },
    async stop({ live: placed }) {
      stopping = true;
      await Promise.all(running);
      await client.close();
      const placeAt = new Map(placed);
      for (const { request, answer } of live) judge.judge(request, placeAt.get(answer.version), answer);
      return {
        answers: judge.judged,
        errors,
        mixed: judge.mixed,
        versionsSeen: judge.seen.size,
        liveSeen: new Set(live.map(({ answer }) => answer.version)).size,
      };
    },
  };
}

let load: Load | null = null;

async function obey(order: LoadOrder): Promise<object> {
  if (order.kind === 'start') {
    load = startLoad(order);
    return {};
  }
  if (load === null) throw new Error(`no load to ${order.kind}`);
  return order.kind === 'take' ? load.take() : load.stop(order);
}

process.on('message', (message) => {
  void obey(message as LoadOrder).then((answer) => process.send?.(answer));
});
process.once('disconnect', () => process.exit());
