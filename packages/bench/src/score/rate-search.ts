/** Finds for each stack the highest rate at which its p99 holds: bisection, the stacks in turns. */
import { MillraceError } from '@millrace/protocol';
import { rounded } from '../common/statistics.ts';
import type { LoadDriver } from './load-driver.ts';
import type { LoadFigures } from './load-process.ts';
import type { ScoreParameters } from './parameters.ts';
import type { ScoringStack } from './stack.ts';

export type RateFigures = Pick<LoadFigures, 'requestsPerSecond' | 'msP50' | 'msP95' | 'msP99'>;

export interface RateTried extends RateFigures {
  readonly stack: string;
  /** Null: as fast as it can. */
  readonly rate: number | null;
  readonly holds: boolean;
}

export interface RateSearch {
  readonly stack: ScoringStack;
  readonly tried: RateTried[];
  /** The highest rate known to hold, and the lowest known not to, requests a second. */
  low: number;
  high: number;
  /** At `low`. */
  best: LoadFigures;
}

/** Callers of the closed loop that gives a first idea of the rate. */
const closedInFlight = 32;
/** Of that rate an open loop can hold no more than this. */
const openOverClosed = 1.25;
const firstShare = 0.7;

/**
 * @param next  told before each run.
 * @throws MILL_OVERLOADED when a stack holds none of the rates.
 */
export async function searchRates(
  stacks: readonly ScoringStack[],
  driver: LoadDriver,
  { steps, stepMs, warmMs, msP99Max, seed }: ScoreParameters,
  next: (doing: string) => void,
): Promise<readonly RateSearch[]> {
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
  const searches: RateSearch[] = [];
  for (const stack of stacks) {
    // The first run has the code compiled and the caches filled.
    await drive(stack, null);
    const closed = await drive(stack, null);
    const high = openOverClosed * closed.requestsPerSecond;
    const search: RateSearch = { stack, tried: [], low: 0, high, best: closed };
    note(search, null, closed, false);
    searches.push(search);
  }
  // One that has held no rate yet goes on, so that there is a figure to tell.
  const isOpen =
    (step: number) =>
    ({ low }: RateSearch) =>
      step < steps || (low === 0 && step < 2 * steps);
  for (let step = 0; searches.some(isOpen(step)); step += 1) {
    for (const search of searches.filter(isOpen(step))) {
      const rate = step === 0 ? firstShare * search.high : (search.low + search.high) / 2;
      const figures = await drive(search.stack, rate);
      const holds = isHeld(figures, msP99Max);
      note(search, rate, figures, holds);
      if (holds) {
        search.low = rate;
        search.best = figures;
      } else search.high = rate;
    }
  }
  const unmet = searches.find(({ low }) => low === 0);
  if (unmet) {
    throw new MillraceError(
      'MILL_OVERLOADED',
      `${unmet.stack.name} held none of the rates tried at a p99 of ${msP99Max} ms, the lowest ${Math.round(unmet.high)}/s`,
    );
  }
  return searches;
}

export function figuresOf({ requestsPerSecond, msP50, msP95, msP99 }: RateFigures): RateFigures {
  return { requestsPerSecond, msP50, msP95, msP99 };
}

function isHeld({ msP99OfAll, unsent }: LoadFigures, msP99Max: number): boolean {
  return msP99OfAll !== null && msP99OfAll <= msP99Max && unsent === 0;
}

function note(search: RateSearch, rate: number | null, figures: LoadFigures, holds: boolean): void {
  const entry = { stack: search.stack.name, rate: rate === null ? null : rounded(rate), holds };
  search.tried.push({ ...entry, ...figuresOf(figures) });
}
