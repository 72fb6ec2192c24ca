/**
 * What a node does when it is asked ten times of what it can: the highest rate that holds, then that rate and ten times of it, in
 * turns. Under overload accepted requests are timed from when they were sent; what has to wait for one of the caller's connections
 * is not the node's.
 */
import { stepCounter } from '../common/progress.ts';
import { median, rounded } from '../common/statistics.ts';
import { noAnswer } from './http-caller.ts';
import { openLoadDriver } from './load-driver.ts';
import type { LoadFigures } from './load-process.ts';
import { openMillraceStack } from './millrace-stack.ts';
import type { ScoreParameters } from './parameters.ts';
import { figuresOf, type RateFigures, searchRates, searchRunsMax } from './rate-search.ts';
import { makeScoreRequests } from './workload.ts';

export interface OverloadResult {
  /** Of the turns, here and under overload, the middle one by p99. */
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
  /** p99 of accepted requests under overload over the p99 at capacity: median over the turns. */
  readonly ratioMsP99: number;
  /** Accepted a second under overload over the capacity: median over the turns. */
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
/** At capacity and overloaded: what one bad moment shows is not the node's answer to overload. */
const turns = 5;

export function overloadStepsOf(parameters: ScoreParameters): number {
  return 1 + searchRunsMax(1, parameters) + 2 * turns;
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
      const atCapacity: LoadFigures[] = [];
      const overloaded: LoadFigures[] = [];
      for (let turn = 0; turn < turns; turn += 1) {
        const run = { inFlight: 0, runMs: stepMs, warmMs, seed: seed + turn };
        const rate = best.requestsPerSecond;
        next(`${Math.round(rate)} requests/s`);
        atCapacity.push(await driver.drive(stack, { ...run, rate }));
        next(`${Math.round(times * rate)} requests/s`);
        overloaded.push(await driver.drive(stack, { ...run, rate: times * rate, connections, from: 'sent' }));
      }
      const ratioOf = (of: 'msP99' | 'requestsPerSecond') =>
        rounded(median(overloaded.map((over, turn) => over[of] / atCapacity[turn][of])));
      const over = middleOf(overloaded);
      const { [noAnswer]: unanswered = 0, ...refused } = over.refused;
      const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
      const answered = over.answered + refusals;
      return {
        capacity: figuresOf(middleOf(atCapacity)),
        overload: {
          ...figuresOf(over),
          answeredPerSecond: rounded((over.requestsPerSecond * answered) / Math.max(1, over.answered)),
          acceptedShare: rounded(over.answered / answered),
          refused,
          unanswered,
        },
        ratioMsP99: ratioOf('msP99'),
        ratioAccepted: ratioOf('requestsPerSecond'),
      };
    } finally {
      await driver.close();
    }
  } finally {
    await stack.close();
  }
}

function middleOf(runs: readonly LoadFigures[]): LoadFigures {
  return runs.toSorted((a, b) => a.msP99 - b.msP99)[runs.length >> 1];
}
