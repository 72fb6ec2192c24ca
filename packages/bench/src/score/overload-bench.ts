/**
 * What a node does when it is asked ten times of what it can: the highest rate that holds, then ten times of it. Accepted
 * requests are timed from when they were sent; what has to wait for one of the caller's connections is not the node's.
 */
import { stepCounter } from '../common/progress.ts';
import { rounded } from '../common/statistics.ts';
import { noAnswer } from './http-caller.ts';
import { openLoadDriver } from './load-driver.ts';
import { openMillraceStack } from './millrace-stack.ts';
import type { ScoreParameters } from './parameters.ts';
import { figuresOf, type RateFigures, searchRates, searchRunsMax } from './rate-search.ts';
import { makeScoreRequests } from './workload.ts';

export interface OverloadResult {
  readonly capacity: RateFigures;
  readonly overload: RateFigures & {
    /** Requests a second that were sent and answered. */
    readonly answeredPerSecond: number;
    readonly acceptedShare: number;
    /** Answers by status, accepted ones apart. */
    readonly refused: Readonly<Record<number, number>>;
    /** Requests that were sent, and to which no answer came. */
    readonly unanswered: number;
  };
  /** p99 of accepted requests under overload over the p99 at capacity. */
  readonly ratioMsP99: number;
  /** Accepted a second under overload over the capacity. */
  readonly ratioAccepted: number;
}

export interface OverloadBenchOptions extends ScoreParameters {
  /** Offered load in capacities. */
  readonly times: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

const requestsKept = 256;
/** As many as a node serves at once. */
const connections = 1_000;

export function overloadStepsOf(parameters: ScoreParameters): number {
  return 2 + searchRunsMax(1, parameters);
}

export async function runOverloadBench(options: OverloadBenchOptions): Promise<OverloadResult> {
  const { onStep, times, stepMs, warmMs, seed } = options;
  const next = stepCounter(0, onStep);
  next('starting a cluster');
  const stack = await openMillraceStack(options, options.env);
  try {
    const driver = await openLoadDriver(makeScoreRequests(options, requestsKept));
    try {
      const [{ best }] = await searchRates([stack], driver, options, next);
      const rate = times * best.requestsPerSecond;
      next(`${Math.round(rate)} requests/s`);
      const run = { rate, inFlight: 0, runMs: stepMs, warmMs, seed, connections, from: 'sent' } as const;
      const over = await driver.drive(stack, run);
      const { [noAnswer]: unanswered = 0, ...refused } = over.refused;
      const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
      const answered = over.answered + refusals;
      return {
        capacity: figuresOf(best),
        overload: {
          ...figuresOf(over),
          answeredPerSecond: rounded((over.requestsPerSecond * answered) / Math.max(1, over.answered)),
          acceptedShare: rounded(over.answered / answered),
          refused,
          unanswered,
        },
        ratioMsP99: rounded(over.msP99 / best.msP99),
        ratioAccepted: rounded(over.requestsPerSecond / best.requestsPerSecond),
      };
    } finally {
      await driver.close();
    }
  } finally {
    await stack.close();
  }
}
