/** Callers that send one request after another, half of them to the label, half to the live line; every answer is judged. */

import type { ScoreRequest } from '@millrace/protocol';
import type { MillraceClient, ScoreResponse } from '@millrace/sdk';
import { pause } from '@millrace/testkit';

export interface SwapLoad {
  /** Latencies since the last call, ms; these are forgotten. */
  takeLatencies(): number[];
  readonly errors: number;
  /** Ends the load and waits for what is under way. */
  stop(): Promise<void>;
}

export interface SwapLoadOptions {
  readonly client: MillraceClient;
  readonly requests: readonly ScoreRequest[];
  readonly callers: number;
  readonly pauseMs: number;
  readonly onAnswer: (request: number, answer: ScoreResponse) => void;
}

export function startSwapLoad(options: SwapLoadOptions): SwapLoad {
  const { client, requests, callers, pauseMs, onAnswer } = options;
  let latencies: number[] = [];
  let errors = 0;
  let stopping = false;
  let sent = 0;
  const call = async (caller: number) => {
    const line = caller % 2 === 0 ? {} : ({ version: 'live' } as const);
    while (!stopping) {
      const request = sent % requests.length;
      sent += 1;
      const startMs = performance.now();
      try {
        const answer = await client.score({ ...requests[request], ...line });
        latencies.push(performance.now() - startMs);
        onAnswer(request, answer);
      } catch {
        errors += 1;
      }
      await pause(pauseMs);
    }
  };
  const running = Array.from({ length: callers }, (_, caller) => call(caller));
  return {
    takeLatencies() {
      const taken = latencies;
      latencies = [];
      return taken;
    },
    get errors() {
      return errors;
    },
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
  };
}
