/** A steady stream of score requests through the public API, in which every single failure is seen. */
import { isMillraceError } from '@millrace/protocol';
import { createMillraceClient, type OutcomeRequest, type ScoreRequest } from '@millrace/sdk';
import { pause } from './eventually.ts';

export interface SteadyLoadOptions {
  readonly url: string | readonly string[];
  /** Requests under way at the same time. */
  readonly lanes: number;
  /** Pause of a lane between an answer and its next request. */
  readonly pauseMs: number;
  /** The request of number `n`, from 0; with a requestId of its own. */
  readonly request: (n: number) => ScoreRequest;
  /** Outcomes to send once request `n` is answered. Default none. */
  readonly outcomes?: (n: number) => readonly OutcomeRequest[];
}

export interface LoadFailure {
  readonly call: 'score' | 'outcome';
  readonly code: string;
  readonly message: string;
}

export interface LoadResult {
  /** Numbers of the requests that were answered. */
  readonly scored: readonly number[];
  /** Request ids of the outcomes that were acknowledged. */
  readonly acknowledged: readonly string[];
  readonly degraded: number;
  readonly failures: readonly LoadFailure[];
}

export interface SteadyLoad {
  /** As it is now; grows on. */
  readonly sofar: LoadResult;
  /** Ends the stream and waits for what is under way. */
  stop(): Promise<LoadResult>;
}

/** Starts sending; nothing is sent a second time. */
export function startSteadyLoad(options: SteadyLoadOptions): SteadyLoad {
  const client = createMillraceClient({ url: options.url, retries: 0, connectionsMax: options.lanes });
  const sofar = {
    scored: [] as number[],
    acknowledged: [] as string[],
    degraded: 0,
    failures: [] as LoadFailure[],
  };
  let sent = 0;
  let stopping = false;

  const note = (call: LoadFailure['call'], error: unknown) => {
    if (!isMillraceError(error)) throw error;
    sofar.failures.push({ call, code: error.code, message: error.message });
  };
  const sendOne = async (n: number) => {
    try {
      const { degraded } = await client.score(options.request(n));
      sofar.scored.push(n);
      if (degraded) sofar.degraded += 1;
    } catch (error) {
      note('score', error);
      return;
    }
    const outcomes = options.outcomes?.(n) ?? [];
    if (outcomes.length === 0) return;
    try {
      await client.sendOutcomes(outcomes);
      sofar.acknowledged.push(...outcomes.map(({ requestId }) => requestId));
    } catch (error) {
      note('outcome', error);
    }
  };
  const lanes = Array.from({ length: options.lanes }, async () => {
    while (!stopping) {
      const n = sent;
      sent += 1;
      await sendOne(n);
      await pause(options.pauseMs);
    }
  });
  const ended = Promise.all(lanes);
  // Whoever stops the load learns of a defect; until then it waits here.
  ended.catch(() => undefined);

  return {
    sofar,
    async stop() {
      stopping = true;
      await ended.finally(() => client.close());
      return sofar;
    },
  };
}
