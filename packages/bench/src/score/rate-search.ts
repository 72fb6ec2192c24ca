/** Finds for each stack the highest rate at which its p99 holds, the stacks in turns. */
import { MillraceError } from '@millrace/protocol';
import { rounded } from '../common/statistics.ts';
import type { LoadDriver } from './load-driver.ts';
import type { LoadFigures } from './load-process.ts';
import type { ScoreParameters } from './parameters.ts';
import { createRateStaircase, highestHeld, noteRun, type RateStaircase } from './rate-staircase.ts';
import type { ScoringStack } from './stack.ts';

export type RateFigures = Pick<LoadFigures, 'requestsPerSecond' | 'msP50' | 'msP95' | 'msP99'>;

export interface RateTried extends RateFigures {
  readonly stack: string;
  /** Null: as fast as it can. */
  readonly rate: number | null;
  readonly holds: boolean;
}

export interface RateFound {
  /** All runs. */
  readonly tried: readonly RateTried[];
  /** At the highest rate that holds, or right below it. */
  readonly best: LoadFigures;
}

interface Search {
  readonly stack: ScoringStack;
  readonly tried: RateTried[];
  readonly staircase: RateStaircase<LoadFigures>;
}

/** Callers of the closed loop that warms a stack up, and gives a first idea of its rate. */
const closedInFlight = 32;
/** A stack is warm, its code compiled and its caches full, after so many requests, or so many runs where it is slow. */
const warmRequests = 20_000;
const warmRunsMax = 8;
/** Of that rate an open loop is asked first. */
const firstShare = 0.875;

/** Runs that searchRates takes at most where each stack holds two of its rates. */
export function searchRunsMax(stacks: number, { steps }: Pick<ScoreParameters, 'steps'>): number {
  return stacks * (warmRunsMax + 1 + steps);
}

/**
 * @param next  told before each run.
 * @throws MILL_OVERLOADED when a stack holds none of the rates.
 */
export async function searchRates(
  stacks: readonly ScoringStack[],
  driver: LoadDriver,
  { steps, stepMs, warmMs, msP99Max, seed }: ScoreParameters,
  next: (doing: string) => void,
): Promise<readonly RateFound[]> {
  let runs = 0;
  const drive = (stack: ScoringStack, rate: number | null): Promise<LoadFigures> => {
    next(`${stack.name}, ${rate === null ? 'as fast as it can' : `${Math.round(rate)} requests/s`}`);
    runs += 1;
    return driver.drive(stack, {
      rate,
      inFlight: closedInFlight,
      runMs: stepMs,
      warmMs,
      seed: seed + runs,
    });
  };
  const searches: Search[] = [];
  for (const stack of stacks) {
    let answered = 0;
    for (let run = 0; run < warmRunsMax && answered < warmRequests; run += 1)
      answered += (await drive(stack, null)).answered;
    const closed = await drive(stack, null);
    const staircase = createRateStaircase<LoadFigures>(firstShare * closed.requestsPerSecond);
    searches.push({ stack, tried: [triedFrom(stack, null, closed, false)], staircase });
  }
  // One that has held no rate yet goes on, so that there is a figure to tell.
  const isOpen = ({ staircase: { runs } }: Search) =>
    runs.length < steps || (runs.length < 2 * steps && highestHeld(runs) === null);
  while (searches.some(isOpen)) {
    for (const { stack, tried, staircase } of searches.filter(isOpen)) {
      const { rate } = staircase;
      const figures = await drive(stack, rate);
      const holds = isHeld(figures, msP99Max);
      tried.push(triedFrom(stack, rate, figures, holds));
      noteRun(staircase, { holds, msP99: figures.msP99OfAll ?? Number.POSITIVE_INFINITY, figures });
    }
  }
  return searches.map(({ stack, tried, staircase: { runs } }) => {
    const best = highestHeld(runs);
    if (best === null) {
      const lowest = Math.round(Math.min(...runs.map(({ rate }) => rate)));
      throw new MillraceError(
        'MILL_OVERLOADED',
        `${stack.name} held none of the rates tried at a p99 of ${msP99Max} ms, the lowest ${lowest}/s`,
      );
    }
    return { tried, best: best.figures };
  });
}

export function figuresOf({ requestsPerSecond, msP50, msP95, msP99 }: RateFigures): RateFigures {
  return { requestsPerSecond, msP50, msP95, msP99 };
}

function isHeld({ msP99OfAll, unsent }: LoadFigures, msP99Max: number): boolean {
  return msP99OfAll !== null && msP99OfAll <= msP99Max && unsent === 0;
}

function triedFrom(
  { name }: ScoringStack,
  rate: number | null,
  figures: LoadFigures,
  holds: boolean,
): RateTried {
  return { stack: name, rate: rate === null ? null : rounded(rate), holds, ...figuresOf(figures) };
}
