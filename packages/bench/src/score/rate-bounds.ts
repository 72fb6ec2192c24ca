/**
 * The search for the highest rate that holds, apart from what is driven: which rate to try next, by how those before went.
 * A rate is driven until two runs of it agree, so that one pause of the machine decides nothing.
 */

/** Of up to three runs. */
const votesWanted = 2;
/** Until one has failed the next rate is so much higher. */
const growth = 1.25;

export interface RateRun<Figures> {
  readonly holds: boolean;
  /** What runs are ordered by: the middle one speaks for its rate. */
  readonly msP99: number;
  readonly figures: Figures;
}

export interface RateBounds<Figures> {
  /** What to drive next, requests a second. */
  rate: number;
  /** The highest rate known to hold, 0: none; the lowest known not to, Infinity: none. */
  low: number;
  high: number;
  /** Of the runs at `low` the middle one, of two the slower; null: nothing holds yet. */
  best: Figures | null;
  /** Rates that are decided. */
  decided: number;
  /** Of the rate in work. */
  runs: RateRun<Figures>[];
}

/** @param firstRate  the first to be tried, requests a second. */
export function createRateBounds<Figures>(firstRate: number): RateBounds<Figures> {
  return { rate: firstRate, low: 0, high: Number.POSITIVE_INFINITY, best: null, decided: 0, runs: [] };
}

/** Notes a run at bounds.rate, and sets what to drive next. */
export function noteRun<Figures>(bounds: RateBounds<Figures>, run: RateRun<Figures>): void {
  const { runs, rate } = bounds;
  runs.push(run);
  if (runs.filter(({ holds }) => holds === run.holds).length < votesWanted) return;
  if (run.holds) {
    bounds.low = rate;
    bounds.best = middleOf(runs);
  } else bounds.high = rate;
  bounds.runs = [];
  bounds.decided += 1;
  bounds.rate = bounds.high === Number.POSITIVE_INFINITY ? growth * rate : (bounds.low + bounds.high) / 2;
}

function middleOf<Figures>(runs: readonly RateRun<Figures>[]): Figures {
  const ordered = runs.toSorted((a, b) => a.msP99 - b.msP99);
  return ordered[ordered.length >> 1].figures;
}
