/**
 * The search for the highest rate that holds, apart from what is driven: which rate to try next, by how those before went.
 * What else the machine does makes runs worse and never better. So a rate holds once two runs of it do, and does not once three do
 * not: a pause now and then decides nothing.
 */

const heldWanted = 2;
const failedWanted = 3;
/** Runs of one rate, at most. */
export const runsMax = heldWanted + failedWanted - 1;
/** Until one has failed the next rate is so much higher. */
const growth = 1.25;

export interface RateRun<Figures> {
  readonly holds: boolean;
  /** What runs are ordered by: of those that held the slower one speaks for its rate. */
  readonly msP99: number;
  readonly figures: Figures;
}

export interface RateBounds<Figures> {
  /** What to drive next, requests a second. */
  rate: number;
  /** The highest rate known to hold, 0: none; the lowest known not to, Infinity: none. */
  low: number;
  high: number;
  /** Of the runs that held at `low` the slower; null: nothing holds yet. */
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
  const wanted = run.holds ? heldWanted : failedWanted;
  if (runs.filter(({ holds }) => holds === run.holds).length < wanted) return;
  if (run.holds) {
    bounds.low = rate;
    bounds.best = slowerOf(runs);
  } else bounds.high = rate;
  bounds.runs = [];
  bounds.decided += 1;
  bounds.rate = bounds.high === Number.POSITIVE_INFINITY ? growth * rate : (bounds.low + bounds.high) / 2;
}

/** Of those that held. */
function slowerOf<Figures>(runs: readonly RateRun<Figures>[]): Figures {
  const held = runs.filter(({ holds }) => holds);
  return held.reduce((slower, run) => (run.msP99 > slower.msP99 ? run : slower)).figures;
}
