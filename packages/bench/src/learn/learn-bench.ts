/** How well the demo's model learns the demo's traffic, and that what happens to events on their way does not matter. */
import { readFile } from 'node:fs/promises';
import { parseModelFile } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';
import type { Disturbance } from './event-stream.ts';
import { calibrationOf, divergenceOf, loglossOf, recoveryOf, regretOf } from './judge.ts';
import { joinWindowMs, type LearnParameters, negativeRates } from './parameters.ts';
import { type Played, playStream } from './play-stream.ts';

/** Of the run under a disturbance; differences are to the clean run, over the same requests and clicks. */
export interface DisturbedFigures {
  readonly disturbance: Exclude<Disturbance, 'clean'>;
  readonly loglossDifference: number;
  readonly learned: number;
  /** Outcomes that came again, and such that came before their impression. */
  readonly duplicates: number;
  readonly early: number;
}

export interface RateFigures {
  readonly negativeRate: number;
  /** Σ scores / Σ true probabilities over the second half. */
  readonly calibration: number;
  /** Examples learned, of all that were shown. */
  readonly learned: number;
  readonly shown: number;
}

export interface LearnResult {
  /** Items scored, each an example. */
  readonly events: number;
  /** Logloss − the oracle's, by the clicks that were drawn; over the last tenth. */
  readonly regret: number;
  /** What that is on average over all clicks that could have been drawn. */
  readonly expectedRegret: number;
  /** The same over the last tenth before the drift, and over the first 2,000 items after it. */
  readonly regretBeforeDrift: number;
  readonly regretAtDrift: number;
  /** Items after the drift until the mean expected regret of the newest 2,000 is 0.010 or less; null: never. */
  readonly recoveryEvents: number | null;
  readonly disturbed: readonly DisturbedFigures[];
  readonly rates: readonly RateFigures[];
}

const disturbances = ['duplicated', 'reordered', 'delayed'] as const;
const recoveryWindow = 2_000;
const recoveryLevel = 0.01;
const itemsARequest = 8;

/** Runs of the benchmark, for a progress bar. */
export const runsOf = 1 + disturbances.length + negativeRates.length;

export async function runLearnBench(
  parameters: LearnParameters,
  onStep: (done: number, doing: string) => void,
): Promise<LearnResult> {
  const { requests, sampledRequests } = parameters;
  const file = await demoModel();
  let runs = 0;
  const play = async (
    doing: string,
    of: { readonly requests: number; readonly driftAt: number; readonly disturbance: Disturbance },
    model: ModelFile = file,
  ): Promise<Played> => {
    const played = await playStream({
      ...parameters,
      ...of,
      file: model,
      onRequest: (n) => n % 200 === 0 && onStep(runs + n / of.requests, doing),
    });
    runs += 1;
    return played;
  };

  const driftAt = requests / 2;
  const clean = await play('clean', { requests, driftAt, disturbance: 'clean' });
  const disturbed: DisturbedFigures[] = [];
  for (const disturbance of disturbances) {
    const played = await play(disturbance, { requests, driftAt, disturbance });
    disturbed.push(disturbedFigures(disturbance, played, clean));
  }
  const rates: RateFigures[] = [];
  for (const negativeRate of negativeRates) {
    const learning = { ...file.learning, negativeRate };
    const of = {
      requests: sampledRequests,
      driftAt: Number.POSITIVE_INFINITY,
      disturbance: 'clean',
    } as const;
    const played = await play(`rate ${negativeRate}`, of, { ...file, learning });
    const shown = played.scores.length;
    const calibration = calibrationOf(played, { from: shown / 2, to: shown });
    rates.push({ negativeRate, calibration, learned: played.counts.learned, shown });
  }
  return { ...cleanFigures(clean, driftAt * itemsARequest), disturbed, rates };
}

/** The demo's model, which waits long enough for the latest click of any run. */
async function demoModel(): Promise<ModelFile> {
  const path = new URL('../../../../examples/demo.json', import.meta.url);
  const file = parseModelFile(JSON.parse(await readFile(path, 'utf8')));
  return { ...file, learning: { ...file.learning, joinWindowMs } };
}

function cleanFigures(played: Played, driftAt: number): Omit<LearnResult, 'disturbed' | 'rates'> {
  const events = played.scores.length;
  const lastTenth = { from: Math.floor(0.9 * events), to: events };
  return {
    events,
    regret: regretOf(played, lastTenth),
    expectedRegret: divergenceOf(played, lastTenth),
    regretBeforeDrift: divergenceOf(played, { from: Math.floor(driftAt - events / 10), to: driftAt }),
    regretAtDrift: divergenceOf(played, { from: driftAt, to: driftAt + recoveryWindow }),
    recoveryEvents: recoveryOf(played, { driftAt, window: recoveryWindow, level: recoveryLevel }),
  };
}

function disturbedFigures(
  disturbance: DisturbedFigures['disturbance'],
  { scores, counts }: Played,
  clean: Played,
): DisturbedFigures {
  const lastTenth = { from: Math.floor(0.9 * scores.length), to: scores.length };
  const loglossDifference =
    loglossOf(scores, clean.clicks, lastTenth) - loglossOf(clean.scores, clean.clicks, lastTenth);
  return { disturbance, loglossDifference, ...counts };
}
