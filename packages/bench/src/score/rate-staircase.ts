/**
 * The search for the highest rate that holds, apart from what is driven: up after a run that held, down after one that did not, by
 * steps that halve where the direction turns and double where it stays (Taylor and Creelman 1967, PEST). What is found is the rate
 * at which as many runs speak for it as against: one that held speaks for its rate and all below, one that failed against its rate
 * and all above (Reed and Muench 1938). So each run has one voice, early or late, and a moment in which the machine was busy with
 * something else moves what is found by one voice instead of bounding all that comes after it.
 */

/** Of the logarithm of a rate, so that the highest step is to 1.25 times of it and the lowest to some 1.05 times. */
const stepMax = Math.log(1.25);
const stepMin = Math.log(1.05);
/** So many runs that went the same way double the step. */
const sameToDouble = 3;
/** That speak for a rate before it counts as held. */
const votesMin = 2;

export interface RateRun<Figures> {
  readonly rate: number;
  readonly holds: boolean;
  /** What runs near one rate are ordered by: the middle one speaks for all. */
  readonly msP99: number;
  readonly figures: Figures;
}

export interface RateStaircase<Figures> {
  /** What to drive next, requests a second. */
  rate: number;
  readonly runs: RateRun<Figures>[];
  /** To the next rate, of the logarithm. */
  step: number;
  /** Runs that went the same way, the last and those right before it. */
  same: number;
}

/** @param firstRate  the first to be tried, requests a second. */
export function createRateStaircase<Figures>(firstRate: number): RateStaircase<Figures> {
  return { rate: firstRate, runs: [], step: stepMax, same: 0 };
}

/** Notes a run at staircase.rate, and sets what to drive next. */
export function noteRun<Figures>(
  staircase: RateStaircase<Figures>,
  { holds, msP99, figures }: Omit<RateRun<Figures>, 'rate'>,
): void {
  const { runs, rate } = staircase;
  const turns = runs.length > 0 && runs[runs.length - 1].holds !== holds;
  runs.push({ rate, holds, msP99, figures });
  staircase.same = turns ? 1 : staircase.same + 1;
  if (turns) staircase.step = Math.max(stepMin, staircase.step / 2);
  else if (staircase.same >= sameToDouble) staircase.step = Math.min(stepMax, 2 * staircase.step);
  staircase.rate = rate * Math.exp(holds ? staircase.step : -staircase.step);
}

/**
 * The highest rate for which more runs speak than against it, votesMin at least; of the runs that held at most the smallest step below
 * it, it itself included, the middle one by p99, of two the slower. Null: there is none.
 */
export function highestHeld<Figures>(runs: readonly RateRun<Figures>[]): RateRun<Figures> | null {
  const held = runs.filter(({ holds }) => holds);
  const highest = Math.max(0, ...held.filter(({ rate }) => isSpokenFor(runs, rate)).map(({ rate }) => rate));
  const near = held.filter(({ rate }) => rate <= highest && rate >= highest * Math.exp(-stepMin));
  return near.toSorted((a, b) => a.msP99 - b.msP99)[near.length >> 1] ?? null;
}

function isSpokenFor(runs: readonly RateRun<unknown>[], rate: number): boolean {
  const speakFor = runs.filter((run) => run.holds && run.rate >= rate).length;
  const against = runs.filter((run) => !run.holds && run.rate <= rate).length;
  return speakFor >= votesMin && speakFor > against;
}
