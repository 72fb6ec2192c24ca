/** The whole benchmark: starts both stacks, compares their scores, finds for each the highest rate that holds, in turns. */
import { MillraceError } from '@millrace/protocol';
import { stepCounter } from '../common/progress.ts';
import { rounded } from '../common/statistics.ts';
import { openLoadDriver } from './load-driver.ts';
import { openMillraceStack } from './millrace-stack.ts';
import type { ScoreParameters } from './parameters.ts';
import { figuresOf, type RateFigures, type RateTried, searchRates, searchRunsMax } from './rate-search.ts';
import { openReferenceStack } from './reference-stack.ts';
import { type ScoringStack, scoresFrom } from './stack.ts';
import { makeScoreRequests } from './workload.ts';

export interface ScoreResult extends RateFigures {
  /** Millrace's requests a second over the reference's; null without a reference. */
  readonly ratioToReference: number | null;
  readonly reference: (RateFigures & { readonly redisVersion: string }) | null;
  readonly engine: string;
  /** Largest difference of a score between the stacks, over the requests compared. */
  readonly scoreDifferenceMax: number | null;
  /** All rates tried. */
  readonly steps: readonly RateTried[];
}

export interface ScoreBenchOptions extends ScoreParameters {
  readonly withReference: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

/** Often, ms, so that the rows that are put in are in snapshots before stacks are warm; once they are, nothing changes any more. */
const snapshotEveryMs = 5_000;

const requestsKept = 512;
const comparedRequests = 20;
const scoreDifferenceAllowed = 1e-4;

export function stepsOf({ steps, withReference }: ScoreBenchOptions): number {
  return 2 + searchRunsMax(withReference ? 2 : 1, { steps });
}

export async function runScoreBench(options: ScoreBenchOptions): Promise<ScoreResult> {
  const { onStep } = options;
  onStep(0, 'starting a cluster');
  const millrace = await openMillraceStack(options, {
    MILL_SNAPSHOT_EVERY_MS: String(snapshotEveryMs),
    ...options.env,
  });
  try {
    onStep(1, 'starting the reference');
    const reference = options.withReference ? await openReferenceStack(options) : null;
    try {
      const requests = makeScoreRequests(options, requestsKept);
      const difference = reference ? await compare(millrace, reference, requests) : null;
      const stacks = reference ? [millrace, reference] : [millrace];
      const driver = await openLoadDriver(requests);
      const next = stepCounter(2, onStep);
      const searches = await searchRates(stacks, driver, options, next).finally(() => driver.close());
      const [ours, theirs] = searches.map(({ best }) => figuresOf(best));
      return {
        ...ours,
        ratioToReference: theirs ? rounded(ours.requestsPerSecond / theirs.requestsPerSecond) : null,
        reference: reference && { ...theirs, redisVersion: reference.redisVersion },
        engine: millrace.engine,
        scoreDifferenceMax: difference,
        steps: searches.flatMap(({ tried }) => tried),
      };
    } finally {
      await reference?.close();
    }
  } finally {
    await millrace.close();
  }
}

async function compare(
  ours: ScoringStack,
  theirs: ScoringStack,
  requests: ReturnType<typeof makeScoreRequests>,
): Promise<number> {
  let largest = 0;
  for (const items of requests.slice(0, comparedRequests)) {
    const [a, b] = [await scoresFrom(ours, items), await scoresFrom(theirs, items)];
    for (let i = 0; i < items.length; i += 1) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  }
  if (!(largest <= scoreDifferenceAllowed)) {
    throw new MillraceError(
      'MILL_INTERNAL',
      `the stacks' scores differ by ${largest}, wanted ${scoreDifferenceAllowed} at most`,
    );
  }
  return rounded(largest, 2);
}
